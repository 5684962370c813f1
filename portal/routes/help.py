"""Help: the centre with its search, articles with three faces each, and the panel on every page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from markupsafe import Markup
from sqlalchemy import select

from portal.db import db
from portal.models import Answer
from portal.models.answer import HAPPY, NEUTRAL, UNHAPPY
from portal.routes.situation import connections, topics
from portal.routes.talk import current, talk
from portal.web import articles, asker
from portal.web.guards import public
from portal.web.htmx import wants_fragment
from portal.web.search import search
from portal.workflows import help as workflow
from portal.workflows.disconnect import BY_NAME, STEPS

bp = Blueprint("help", __name__)


@bp.get("/help")
@public
def centre() -> str:
    """Every article; first those for the page that somebody came from without JavaScript, or those searched for."""
    asking, words = asker.asking("page"), request.args.get("q", "")[:200]
    return render_template(
        "help/centre.html",
        articles=articles.all_articles(),
        suggested=articles.fitting(asking.page, topics()) if asking.page else (),
        words=words,
        found=search(words),
        checks=checkable(),
        **talk(asking, None),
    )


@bp.get("/help/panel")
@public
def panel() -> ResponseReturnValue:
    """The panel that the help icon opens: what fits the page and the state, a search, an article, or a person."""
    asking, words = asker.asking("panel"), request.args.get("q", "")[:200]
    view = request.args.get("view", "")
    if not wants_fragment():
        return redirect(way_without_panel(asking, words, view), 303)
    slug = asking.article if view not in ("chat", "start") else ""
    return render_template(
        "help/_panel.html",
        view="chat" if view == "chat" else "article" if slug else "start",
        articles=articles.fitting(asking.page, topics()),
        article=article_or_404(slug) if slug else None,
        face=face_of(slug),
        words=words,
        found=search(words),
        checks=checkable(),
        **talk(asking, current()),
    )


@bp.get("/help/search")
@public
def find() -> ResponseReturnValue:
    """What a search in the panel finds, while it is typed."""
    words = request.args.get("q", "")[:200]
    if not wants_fragment():
        return redirect(url_for("help.centre", q=words), 303)
    asking = asker.asking("panel")
    fits = articles.fitting(asking.page, topics())
    return render_template("help/_found.html", words=words, found=search(words), articles=fits, asking=asking)


@bp.get("/help/<slug>")
@public
def show(slug: str) -> str:
    """One article."""
    article = article_or_404(slug)
    asking = asker.Asking(page=request.path, article=slug)
    return render_template("help/article.html", article=article, face=face_of(slug), asking=asking)


@bp.post("/help/<slug>/seen")
@public
def seen(slug: str) -> ResponseReturnValue:
    """An article was opened in a browser: counted for its authors, by nobody's name."""
    workflow.count_view(article_or_404(slug).slug)
    return "", 204


@bp.post("/help/<slug>/answer")
@public
def answer(slug: str) -> ResponseReturnValue:
    """A press on one of the three faces, or why it was only the middle one."""
    article, face = article_or_404(slug), request.form.get("face", "")
    if face not in (HAPPY, NEUTRAL, UNHAPPY):
        abort(400)
    reason = request.form.get("reason", "").strip()[:500]
    workflow.answer_article(slug, asker.reader(), face, reason)
    asking = replace(asker.asking(), article=slug)
    if face == UNHAPPY and not wants_fragment():
        return redirect(url_for("chat.page", article=slug, page=asking.page), 303)
    if wants_fragment():
        context = talk(asking, None) if face == UNHAPPY else {"asking": asking}
        return render_template("help/_answer.html", article=article, face=face, reason=reason, pressed=True, **context)
    return redirect(url_for("help.show", slug=slug, _anchor="answer-page"), 303)


def way_without_panel(asking: asker.Asking, words: str, view: str) -> str:
    """Where the panel's address leads without htmx."""
    if view == "chat":
        return url_for("chat.page", page=asking.page)
    if asking.article:
        return url_for("help.show", slug=asking.article)
    return url_for("help.centre", page=asking.page, q=words or None)


def article_or_404(slug: str) -> articles.Article:
    """The article, with the steps of a disconnection told in the workflow's own words where it asks for them."""
    article = articles.find(slug)
    if article is None:
        abort(404)
    return article.with_steps(Markup(render_template("help/_steps.html", steps=STEPS)))  # noqa: S704 - our template


def face_of(slug: str) -> str | None:
    """What this reader answered before."""
    name = current_user.id if current_user.is_authenticated else session.get("visitor")
    if not name:
        return None
    return db.session.scalar(select(Answer.face).where(Answer.article == slug, Answer.reader == name))


def checkable() -> list[Any]:
    """The connections whose owner may have them checked here."""
    return [each for each in connections(current_user.id) if each.is_living()] if current_user.is_authenticated else []


@bp.app_template_filter("step_title")
def step_title(name: str) -> str:
    """A step's title, as its workflow words it."""
    return BY_NAME[name].title if name in BY_NAME else name.replace("_", " ").capitalize()
