"""Who answers behind the help icon: ourselves, or a service that the operator has chosen."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

OWN, INTERCOM, ZENDESK, CHATWOOT = "own", "intercom", "zendesk", "chatwoot"
KEY = re.compile(r"[\w-]{4,80}")


@dataclass(frozen=True)
class Widget:
    """`own`, `intercom:APP_ID`, `zendesk:KEY` or `chatwoot:URL,TOKEN`. Keys are public: every browser gets them."""

    kind: str = OWN
    key: str = ""
    origin: str = ""

    @classmethod
    def read(cls, text: str) -> Widget:
        """From a setting. Raises ValueError for what makes no sense."""
        kind, _, rest = text.strip().partition(":")
        origin, key = rest.rsplit(",", 1) if kind == CHATWOOT and "," in rest else ("", rest)
        if kind in ("", OWN) and not rest:
            return cls()
        if kind not in (INTERCOM, ZENDESK, CHATWOOT) or not KEY.fullmatch(key):
            raise ValueError(text)
        parts = urlsplit(origin)
        if kind == CHATWOOT and (parts.scheme != "https" or not parts.hostname or parts.path.rstrip("/")):
            raise ValueError(text)
        return cls(kind, key, origin.rstrip("/"))

    def is_own(self) -> bool:
        """Whether our own panel and desk answer."""
        return self.kind == OWN
