"""HTTP only: one file and one Blueprint per verb or place. Reads may go to models, writes go through a workflow."""

from __future__ import annotations

from flask import Flask

from portal.routes import (
    after,
    agenda,
    approval,
    business,
    chat,
    connect,
    disconnect,
    health,
    help,  # noqa: A004 - the word of the page
    home,
    integrations,
    live,
    metrics,
    notifications,
    push,
    self_check,
    sign_in,
    support,
    sync,
)


def setup(app: Flask) -> None:
    """Register every Blueprint."""
    for module in (
        home,
        sign_in,
        integrations,
        connect,
        approval,
        sync,
        disconnect,
        agenda,
        help,
        chat,
        self_check,
        support,
        business,
        notifications,
        after,
        push,
        live,
        metrics,
        health,
    ):
        app.register_blueprint(module.bp)
