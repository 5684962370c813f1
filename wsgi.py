"""The portal for any WSGI server: `gunicorn wsgi:app`. The engine starts with it, except under Flask's commands."""

import atexit
import os
import sys

from portal import create_app, durable
from portal.config import ConfigError

try:
    app = create_app()
except ConfigError as error:
    sys.exit(f"Coordinoter cannot start: {error}")

if app.extensions["settings"].engine and os.environ.get("FLASK_RUN_FROM_CLI") != "true":
    durable.launch(app)
    atexit.register(durable.shut_down)
