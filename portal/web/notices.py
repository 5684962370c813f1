"""What the card says when a sign-in at Microsoft came back: kept in the session by kind only, worded here."""

from __future__ import annotations

from typing import NamedTuple

from flask import session

from portal.parts import parts

_WORDS = {
    "connected": ("Outlook Calendar is connected", "We are reading your calendars now. You can leave this page."),
    "cancelled": (
        "Nothing was connected",
        "You cancelled at Microsoft, so Coordinoter was given no access. Connect whenever you like.",
    ),
    "declined": (
        "Nothing was connected",
        "The permission was declined at Microsoft, so Coordinoter was given no access.",
    ),
    "admin_approval_needed": (
        "Your administrator has to approve Coordinoter first",
        "Your organisation lets only administrators allow apps to use calendars. Send your administrator the text "
        "below; once they have approved, press Connect to Microsoft again.",
    ),
    "expired": (
        "That sign-in took too long or was already used",
        "For your safety a sign-in is good for ten minutes, once, in the browser that began it. Please connect again.",
    ),
    "policy_blocks": (
        "Your organisation does not allow this sign-in",
        "A rule of your organisation (conditional access) stopped it. Your administrator can tell you more.",
    ),
    "scope_missing": (
        "Calendar access was not included",
        "Microsoft let you sign in but did not give Coordinoter access to your calendar. Connect again and accept the "
        "calendar permission; if it is not offered, your administrator has to approve it.",
    ),
    "no_mailbox": (
        "This account has no Outlook calendar",
        "Microsoft says that there is no cloud mailbox behind this account. Connect another account.",
    ),
    "not_genuine": (
        "Nothing was connected",
        "The answer did not prove to come from Microsoft, so it was thrown away. Please connect again.",
    ),
    "failed": ("Nothing was connected", "Microsoft could not finish the sign-in. Please connect again."),
    "wrong_account": (
        "That was another account",
        "You picked another account than the one to reconnect. Nothing was changed; press Reconnect and pick the "
        "account shown here, or connect the other one in addition.",
    ),
    "still_disconnecting": (
        "This account is just being disconnected",
        "Wait until the disconnection below has ended, then connect again: you will start clean.",
    ),
    "unreachable": (
        "Microsoft is not answering",
        "Nothing was changed. Please try again in a few minutes.",
    ),
    "our_fault": (
        "Coordinoter's own registration at Microsoft has a problem",
        "There is nothing that you could do about it. Our operators have been told; please try again later.",
    ),
}


class Notice(NamedTuple):
    """One message for the card. `extra` may hold `admin_link`."""

    kind: str
    title: str
    text: str
    extra: dict[str, str]


def leave(kind: str) -> None:
    """Keep a notice for the next page."""
    session["notice"] = kind if kind in _WORDS else "failed"


def take() -> Notice | None:
    """The notice that was left, once."""
    kind = session.pop("notice", None)
    if kind not in _WORDS:
        return None
    return Notice(kind, *_WORDS[kind], extra={"admin_link": _admin_link()} if kind == "admin_approval_needed" else {})


def _admin_link() -> str:
    """Microsoft's admin consent page for our registration.

    https://learn.microsoft.com/entra/identity-platform/v2-admin-consent
    """
    settings = parts().settings
    return (
        f"{settings.microsoft_authority}/organizations/v2.0/adminconsent"
        f"?client_id={settings.microsoft_client_id}&scope=Calendars.ReadWrite&redirect_uri={settings.redirect_uri}"
    )
