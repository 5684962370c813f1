"""Pictures in help articles: each is there, small, described, and has its size before it arrives."""

from __future__ import annotations

from pathlib import Path

import pytest
from bs4 import BeautifulSoup, Tag

from portal.web import articles
from portal.web.articles import Article, parse
from portal.web.pictures import FOLDER, LARGEST, size_of
from tests.world import Visitor

EVERY = articles.all_articles()
ILLUSTRATED = {
    "connect-outlook-calendar",
    "disconnect-outlook-calendar",
    "microsoft-is-not-answering",
    "talk-to-support",
}
HEAD = "---\ntitle: T\nsummary: S.\npages: /\norder: 1\n---\n"


def shown(article: Article) -> list[Tag]:
    return BeautifulSoup(article.html, "html.parser").find_all("img")


def name_of(image: Tag) -> str:
    return Path(str(image["src"]).partition("?")[0]).name


def test_it_works(anybody: Visitor) -> None:
    for image in anybody.get("/help/disconnect-outlook-calendar").select(".prose img"):
        answer = anybody.client.get(str(image["src"]))
        assert answer.status_code == 200
        assert answer.mimetype == "image/png"
        assert (str(image["width"]), str(image["height"])) == tuple(map(str, size_of(FOLDER / name_of(image))))
        assert image["loading"] == "lazy"


def test_the_tasks_that_people_come_for_are_illustrated() -> None:
    assert {article.slug for article in EVERY if shown(article)} >= ILLUSTRATED


@pytest.mark.parametrize("article", EVERY, ids=lambda article: article.slug)
def test_each_picture_says_what_it_shows_and_is_small(article: Article) -> None:
    for image in shown(article):
        assert len(str(image["alt"])) > 20, image
        assert (FOLDER / name_of(image)).stat().st_size <= LARGEST


def test_no_picture_is_kept_that_no_article_shows() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {name_of(image) for each in EVERY for image in shown(each)}


def test_every_picture_is_taken_by_the_command() -> None:
    taken = (Path(__file__).parents[1] / "pictures" / "__main__.py").read_text("utf-8")
    for path in FOLDER.iterdir():
        assert f'"{path.stem}")' in taken, f"make pictures does not take {path.name}"


@pytest.mark.parametrize("name", ["nothing.png", "../css/base.css"])
def test_a_picture_that_is_none_is_told_when_the_articles_are_read(name: str) -> None:
    with pytest.raises((FileNotFoundError, ValueError)):
        parse("x", f"{HEAD}![A long enough description]({name})\n")
