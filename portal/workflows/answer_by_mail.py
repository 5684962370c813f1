"""Answer by mail whoever is not there to read it in the portal."""

from __future__ import annotations

import logging
import smtplib
from datetime import timedelta

from sqlalchemy import select

from portal import clock, durable
from portal.db import db
from portal.models import Conversation, Entry
from portal.models.entry import MESSAGE
from portal.parts import parts
from portal.workflows import mail

logger = logging.getLogger("portal.answer_by_mail")

PATIENCE = timedelta(minutes=2)
"""How long an answer may lie unread in the portal before it is mailed as well."""

TEXT = """Hello{name},

our support has answered you:

{answers}

{way}
"""


@durable.every("answer_by_mail", "* * * * *")
def answer_by_mail() -> int:
    """Once a minute: every answer that has been unread for a while. Returns how many mails were sent."""
    if not parts().settings.mail_url:
        return 0
    ids = list(
        db.session.scalars(
            select(Entry.conversation_id)
            .join(Conversation, Conversation.id == Entry.conversation_id)
            .where(
                Entry.by_support,
                Entry.kind == MESSAGE,
                Entry.at < clock.now() - PATIENCE,
                Entry.number > Conversation.person_read,
                Entry.number > Conversation.mailed,
            )
            .distinct()
        )
    )
    db.session.rollback()
    return sum(_answer(conversation_id) for conversation_id in ids)


def _answer(conversation_id: str) -> bool:
    conversation = db.session.get_one(Conversation, conversation_id)
    answers = db.session.scalars(
        select(Entry)
        .where(
            Entry.conversation_id == conversation_id,
            Entry.by_support,
            Entry.kind == MESSAGE,
            Entry.number > max(conversation.person_read, conversation.mailed),
        )
        .order_by(Entry.number)
    ).all()
    if not answers or not conversation.reply_to:
        db.session.rollback()
        return False
    member, last = conversation.member, answers[-1].number
    link = f"{parts().settings.base_url}/chat/{conversation.id}"
    message = mail.write(
        conversation.reply_to,
        "Coordinoter’s support has answered you",
        TEXT.format(
            name=f" {member.name}" if member else "",
            answers="\n\n".join(entry.text or "(a picture)" for entry in answers),
            way=f"Go on with the conversation here: {link}"
            if member
            else "To go on, write to us from the sign-in page.",
        ),
        f"answer-{conversation.id}-{last}",
    )
    db.session.rollback()
    try:
        mail.deliver(message)
    except (OSError, smtplib.SMTPException) as error:
        logger.warning("an answer in %s was not mailed: %s", conversation_id, type(error).__name__)
        return False
    conversation = db.session.get_one(Conversation, conversation_id, with_for_update=True)
    conversation.mailed = max(conversation.mailed, last)
    db.session.commit()
    return True
