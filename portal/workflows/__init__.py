"""What the portal does, told in order. Importing this package declares the durable runs and the schedules."""

from portal.workflows import (
    answer_by_mail,
    carry_out,
    connect,
    forget,
    owed,
    receive,
    sign_in,
    sync,
    watch,
    watch_files,
)

__all__ = [
    "answer_by_mail",
    "carry_out",
    "connect",
    "forget",
    "owed",
    "receive",
    "sign_in",
    "sync",
    "watch",
    "watch_files",
]
