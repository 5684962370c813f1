"""Every error that people can meet leads to an article of its own, and every article says when it was changed."""

from __future__ import annotations

import pytest

from portal.providers.base import AccessReason, SignInReason
from portal.web import articles, notices
from portal.web.articles import Article, explaining

GENERAL = "when-something-goes-wrong"
EVERY = articles.all_articles()


@pytest.mark.parametrize("kind", sorted(set(notices._WORDS) - {"connected", "admin_approved"}))
def test_every_notice_leads_to_a_fitting_article(kind: str) -> None:
    assert explaining(kind) != GENERAL


@pytest.mark.parametrize("reason", [*AccessReason, *SignInReason])
def test_every_reason_leads_to_a_fitting_article(reason: str) -> None:
    assert explaining(str(reason)) != GENERAL


@pytest.mark.parametrize("article", EVERY, ids=lambda article: article.slug)
def test_every_article_tells_its_last_change_and_has_relatives(article: Article) -> None:
    assert article.changed is not None
    assert article.related()
    assert article.slug not in {each.slug for each in article.related()}


def test_what_is_the_matter_comes_first() -> None:
    assert articles.fitting("/integrations", {"no_mailbox"})[0].slug == "the-account-has-no-calendar"
    assert articles.fitting("/agenda", {"step_in_trouble"})[0].slug == "microsoft-is-not-answering"
    assert len(articles.fitting("/integrations", {"disconnecting", "unreachable", "no_mailbox"})) <= 3
