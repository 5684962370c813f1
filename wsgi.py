"""The portal for any WSGI server: `gunicorn wsgi:app`. The engine starts with it, except under Flask's commands."""

import atexit
import os
import sys

from dotenv import load_dotenv

from portal import create_app, durable
from portal.config import ROOT, ConfigError
from portal.web import live

load_dotenv(ROOT / ".env")  # what the environment says already, stays

try:
    app = create_app()
except ConfigError as error:
    sys.stderr.write(f"Coordinoter cannot start: {error}\n")
    sys.exit(4)  # gunicorn takes 4 for "cannot be loaded" and stops; any other code makes it try for ever

live.make_room(app)
live.end_on_signals(app)
if app.extensions["settings"].engine and os.environ.get("FLASK_RUN_FROM_CLI") != "true":
    durable.launch(app)
    atexit.register(durable.shut_down)
