"""Pages that only look do not wait for a writer."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import text

from portal.db import _reads_only, db
from portal.web.reading import begin_reading, end_reading, writes_on_get
from tests.world import Visitor


def test_it_works(alice: Visitor) -> None:
    with db.engine.connect() as writer:
        writer.execute(text("UPDATE members SET name = name"))  # holds the write lock
        alice.get("/agenda")
        writer.rollback()


def test_a_view_that_writes_on_get_says_so(app: Flask) -> None:
    app.add_url_rule("/writes", "writes", writes_on_get(lambda: "ok"))
    for path, reads in (("/writes", False), ("/agenda", True)):
        with app.test_request_context(path):
            begin_reading()
            assert _reads_only.get() is reads
            end_reading()
            assert not _reads_only.get()
