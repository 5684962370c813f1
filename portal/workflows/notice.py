"""The notice by mail that a calendar was disconnected: to the member's address at the portal, never to the mailbox."""

from __future__ import annotations

import logging
import smtplib
import ssl
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from portal import clock
from portal.db import db
from portal.models import Disconnection
from portal.parts import parts
from portal.workflows.promise import Work, at

logger = logging.getLogger("portal.notice")

TRIES = 2

TEXT = """Hello {name},

Outlook Calendar was disconnected from Coordinoter on {when}.

Syncing has stopped, and our copies of your events and our tokens were erased. Your receipt says what we did, what
lapses by itself and when, and what only you can do at Microsoft:

{link}

If this was not you, sign in, look at Manage Integrations, and press the help icon at the bottom right.
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
            _deliver(settings.mail_url, message, settings.remote_timeout)
        except (OSError, smtplib.SMTPException) as error:
            logger.warning("the notice of disconnection %s was not sent: %s", work.id, type(error).__name__)
            continue
        work.row().mailed_at = clock.now()
        db.session.commit()
        return "A notice was mailed to you."
    return "The notice by mail could not be sent; this page says the same."


def _write(row: Disconnection) -> EmailMessage:
    settings = parts().settings
    message = EmailMessage()
    message["Subject"] = "Outlook Calendar was disconnected from Coordinoter"
    message["From"], message["To"] = settings.mail_from, row.member.email
    message["Message-ID"] = f"<disconnection-{row.id}@{urlsplit(settings.base_url).hostname}>"
    message["Date"] = clock.now()
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday answers, please
    link = f"{settings.base_url}/disconnections/{row.id}"
    message.set_content(TEXT.format(name=row.member.name, when=at(clock.now()), link=link))
    return message


def _deliver(mail_url: str, message: EmailMessage, timeout: float) -> None:
    """`smtp://` (STARTTLS whenever the server offers it) or `smtps://`, with user and password if the URL has them."""
    url = urlsplit(mail_url)
    host, tls = url.hostname or "localhost", ssl.create_default_context()
    if url.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, url.port or 465, timeout=timeout, context=tls)
    else:
        server = smtplib.SMTP(host, url.port or 25, timeout=timeout)
    with server:
        server.ehlo()
        if url.scheme == "smtp" and server.has_extn("starttls"):
            server.starttls(context=tls)
            server.ehlo()
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        server.send_message(message)
