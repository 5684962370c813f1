"""What people send to their administrator: messages ready to copy, with the provider's links and lines in them."""

from __future__ import annotations

from portal.parts import parts

APPROVE = """Hello,

I would like to use Coordinoter to plan meetings around my Outlook calendar. Our organisation lets only \
administrators approve apps that use calendars. Coordinoter asks for Calendars.ReadWrite and User.Read (delegated: \
only for people who connect, and only for their own calendar); it never sees mail, contacts or files.

You can read what it asks for, and approve it, here:
{link}

Thank you!"""

WITHDRAW = """Hello,

I have disconnected my Outlook calendar from Coordinoter. Its permission at Microsoft can only be removed there. \
If our organisation approved Coordinoter for everyone, only an administrator can do that: in the Entra admin center \
under Enterprise applications, or with the lines that I send along.

Application (client) ID: {client_id}

Removing what was approved for everyone ends Coordinoter for all of us. To remove only what I allowed, use the lines \
for one person, with my account in them.

Thank you!"""


def approval_link(slug: str) -> str:
    """The page at which an administrator approves the app for everybody."""
    return parts().providers[slug].handover(parts().settings.redirect_uri).approve


def approval_text(slug: str) -> str:
    """Please approve the app."""
    return APPROVE.format(link=approval_link(slug))


def withdrawal_text() -> str:
    """Please remove the permission."""
    return WITHDRAW.format(client_id=parts().settings.microsoft_client_id)
