"""What Microsoft, an administrator, or the person does at Microsoft's side. The page's forms and the API call these."""

from __future__ import annotations

from datetime import timedelta

from ..config import Config
from ..graph.courier import Courier
from ..identity.consent import end, grant
from ..identity.keys import KeyRing
from ..identity.scopes import PERMISSIONS
from ..ids import CONSUMERS, RESOURCES, digest, new_id
from ..mailbox import add_calendar
from ..records.identity import Person, Secret, Tenant
from ..seed import fill, seed
from ..sessions import sign_out_everywhere
from ..storage import Storage


class Refused(ValueError):
    """Why the desk will not do what was asked; its text may be shown as it is."""


def person(storage: Storage, address: str) -> Person:
    """Raises Refused."""
    found = storage.person(address)
    if found is None:
        raise Refused(f"There is no account {address!r}.")
    return found


def tenant(storage: Storage, name: str) -> Tenant:
    """A directory by domain or GUID. Raises Refused."""
    found = storage.tenant(name)
    if found is None:
        raise Refused(f"There is no directory {name!r}.")
    return found


def set_policy(where: Tenant, consent: str) -> None:
    """Who may consent to calendar scopes. Raises Refused."""
    if consent not in {"open", "default", "workflow"}:
        raise Refused("consent must be open, default or workflow.")
    where.consent = consent


MISFORTUNES = {
    "none": "nothing any more",
    "50076": "multi-factor authentication is asked for (AADSTS50076)",
    "50079": "enrolment is asked for (AADSTS50079)",
    "70043": "sign-in frequency has passed (AADSTS70043)",
    "53003": "Conditional Access blocks (AADSTS53003)",
    "mailbox": "no mailbox in the cloud (MailboxNotEnabledForRESTAPI)",
    "withheld": "calendar scopes are not granted",
    "challenge": "Graph asks for further claims",
}
STEP_UP = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'


def misfortune(storage: Storage, who: Person, what: str) -> str:
    """Set one of MISFORTUNES on an account; `none` lifts them all. What was done, in words. Raises Refused."""
    if what not in MISFORTUNES:
        raise Refused("There is no such misfortune.")
    with storage.lock:
        if what == "none":
            who.problem, who.mailbox, who.withheld, who.challenge = 0, "", frozenset(), ""
        elif what == "mailbox":
            who.mailbox = "MailboxNotEnabledForRESTAPI"
        elif what == "withheld":
            who.withheld = frozenset(name for name in PERMISSIONS if name.startswith("Calendars."))
        elif what == "challenge":
            who.challenge = STEP_UP
        else:
            who.problem = int(what)
    return MISFORTUNES[what]


def add_person(storage: Storage, address: str, name: str = "", *, admin: bool = False, events: bool = True) -> Person:
    """A new account in the directory of its domain; an unknown domain becomes a new directory."""
    local, _, domain = address.strip().lower().partition("@")
    if not local or not domain:
        raise Refused("An address needs a name, an @ and a domain.")
    with storage.lock:
        if storage.person(address):
            raise Refused(f"{address} exists already.")
        home = storage.tenant(domain)
        if home is None:
            home = Tenant(new_id(), domain, domain.partition(".")[0].title())
            storage.tenants[home.id] = home
        oid = new_id()
        if home.id == CONSUMERS:
            oid = f"00000000-0000-0000-{oid[19:]}"
        made = Person(
            oid, home.id, address.strip().lower(), name or local.replace(".", " ").title(), storage.clock.now(),
            admin=admin and not home.personal,
        )  # fmt: skip
        storage.people[oid] = made
        if events:
            fill(storage, oid)
        else:
            add_calendar(storage, oid, "Calendar")
        return made


def withdraw(storage: Storage, who: Person, *, tenant_wide: bool = False) -> int:
    """Consent is taken back: the person's own, or (by their administrator) the tenant's. How many grants went."""
    with storage.lock:
        gone = [
            held
            for held in storage.grants.values()
            if held.tid == who.tid and (held.principal is None if tenant_wide else held.principal == who.oid)
        ]
        for held in gone:
            end(storage, held)
        return len(gone)


def consent(
    storage: Storage, who: Person, client: str, scopes: frozenset[str], *, tenant_wide: bool = False, resource: str = ""
) -> str:
    """Consent given without any page, to one of RESOURCES; the grant's id. Raises Refused."""
    if (resource or "graph") not in RESOURCES:
        raise Refused(f"resource must be one of {', '.join(RESOURCES)}.")
    return grant(storage, who, client, scopes, tenant_wide, RESOURCES[resource or "graph"]).id


def revoke_sessions(storage: Storage, who: Person) -> None:
    """All refresh tokens and browser sessions of the account end; consent stays."""
    sign_out_everywhere(storage, who)


def change_password(storage: Storage, courier: Courier, who: Person, *, by_admin: bool) -> None:
    """A web application's refresh token survives the person's own change, not a reset by an administrator.

    Either way Outlook's subscriptions are removed, with a word to their lifecycle URLs.
    """
    if by_admin:
        revoke_sessions(storage, who)
    _drop_subscriptions(storage, courier, who)


def enable(storage: Storage, courier: Courier, who: Person, enabled: bool) -> None:
    with storage.lock:
        who.enabled = enabled
    if not enabled:
        _drop_subscriptions(storage, courier, who)


def _drop_subscriptions(storage: Storage, courier: Courier, who: Person) -> None:
    for held in [s for s in storage.subscriptions.values() if s.oid == who.oid]:
        courier.remove(held)


def expire_tokens(storage: Storage, who: Person, kinds: frozenset[str]) -> int:
    """End access and/or refresh tokens before their time; how many ended."""
    now, ended = storage.clock.now(), 0
    with storage.lock:
        if "access" in kinds:
            for access in storage.access_tokens.values():
                if access.oid == who.oid and access.expires > now:
                    access.expires, ended = now, ended + 1
        if "refresh" in kinds:
            for refresh in storage.refresh_tokens.values():
                if refresh.oid == who.oid and not refresh.ended:
                    refresh.ended, ended = 70008, ended + 1
    return ended


def reset(storage: Storage, config: Config, courier: Courier) -> None:
    """The sandbox forgets everything and starts as on its first day, at real time."""
    with storage.lock:
        courier.clear()
        storage.clear()
        storage.clock.set(timedelta(0))
        seed(storage, config)


def set_secret(storage: Storage, client: str, *, secret: str = "", expired: bool | None = None) -> None:
    """The registration's secret is replaced, or expires (or is renewed)."""
    if client not in storage.clients:
        raise Refused(f"There is no application {client!r}.")
    with storage.lock:
        held = storage.clients[client]
        if secret:
            held.secrets = [Secret(digest(secret), secret[:3])]
        if expired is not None:
            for each in held.secrets:
                each.expires = storage.clock.now() if expired else None


def roll_keys(keys: KeyRing, *, forget: bool = False) -> None:
    keys.roll(forget)
