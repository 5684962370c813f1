"""What the card says when a sign-in at Microsoft came back: kept in the session by kind only, worded here."""

from __future__ import annotations

from typing import NamedTuple

from flask import session

from portal.web.administrators import approval_link, approval_text
from portal.web.articles import explaining

OUTLOOK = "outlook-calendar"

_WORDS = {
    "connected": (
        "good",
        "Outlook Calendar is connected",
        "We are reading your calendars now. You can leave this page.",
    ),
    "cancelled": (
        "info",
        "Nothing was connected",
        "You cancelled at Microsoft, so Coordinoter was given no access. Connect whenever you like. If Microsoft asked "
        "for an administrator's approval, press the button for that on the card: we have a text for them.",
    ),
    "declined": (
        "info",
        "Nothing was connected",
        "The permission was declined at Microsoft, so Coordinoter was given no access. If Microsoft asked for an "
        "administrator's approval, press the button for that on the card: we have a text for them.",
    ),
    "admin_approval_needed": (
        "wait",
        "Your administrator has to approve Coordinoter first",
        "Your organisation lets only administrators allow apps to use calendars. Send your administrator the text "
        "below. The card remembers that you wait; once they have approved, press Look again there.",
    ),
    "expired": (
        "wait",
        "That sign-in took too long or was already used",
        "For your safety a sign-in is good for ten minutes, once, in the browser that began it. Please connect again.",
    ),
    "policy_blocks": (
        "wait",
        "Your organisation does not allow this sign-in",
        "A rule of your organisation (conditional access) stopped it. Your administrator can tell you more.",
    ),
    "scope_missing": (
        "wait",
        "Calendar access was not included",
        "Microsoft let you sign in but did not give Coordinoter access to your calendar. Connect again and accept the "
        "calendar permission; if it is not offered, your administrator has to approve it. Until then Coordinoter may "
        "stand in that account's list of apps at Microsoft, where you can remove it.",
    ),
    "no_mailbox": (
        "info",
        "This account has no Outlook calendar",
        "Microsoft says that there is no cloud mailbox behind this account. Connect another account. Coordinoter may "
        "stand in this one's list of apps at Microsoft now; you can remove it there.",
    ),
    "not_genuine": (
        "wait",
        "Nothing was connected",
        "The answer did not prove to come from Microsoft, so it was thrown away. Please connect again.",
    ),
    "failed": ("wait", "Nothing was connected", "Microsoft could not finish the sign-in. Please connect again."),
    "wrong_account": (
        "info",
        "That was another account",
        "You picked another account than the one to reconnect. Nothing was changed here; press Reconnect and pick "
        "the account shown here, or connect the other one in addition. If you want neither, remove Coordinoter from "
        "the other account's list of apps at Microsoft.",
    ),
    "still_disconnecting": (
        "wait",
        "This account is just being disconnected",
        "Wait until the disconnection below has ended, then connect again: you will start clean.",
    ),
    "admin_approved": (
        "good",
        "Approved, says Microsoft",
        "An administrator has just approved Coordinoter for their organisation. Its people can connect now.",
    ),
    "approval_refused": (
        "info",
        "Not approved, says Microsoft",
        "The approval for the organisation was cancelled or refused at Microsoft. Nothing was changed; the same link "
        "stays good.",
    ),
    "unreachable": (
        "wait",
        "Microsoft is not answering",
        "Nothing was changed. Please try again in a few minutes.",
    ),
    "keys_away": (
        "bad",
        "Coordinoter cannot reach the database of its keys",
        "That is on our side, and nothing was connected. Please try again in a few minutes.",
    ),
    "our_fault": (
        "bad",
        "Coordinoter's own registration at Microsoft has a problem",
        "There is nothing that you could do about it. Our operators have been told; please try again later.",
    ),
}


class Notice(NamedTuple):
    """One message for the card. `tone` is good, info, wait or bad; `extra` see templates/integrations/_notice.html."""

    tone: str
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
    extra = {"help": explaining(kind)} if kind != "connected" else {}
    if kind == "admin_approval_needed":
        extra |= {"admin_link": approval_link(OUTLOOK), "admin_text": approval_text(OUTLOOK)}
    return Notice(*_WORDS[kind], extra=extra)
