"""Help articles: Markdown files with a few lines of front matter, read once and turned into HTML."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from markdown import markdown
from markupsafe import Markup

from portal.config import ROOT

FOLDER = ROOT / "templates" / "help" / "articles"
STEPS_MARK = Markup("<p>[[steps]]</p>")


@dataclass(frozen=True)
class Article:
    """One article. `pages` are the paths (and all below them) for which the help panel offers it."""

    slug: str
    title: str
    summary: str
    pages: tuple[str, ...]
    order: int
    html: Markup

    def suits(self, path: str) -> bool:
        """Whether it belongs to the page at this path."""
        return any(path == page or path.startswith(f"{page}/") for page in self.pages)

    def with_steps(self, steps: Markup) -> Article:
        """The article with the list of steps where its text says `[[steps]]`: written once, in the workflow."""
        return replace(self, html=self.html.replace(STEPS_MARK, steps))


def all_articles() -> tuple[Article, ...]:
    """Every article, in its order."""
    return _read(FOLDER)


def find(slug: str) -> Article | None:
    """The article with this slug."""
    return next((article for article in all_articles() if article.slug == slug), None)


def for_page(path: str) -> tuple[Article, ...]:
    """What to offer on a page: its own articles first, else the first few of all."""
    suiting = tuple(article for article in all_articles() if article.suits(path))
    return suiting or all_articles()[:4]


@lru_cache(maxsize=4)
def _read(folder: Path) -> tuple[Article, ...]:
    articles = (parse(path.stem, path.read_text("utf-8")) for path in folder.glob("*.md"))
    return tuple(sorted(articles, key=lambda article: (article.order, article.slug)))


def parse(slug: str, text: str) -> Article:
    """Front matter between two `---` lines, `name: value` each, then the Markdown."""
    _, head, body = text.split("---\n", 2)
    values = dict(line.split(": ", 1) for line in head.strip().splitlines())
    return Article(
        slug=slug,
        title=values["title"],
        summary=values["summary"],
        pages=tuple(values["pages"].split()),
        order=int(values["order"]),
        html=Markup(markdown(body, extensions=["sane_lists", "tables"])),  # noqa: S704 - our own files
    )
