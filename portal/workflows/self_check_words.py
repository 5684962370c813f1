"""Plain words for what a self-check finds: the sentence, who can mend it, and the way."""

from __future__ import annotations

from portal.providers.base import AccessReason

CARD = "/integrations"
OURS = ("us", "There is nothing you could do. Send this to our support, so that we know.", "/chat")
WAIT = ("nobody", "Wait a few minutes and check again. We keep trying by ourselves.", "")

_RECONNECT = ("you", "Press Reconnect on the card.", CARD)
_ADMIN = "your administrator"

_OF: dict[AccessReason, tuple[str, str, str, str]] = {
    AccessReason.CONSENT_WITHDRAWN: ("The permission was withdrawn at Microsoft.", *_RECONNECT),
    AccessReason.TOKEN_EXPIRED: ("Our access has lapsed at Microsoft.", *_RECONNECT),
    AccessReason.SIGN_IN_NEEDED: ("Microsoft wants you to sign in again.", *_RECONNECT),
    AccessReason.POLICY_BLOCKS: (
        "A rule of your organisation keeps us out.",
        _ADMIN,
        "Ask them about conditional access for Coordinoter.",
        CARD,
    ),
    AccessReason.ACCOUNT_DISABLED: (
        "Your organisation has switched this Microsoft account off.",
        _ADMIN,
        "Ask them to switch it on, or disconnect.",
        CARD,
    ),
    AccessReason.ACCOUNT_MISSING: (
        "This Microsoft account does not exist any more.",
        "you",
        "Disconnect, then connect the account you use now.",
        CARD,
    ),
    AccessReason.APP_REMOVED: (
        "Coordinoter was removed from your organisation.",
        _ADMIN,
        "Ask them to allow it again, then press Reconnect.",
        CARD,
    ),
    AccessReason.SCOPE_MISSING: (
        "The permission to read calendars is missing.",
        "you",
        "Press Reconnect and leave every permission ticked.",
        CARD,
    ),
    AccessReason.NO_MAILBOX: (
        "There is no mailbox behind this account.",
        "you",
        "Connect an account that has a calendar in Outlook.",
        CARD,
    ),
    AccessReason.TOKEN_UNREADABLE: ("We cannot open our own key to this connection.", *_RECONNECT),
}


def of_reason(reason: AccessReason) -> tuple[str, str, str, str]:
    """Sentence, who, way and link."""
    return _OF[reason]
