"""What Microsoft still holds, as plain data without a secret in it: the page and the API both show this."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ..identity.token import why_dead
from ..ids import RESOURCES
from ..records.desk import Call
from ..records.identity import AccessToken, Grant, Person, RefreshToken
from ..records.mailbox import Delivery, Subscription
from ..storage import Storage


def iso(moment: datetime | None) -> str | None:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if moment else None


def account(storage: Storage, person: Person) -> dict[str, Any]:
    """One account and everything Microsoft holds for applications that ask on its behalf."""
    with storage.lock:
        storage.drop_expired_subscriptions()
        box = storage.mailbox(person.oid)
        tenant = storage.tenants[person.tid]
        return {
            "address": person.address,
            "name": person.name,
            "oid": person.oid,
            "tid": person.tid,
            "tenant": tenant.domain,
            "kind": "personal" if tenant.personal else "work",
            "admin": person.admin,
            "enabled": person.enabled,
            "mailbox_error": person.mailbox or None,
            "sign_in_problem": person.problem or None,
            "withheld": sorted(person.withheld),
            "challenge": person.challenge or None,
            "grants": [grant(storage, g) for g in storage.grants.values() if _covers(g, person)],
            "refresh_tokens": _refresh_tokens(storage, person),
            "access_tokens": _access_tokens(storage, person),
            "subscriptions": [subscription(s) for s in storage.subscriptions.values() if s.oid == person.oid],
            "mails": {"invitations": box.invitations, "cancellations": box.cancellations},
            "delta_links": sum(1 for delta in box.deltas.values() if not delta.spent),
            "calendars": [
                {
                    "id": calendar.id,
                    "name": calendar.name,
                    "default": calendar.default,
                    "events": sum(1 for event in box.events.values() if event.calendar == calendar.id),
                }
                for calendar in box.calendars.values()
            ],
        }


def _covers(held: Grant, person: Person) -> bool:
    return held.tid == person.tid and held.principal in {person.oid, None}


def grant(storage: Storage, held: Grant) -> dict[str, Any]:
    """A consent; `tenant_wide` ones no single person can withdraw."""
    return {
        "id": held.id,
        "application": storage.clients[held.client].name if held.client in storage.clients else held.client,
        "client_id": held.client,
        "tenant_wide": held.principal is None,
        "resource": next(name for name, app in RESOURCES.items() if app == held.resource),
        "scopes": sorted(held.scopes, key=str.lower),
        "since": iso(held.made),
    }


def _refresh_tokens(storage: Storage, person: Person) -> dict[str, Any]:
    """`living` would be honoured now; `dead` are known but would be refused."""
    tokens = [token for token in storage.refresh_tokens.values() if token.oid == person.oid]
    living = [token for token in tokens if _usable(storage, token, person)]
    last = max((token.used for token in living), default=None)
    return {"living": len(living), "dead": len(tokens) - len(living), "last_used": iso(last)}


def _usable(storage: Storage, token: RefreshToken, person: Person) -> bool:
    now_dead = why_dead(storage, token, person)
    consented = frozenset(token.scopes) <= storage.consented(person, token.client)
    return not now_dead and person.enabled and consented and storage.principal(person.tid, token.client).enabled


def _access_tokens(storage: Storage, person: Person) -> dict[str, Any]:
    """`last_expires` is the moment from which no access token of this account opens anything any more."""
    now = storage.clock.now()
    living: list[AccessToken] = [
        token for token in storage.access_tokens.values() if token.oid == person.oid and token.expires > now
    ]
    return {"living": len(living), "last_expires": iso(max((token.expires for token in living), default=None))}


def subscription(held: Subscription) -> dict[str, Any]:
    return {
        "id": held.id,
        "client_id": held.client,
        "resource": held.resource,
        "change_type": ",".join(sorted(held.changes)),
        "notification_url": held.url,
        "lifecycle_url": held.lifecycle_url or None,
        "expires": iso(held.expires),
        "authorized_until": iso(held.access_until),
    }


def call(held: Call) -> dict[str, Any]:
    return {
        "at": iso(held.at),
        "method": held.method,
        "path": held.path,
        "query": held.query,
        "body": held.body,
        "status": held.status,
        "account": held.account or None,
        "request_id": held.request_id,
        "client_request_id": held.client_request_id or None,
        "user_agent": held.agent,
        "fault": held.fault or None,
    }


def delivery(held: Delivery) -> dict[str, Any]:
    return {
        "id": held.id,
        "url": held.url,
        "kind": held.kind,
        "subscriptions": sorted(set(held.subscriptions)),
        "notifications": len(held.body["value"]),
        "queued": iso(held.queued),
        "due": iso(held.due),
        "attempts": held.attempts,
        "outcome": held.outcome,
        "note": held.note,
    }


def whole(storage: Storage) -> dict[str, Any]:
    """The state of the sandbox at one glance."""
    return {
        "now": iso(storage.clock.now()),
        "clock_offset_seconds": round(storage.clock.offset.total_seconds(), 3),
        "accounts": [account(storage, person) for person in storage.people.values()],
        "approval_requests": [
            {
                "address": storage.people[each.oid].address,
                "client_id": each.client,
                "scopes": sorted(each.scopes),
                "reason": each.reason,
                "sent": iso(each.sent),
            }
            for each in storage.requests
        ],
        "tenants": [
            {"id": t.id, "domain": t.domain, "name": t.name, "consent": t.consent} for t in storage.tenants.values()
        ],
        "applications": [
            {
                "client_id": c.id,
                "name": c.name,
                "redirect_uris": c.redirect_uris,
                "logout_url": c.logout_url or None,
                "secrets": [{"hint": s.hint, "expires": iso(s.expires)} for s in c.secrets],
                "certificates": len(c.certificates),
                "permissions": list(c.permissions),
                "app_permissions": list(c.app_permissions),
                "id_tokens": c.id_tokens,
            }
            for c in storage.clients.values()
        ],
    }
