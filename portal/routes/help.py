"""Help: the centre, its articles with three faces each, the panel on every page, and messages to support."""

from __future__ import annotations

import secrets

from flask import Blueprint, abort, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from markupsafe import Markup
from sqlalchemy import select

from portal.db import db
from portal.models import Answer
from portal.models.answer import HAPPY, NEUTRAL, UNHAPPY
from portal.web import articles, help_form
from portal.web.guards import public
from portal.web.htmx import wants_fragment
from portal.web.limits import stored_messages
from portal.web.redirects import own_path
from portal.workflows import help as workflow
from portal.workflows.disconnect import BY_NAME, STEPS

bp = Blueprint("help", __name__)


@bp.get("/help")
@public
def centre() -> str:
    """Every article; first those for the page that somebody came from without JavaScript."""
    return render_centre(help_form.blank(own_path(request.args.get("page"), "")))


@bp.get("/help/panel")
@public
def panel() -> ResponseReturnValue:
    """The panel that the help icon opens: articles for that page, or one of them."""
    page, slug = own_path(request.args.get("page")), request.args.get("article", "")
    if not wants_fragment():
        return redirect(url_for("help.centre", page=page), 303)
    return render_template(
        "help/_panel.html",
        articles=articles.for_page(page),
        article=article_or_404(slug) if slug else None,
        face=face_of(slug),
        form=help_form.blank(page, slug, place="panel"),
    )


@bp.get("/help/<slug>")
@public
def show(slug: str) -> str:
    """One article."""
    article = article_or_404(slug)
    form = help_form.blank(request.path, slug)
    return render_template("help/article.html", article=article, face=face_of(slug), form=form)


@bp.post("/help/<slug>/answer")
@public
def answer(slug: str) -> ResponseReturnValue:
    """A press on one of the three faces."""
    article, face = article_or_404(slug), request.form.get("face", "")
    if face not in (HAPPY, NEUTRAL, UNHAPPY):
        abort(400)
    workflow.answer_article(slug, reader(), face)
    if wants_fragment():
        return render_template("help/_answer.html", article=article, face=face, form=help_form.carried(slug))
    return redirect(url_for("help.show", slug=slug, _anchor="answer-page"), 303)


@bp.post("/help/messages")
@public
@stored_messages
def send() -> ResponseReturnValue:
    """A message to support."""
    form = help_form.received()
    if form.faults:
        page = render_template("help/_message_form.html", form=form) if wants_fragment() else render_centre(form)
        return page, 422
    member_id = current_user.id if current_user.is_authenticated else None
    workflow.leave_message(form.text, form.reply_to, member_id=member_id, page=form.page, article=form.article)
    if wants_fragment():
        return render_template("help/_message_sent.html", form=form), 201
    flash(f"Your message has reached us. We will answer to {form.reply_to}.")
    return redirect(url_for("help.centre"), 303)


def render_centre(form: help_form.HelpForm) -> str:
    """The help centre around a message form."""
    suggested = articles.for_page(form.page) if form.page else ()
    return render_template("help/centre.html", articles=articles.all_articles(), suggested=suggested, form=form)


def article_or_404(slug: str) -> articles.Article:
    """The article, with the steps of a disconnection told in the workflow's own words where it asks for them."""
    article = articles.find(slug)
    if article is None:
        abort(404)
    return article.with_steps(Markup(render_template("help/_steps.html", steps=STEPS)))  # noqa: S704 - our template


def reader() -> str:
    """Who answers: the member, or a random name kept in a visitor's session from the first answer on."""
    if current_user.is_authenticated:
        return str(current_user.id)
    return str(session.setdefault("visitor", secrets.token_hex(16)))


def face_of(slug: str) -> str | None:
    """What this reader answered before."""
    name = current_user.id if current_user.is_authenticated else session.get("visitor")
    if not name:
        return None
    return db.session.scalar(select(Answer.face).where(Answer.article == slug, Answer.reader == name))


@bp.app_template_filter("step_title")
def step_title(name: str) -> str:
    """A step's title, as its workflow words it."""
    return BY_NAME[name].title if name in BY_NAME else name.replace("_", " ").capitalize()
