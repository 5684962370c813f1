"""What every portal of the tests would compile anew, compiled once per process: half of a test's time.

A suite makes thousands of portals of the same statements, addresses and templates; what runs makes one.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask
from sqlalchemy import Engine
from werkzeug.routing import Rule

_engines: dict[str, Engine] = {}
_builders: dict[tuple[object, ...], Callable[..., tuple[str, str]]] = {}


def share_statements(engine: Engine) -> None:
    """Let an engine use what the first one for that kind of database has compiled."""
    first = _engines.setdefault(engine.dialect.name, engine)
    if first is engine:
        engine.connect().close()  # its dialect gets to know the server
    else:
        engine.dialect, engine._compiled_cache = first.dialect, first._compiled_cache


class OnceBuilt(Rule):
    """An address whose builder, a function that Werkzeug writes, is the one of its like in an earlier portal."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        key = (self.rule, self.host, self.subdomain, repr(self.defaults), repr(self._trace), append_unknown)
        if key not in _builders:
            _builders[key] = super()._compile_builder(append_unknown)
        return _builders[key]


def share_addresses() -> None:
    """From now on, in this process. https://flask.palletsprojects.com/en/stable/api/#flask.Flask.url_rule_class"""
    Flask.url_rule_class = OnceBuilt
