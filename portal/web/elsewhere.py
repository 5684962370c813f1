"""Help by another service: what its widget needs to be allowed, and what it is told. Nothing of it is loaded otherwise.

The lists follow each vendor's own page; a browser may talk to these hosts and no others.
https://www.intercom.com/help/en/articles/3894-using-intercom-with-content-security-policy
https://developer.zendesk.com/documentation/zendesk-web-widget-sdks/sdks/web/csp/
"""

from __future__ import annotations

import json
from typing import Any, cast

from flask import Flask, current_app

from portal.config import Settings
from portal.widget import CHATWOOT, INTERCOM, ZENDESK, Widget

_INTERCOM_IMAGES = (
    "blob: data: https://js.intercomcdn.com https://static.intercomassets.com https://downloads.intercomcdn.com "
    "https://uploads.intercomusercontent.com https://gifs.intercomcdn.com https://messenger-apps.intercom.io"
)
_ZENDESK = "https://static.zdassets.com https://ekr.zdassets.com https://*.zendesk.com https://api.smooch.io"

ALLOWED: dict[str, dict[str, str]] = {
    INTERCOM: {
        "script-src": "https://app.intercom.io https://widget.intercom.io https://js.intercomcdn.com",
        "connect-src": "https://*.intercom.io wss://*.intercom.io https://*.intercom-messenger.com "
        "wss://*.intercom-messenger.com https://uploads.intercomcdn.com https://uploads.intercomusercontent.com",
        "frame-src": "https://intercom-sheets.com https://www.intercom-reporting.com",
        "font-src": "https://js.intercomcdn.com https://fonts.intercomcdn.com",
        "media-src": "https://js.intercomcdn.com",
        "img-src": _INTERCOM_IMAGES,
        "style-src": "'unsafe-inline'",
    },
    ZENDESK: {
        "script-src": _ZENDESK,
        "connect-src": f"{_ZENDESK} https://media.smooch.io wss://*.zendesk.com wss://api.smooch.io",
        "frame-src": _ZENDESK,
        "font-src": "https://static.zdassets.com",
        "media-src": "https://static.zdassets.com",
        "img-src": f"{_ZENDESK} https://media.smooch.io https://*.zdusercontent.com blob: data:",
        "style-src": "'unsafe-inline'",
    },
    CHATWOOT: {
        "script-src": "{origin}",
        "connect-src": "{origin}",
        "frame-src": "{origin}",
        "img-src": "{origin} data:",
        "style-src": "'unsafe-inline'",
    },
}


def setup(app: Flask) -> None:
    """Let templates know whose icon it is."""
    app.add_template_global(widget, "help_widget")
    app.add_template_global(told, "widget_settings")


def widget() -> Widget:
    """The one that is set."""
    return cast(Settings, current_app.extensions["settings"]).help_widget


def told(context: dict[str, Any]) -> str:
    """What the adapter in the browser is told: kind, public key, and the situation of the page; no name, no address."""
    chosen = widget()
    return json.dumps({"kind": chosen.kind, "key": chosen.key, "origin": chosen.origin, "context": context})


def allow(directives: dict[str, str], chosen: Widget) -> dict[str, str]:
    """Our policy, widened for the chosen service alone."""
    more = ALLOWED.get(chosen.kind, {})
    wider = {
        name: f"{directives.get(name, '')} {hosts.format(origin=chosen.origin)}".strip() for name, hosts in more.items()
    }
    return {**directives, **wider}
