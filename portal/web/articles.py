"""Help articles: Markdown files with a few lines of front matter, read once and turned into HTML."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from pathlib import Path

from markdown import Markdown
from markupsafe import Markup

from portal.config import ROOT
from portal.web.pictures import Pictures

FOLDER = ROOT / "templates" / "help" / "articles"
STEPS_MARK = Markup("<p>[[steps]]</p>")


@dataclass(frozen=True)
class Article:
    """One article. `pages` are the paths (and all below them) for which the help panel offers it; `about` the states,
    reasons and notices it explains; `contents` its headings as (id, text)."""

    slug: str
    title: str
    summary: str
    pages: tuple[str, ...]
    order: int
    html: Markup
    about: frozenset[str] = frozenset()
    changed: date | None = None
    contents: tuple[tuple[str, str], ...] = ()

    def suits(self, path: str) -> bool:
        """Whether it belongs to the page at this path."""
        return any(path == page or path.startswith(f"{page}/") for page in self.pages)

    def with_steps(self, steps: Markup) -> Article:
        """The article with the list of steps where its text says `[[steps]]`: written once, in the workflow."""
        return replace(self, html=self.html.replace(STEPS_MARK, steps))

    def text(self) -> str:
        """Its words without marks, for the search."""
        return self.html.striptags()

    def related(self) -> tuple[Article, ...]:
        """Up to three others: those that explain the same things, or belong to the same pages."""
        others = [each for each in all_articles() if each.slug != self.slug]

        def nearness(other: Article) -> int:
            return 3 * len(self.about & other.about) + len(set(self.pages) & set(other.pages))

        return tuple(sorted(filter(nearness, others), key=nearness, reverse=True)[:3])


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


def explaining(topic: str) -> str:
    """The slug of the article that explains a state, a reason or a notice."""
    return next((each.slug for each in all_articles() if topic in each.about), "when-something-goes-wrong")


def fitting(path: str, topics: Collection[str]) -> tuple[Article, ...]:
    """The three that fit best: about what is the matter, beside what is read, for the page, else the first of all."""
    about = [article for article in all_articles() if article.about & set(topics)]
    reading = find(path.removeprefix("/help/"))
    beside = reading.related() if reading else ()
    fits = dict.fromkeys([*about[:2], *beside, *for_page(path), *all_articles()])
    return tuple(article for article in fits if article != reading)[:3]


@lru_cache(maxsize=4)
def _read(folder: Path) -> tuple[Article, ...]:
    articles = (parse(path.stem, path.read_text("utf-8")) for path in folder.glob("*.md"))
    return tuple(sorted(articles, key=lambda article: (article.order, article.slug)))


def parse(slug: str, text: str) -> Article:
    """Front matter between two `---` lines, `name: value` each, then the Markdown."""
    _, head, body = text.split("---\n", 2)
    values = dict(line.split(": ", 1) for line in head.strip().splitlines())
    reader = Markdown(
        extensions=["sane_lists", "tables", "toc", Pictures()], extension_configs={"toc": {"toc_depth": "2-2"}}
    )
    html = reader.convert(body)
    return Article(
        slug=slug,
        title=values["title"],
        summary=values["summary"],
        pages=tuple(values["pages"].split()),
        order=int(values["order"]),
        html=Markup(html),  # noqa: S704 - our own files
        about=frozenset(values.get("about", "").split()),
        changed=date.fromisoformat(values["changed"]) if "changed" in values else None,
        contents=tuple((each["id"], each["name"]) for each in getattr(reader, "toc_tokens", ())),
    )
