"""Keep what comes behind a "?" out of the request log of Flask's own server: sign-ins come back with codes there."""

from __future__ import annotations

import logging
import re

_QUERY = re.compile(r"\?[^\s\"]*")


def keep_queries_out() -> None:
    """For `flask run`, and for whoever else serves with Werkzeug. May be called again."""
    logging.getLogger("werkzeug").addFilter(_without_queries)


def _without_queries(record: logging.LogRecord) -> bool:
    record.msg = _QUERY.sub("?...", str(record.msg))
    if isinstance(record.args, tuple):
        record.args = tuple(_QUERY.sub("?...", each) if isinstance(each, str) else each for each in record.args)
    return True
