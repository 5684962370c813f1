"""Send one mail."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from portal import clock
from portal.parts import parts


def write(to: str, subject: str, text: str, message_id: str) -> EmailMessage:
    """A mail of ours. The same `message_id` twice is shown once by mail programs (RFC 5322 section 3.6.4)."""
    settings = parts().settings
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, settings.mail_from, to
    message["Message-ID"] = f"<{message_id}@{urlsplit(settings.base_url).hostname}>"
    message["Date"] = clock.now()
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday answers, please
    message.set_content(text)
    return message


def deliver(message: EmailMessage) -> None:
    """`smtp://` (STARTTLS whenever the server offers it) or `smtps://`, with user and password if the URL has them.

    Raises OSError, smtplib.SMTPException, and ValueError for a port or password that no server can be told.
    """
    settings = parts().settings
    url = urlsplit(settings.mail_url)
    host, tls = url.hostname or "localhost", ssl.create_default_context()
    if url.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, url.port or 465, timeout=settings.remote_timeout, context=tls)
    else:
        server = smtplib.SMTP(host, url.port or 25, timeout=settings.remote_timeout)
    taken = False
    try:
        with server:
            server.ehlo()
            if url.scheme == "smtp" and server.has_extn("starttls"):
                server.starttls(context=tls)
                server.ehlo()
            if url.username:
                server.login(unquote(url.username), unquote(url.password or ""))
            server.send_message(message)
            taken = True
    except (OSError, smtplib.SMTPException):
        if not taken:  # how the farewell goes says nothing about the mail
            raise
