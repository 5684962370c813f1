"""`python -m portal.sandbox`: the sandbox by itself, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import errno
import signal
import sys
import threading

from . import create_app
from .config import BadSetting, Config
from .server import HOST, bind, port_of
from .world import close


def main() -> int:
    try:
        config = Config.from_environment()
    except BadSetting as bad:
        print(bad, file=sys.stderr)
        return 1
    app = create_app(config)
    try:
        server = bind(app, config.port)
    except OSError as failed:
        why = "is already in use" if failed.errno == errno.EADDRINUSE else f"cannot be used ({failed.strerror})"
        print(f"Port {config.port} {why}: choose another with SANDBOX_PORT.", file=sys.stderr)
        return 1

    def stop(*_signal: object) -> None:
        # shutdown() waits for the loop that this very thread is running, so it needs a thread of its own.
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    at = config.public_url or f"http://{HOST}:{port_of(server)}"
    print(f"The sandbox (not Microsoft) runs at {at}, its desk at {at}/desk. Ctrl-C stops it.", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    close(app)
    return 0


if __name__ == "__main__":
    sys.exit(main())
