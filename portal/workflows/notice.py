"""The notice by mail that a calendar was disconnected: to the member's address at the portal, never to the mailbox."""

from __future__ import annotations

import logging
import smtplib
from email.message import EmailMessage

from portal import clock
from portal.db import db
from portal.models import Disconnection
from portal.models.disconnection_step import FAILED
from portal.parts import parts
from portal.workflows import mail
from portal.workflows.promise import Work, at

logger = logging.getLogger("portal.notice")

TRIES = 2
PROOF = "prove_nothing_remains"  # which looks at all that was erased, and makes up for what was not

ERASED = "Our copies of your events and our tokens were erased."
NOT_ALL_ERASED = "Not everything could be erased; our operators look into it."

TEXT = """Hello {name},

Outlook Calendar was disconnected from Coordinoter on {when}.

Syncing has stopped. {erased} Your receipt says what we did, what lapses by
itself and when, and what only you can do at Microsoft:

{link}

If you did not ask for this, sign in, look at Manage Integrations, and press the help icon at the bottom right.
"""


def send(work: Work) -> str:
    """Send it once; returns the sentence for the receipt. Mail that cannot be sent never holds the receipt back.

    A kill between sending and noting it may send it twice: both carry the same Message-ID, so that mail programs
    show one (RFC 5322 section 3.6.4).
    """
    settings = parts().settings
    row = work.row()
    if not settings.mail_url:
        db.session.rollback()
        return "No mail was sent: this portal has no mail set up."
    if row.mailed_at is not None:
        db.session.rollback()
        return "A notice was mailed to you."
    message = _write(row)
    db.session.rollback()
    for _ in range(TRIES):
        try:
            mail.deliver(message)
        except (OSError, ValueError, smtplib.SMTPException) as error:
            logger.warning("the notice of disconnection %s was not sent: %s", work.id, type(error).__name__)
            continue
        work.row().mailed_at = clock.now()
        db.session.commit()
        return "A notice was mailed to you."
    return "We have no word that the notice by mail was taken; this page says the same."


def _write(row: Disconnection) -> EmailMessage:
    link = f"{parts().settings.base_url}/disconnections/{row.id}"
    failed = any(step.outcome == FAILED and step.name == PROOF for step in row.steps)
    text = TEXT.format(
        name=row.member.name, when=at(clock.now()), erased=NOT_ALL_ERASED if failed else ERASED, link=link
    )
    subject = "Outlook Calendar was disconnected from Coordinoter"
    return mail.write(row.member.email, subject, text, f"disconnection-{row.id}")
