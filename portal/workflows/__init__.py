"""What the portal does, told in order. Importing this package declares the durable runs and the schedules."""

from portal.workflows import connect, disconnect, receive, sync, watch

__all__ = ["connect", "disconnect", "receive", "sync", "watch"]
