"""The login.microsoftonline.com half of the sandbox."""

from __future__ import annotations

from flask import Flask, Response

from . import admin_consent, answer, authorize, decide, discovery, logout, my_apps, pages, revocation, token
from .errors import IdentityError


def init_app(app: Flask) -> None:
    for part in (discovery, authorize, admin_consent, pages, decide, token, revocation, logout, my_apps):
        app.register_blueprint(part.blueprint)
    app.register_error_handler(IdentityError, _page)


def _page(problem: IdentityError) -> Response:
    return answer.error_page(problem)
