"""Read by gunicorn by itself when it is started here: the one thing that its command line cannot say."""

from typing import Any


def worker_exit(_server: Any, _worker: Any) -> None:
    """End the durable engine with the worker. A run that pauses would keep the process until it is killed."""
    from portal import durable

    durable.leave(wait=2)
