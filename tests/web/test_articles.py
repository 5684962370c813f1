"""Help articles: complete, linked to what exists, and true to the workflow."""

from __future__ import annotations

import re

import pytest
from bs4 import BeautifulSoup
from flask import Flask

from portal.web import articles
from portal.web.articles import Article
from portal.workflows.disconnect import STEPS
from tests.world import Visitor

EVERY = articles.all_articles()
NEEDED = {
    "connect-outlook-calendar",
    "disconnect-outlook-calendar",
    "what-we-see-and-keep",
    "when-something-goes-wrong",
    "why-my-admin-must-approve",
    "reconnect-outlook-calendar",
}


def test_it_works() -> None:
    assert {article.slug for article in EVERY} >= NEEDED


@pytest.mark.parametrize("article", EVERY, ids=lambda article: article.slug)
def test_every_link_of_ours_leads_somewhere(app: Flask, article: Article) -> None:
    urls = app.url_map.bind("127.0.0.1")
    for link in BeautifulSoup(article.html, "html.parser").find_all("a"):
        path = str(link["href"])
        if not path.startswith("/"):
            assert path.startswith("https://"), path
            continue
        endpoint, values = urls.match(path, method="GET")
        assert endpoint != "help.show" or articles.find(values["slug"]), path


def test_the_guide_to_disconnecting_tells_every_step_in_the_words_of_the_workflow(anybody: Visitor) -> None:
    page = anybody.get("/help/disconnect-outlook-calendar").get_text(" ", strip=True)
    for step in STEPS:
        assert step.title in page
        assert step.promise in page
    assert "[[steps]]" not in page


def test_the_guide_leads_straight_to_the_card_and_tells_the_truth(anybody: Visitor) -> None:
    page = anybody.get("/help/disconnect-outlook-calendar")
    here = page.find("a", string="here")
    assert here is not None
    assert here["href"] == "/integrations/outlook-calendar"
    words = re.sub(r"\s+", " ", page.get_text(" "))
    for said in ("Disconnect from Microsoft", "60 to 90 minutes", "90 days", "help icon at the bottom right"):
        assert said in words
    for link in ("https://myapps.microsoft.com", "https://account.live.com/consent/Manage"):
        assert page.find("a", href=link), link


def test_the_panel_offers_what_suits_the_page() -> None:
    offered = [article.slug for article in articles.for_page("/connections/1/disconnect")]
    assert "disconnect-outlook-calendar" in offered
    assert articles.for_page("/somewhere/else")


@pytest.mark.parametrize("path", ["/help", "/chat", "/sign-in", "/somewhere", "/help/disconnect-outlook-calendar"])
@pytest.mark.parametrize("topics", [{"visitor"}, set(), {"not_connected"}, {"token_expired"}])
def test_three_are_offered_everywhere_and_none_that_is_being_read(path: str, topics: set[str]) -> None:
    offered = articles.fitting(path, topics)
    assert len(offered) == len(set(offered)) == 3
    assert path not in [f"/help/{article.slug}" for article in offered]
    if topics:
        assert offered[0].about & topics


def test_beside_an_article_stand_those_that_are_related() -> None:
    reading = articles.find("disconnect-outlook-calendar")
    assert reading is not None
    assert articles.fitting("/help/disconnect-outlook-calendar", set()) == reading.related()[:3]
