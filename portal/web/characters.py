"""No NUL in what a request says: nobody types one, and PostgreSQL refuses to be asked about it."""

from __future__ import annotations

from itertools import chain

from flask import Flask, abort, request

NUL = "\0"


def setup(app: Flask) -> None:
    """Once it is known how large a request may be: this reads its form."""
    app.before_request(refuse_nul)


def refuse_nul() -> None:
    """400 for one in the address or in a field.

    https://www.postgresql.org/docs/current/datatype-character.html
    """
    fields = chain(request.args.items(multi=True), request.form.items(multi=True))
    if NUL in request.path or any(NUL in name or NUL in value for name, value in fields):
        abort(400)
