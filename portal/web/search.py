"""Search the help articles: SQLite's FTS5, or PostgreSQL's full text search, whichever the portal lives on.

The articles are files, so the index is made of them where it is needed and is never out of date.
"""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from functools import lru_cache

from sqlalchemy import text

from portal.db import db
from portal.web.articles import Article, all_articles, find

MOST = 8
_one_at_a_time = threading.Lock()

POSTGRES = text(
    """
    SELECT slug FROM json_to_recordset(:articles) AS a(slug text, title text, summary text, body text),
    LATERAL (SELECT setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', summary), 'B')
             || to_tsvector('english', body) AS words) AS w
    WHERE words @@ to_tsquery('english', :query)
    ORDER BY ts_rank(words, to_tsquery('english', :query)) DESC, slug LIMIT :most
    """
)


def search(words: str) -> tuple[Article, ...]:
    """The articles that fit best, first those with all words, else those with any; the last word may be unfinished."""
    terms = re.findall(r"\w+", words[:200].lower())[:10]
    if not terms:
        return ()
    slugs = _ask(terms, " AND ", " & ") or _ask(terms, " OR ", " | ")
    return tuple(article for slug in slugs if (article := find(slug)) is not None)


def _ask(terms: list[str], sqlite_glue: str, postgres_glue: str) -> list[str]:
    if db.engine.dialect.name == "postgresql":
        query = postgres_glue.join([*terms[:-1], f"{terms[-1]}:*"])
        rows = db.session.execute(POSTGRES, {"articles": _as_json(), "query": query, "most": MOST})
        return [row.slug for row in rows]
    query = sqlite_glue.join([f'"{term}"' for term in terms[:-1]] + [f'"{terms[-1]}"*'])
    with _one_at_a_time:
        found = _index().execute(
            "SELECT slug FROM articles WHERE articles MATCH ? ORDER BY bm25(articles, 0, 8, 4, 1), slug LIMIT ?",
            (query, MOST),
        )
        return [slug for (slug,) in found.fetchall()]


@lru_cache(maxsize=1)
def _index() -> sqlite3.Connection:
    """https://www.sqlite.org/fts5.html, in memory: a few dozen articles take a few milliseconds."""
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.execute(
        "CREATE VIRTUAL TABLE articles USING fts5(slug UNINDEXED, title, summary, body, tokenize='porter')"
    )
    rows = [(each.slug, each.title, each.summary, each.text()) for each in all_articles()]
    connection.executemany("INSERT INTO articles VALUES (?, ?, ?, ?)", rows)
    return connection


@lru_cache(maxsize=1)
def _as_json() -> str:
    names = ("slug", "title", "summary", "body")
    rows = [(each.slug, each.title, each.summary, each.text()) for each in all_articles()]
    return json.dumps([dict(zip(names, row, strict=True)) for row in rows])
