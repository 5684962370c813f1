"""The world a fresh sandbox starts with: three directories, five people, and what is in their calendars this month."""

from __future__ import annotations

import random
from datetime import date, datetime, time, timedelta
from typing import Any

from .config import Config
from .ids import CONSUMERS, digest
from .mailbox import add_calendar, add_event, add_exception
from .records.identity import Client, Person, Secret, Tenant
from .records.mailbox import Event
from .storage import Storage

CONTOSO = "11111111-2222-4333-8444-555555555555"
WINGTIP = "66666666-7777-4888-9999-000000000000"
BERLIN, LONDON, SEATTLE, MUMBAI = (
    "W. Europe Standard Time",
    "GMT Standard Time",
    "Pacific Standard Time",
    "India Standard Time",
)

# oid, tenant, address, name, administrator, zone, further calendars
PEOPLE: tuple[tuple[str, str, str, str, bool, str, tuple[str, ...]], ...] = (
    ("ade1e000-0000-4000-8000-000000000001", CONTOSO, "adele@contoso.example", "Adele Vance", False, BERLIN,
     ("Product launch", "Family")),
    ("ad314000-0000-4000-8000-000000000002", CONTOSO, "admin@contoso.example", "Contoso Admin", True, BERLIN,
     ("Change board",)),
    ("00000000-0000-0000-3f2a-9c01b7d45e03", CONSUMERS, "megan@outlook.example", "Megan Bowen", False, LONDON,
     ("Choir",)),
    ("4a710000-0000-4000-8000-000000000004", WINGTIP, "ravi@wingtip.example", "Ravi Menon", False, MUMBAI,
     ("Field visits",)),
    ("ad314000-0000-4000-8000-000000000005", WINGTIP, "admin@wingtip.example", "Wingtip Admin", True, SEATTLE,
     ("Audits",)),
)  # fmt: skip

# day from today, start, minutes, subject, place
SINGLES: tuple[tuple[int, str, int, str, str], ...] = (
    (-6, "09:30", 45, "Budget check-in", "Room Aspen"),
    (-5, "14:00", 60, "Interview: support engineer", "Microsoft Teams Meeting"),
    (-3, "11:00", 30, "Call with the landlord", ""),
    (-2, "16:00", 60, "Customer workshop follow-up", "Room Birch"),
    (0, "10:00", 30, "Coffee with the new starters", "Canteen"),
    (0, "15:00", 60, "Roadmap review", "Room Aspen"),
    (1, "13:00", 45, "Contract questions with legal", "Microsoft Teams Meeting"),
    (2, "09:00", 90, "Incident review: October", "Room Cedar"),
    (3, "17:30", 60, "Town hall", "Auditorium"),
    (6, "10:30", 60, "Supplier negotiation", "Room Birch"),
    (8, "12:00", 60, "Lunch with Pradeep", "Trattoria Verde"),
    (12, "14:30", 120, "Planning the next quarter", "Room Aspen"),
    (17, "08:00", 60, "Train to Hamburg", "Platform 7"),
    (21, "11:30", 45, "Review of the help articles", ""),
    (27, "15:30", 30, "Handover before the holidays", "Microsoft Teams Meeting"),
)


def seed(storage: Storage, config: Config) -> None:
    """Fill an empty storage."""
    register(storage, config)
    storage.tenants = {
        CONTOSO: Tenant(CONTOSO, "contoso.example", "Contoso"),
        WINGTIP: Tenant(WINGTIP, "wingtip.example", "Wingtip Toys", consent="default", region="AS"),
        CONSUMERS: Tenant(CONSUMERS, "outlook.example", "Microsoft accounts", region=""),
    }
    for oid, tid, address, name, admin, zone, further in PEOPLE:
        storage.people[oid] = Person(
            oid, tid, address, name, storage.clock.now() - timedelta(days=400), admin=admin, time_zone=zone
        )
        fill(storage, oid, further)


def register(storage: Storage, config: Config) -> None:
    """The application of the settings is registered, with the secret and addresses they say."""
    client = storage.clients.setdefault(
        config.client_id.lower(), Client(config.client_id.lower(), "Coordinoter", [], [])
    )
    secret = Secret(digest(config.client_secret), config.client_secret[:3])
    if not any(known.digest == secret.digest for known in client.secrets):
        client.secrets = [secret]
    client.redirect_uris = list(dict.fromkeys((*client.redirect_uris, *config.redirect_uris)))


def fill(storage: Storage, oid: str, further: tuple[str, ...] = ()) -> None:
    """Give a person a default calendar, the further ones, and about 25 events around today."""
    person = storage.people[oid]
    main = add_calendar(storage, oid, "Calendar").id
    others = [
        add_calendar(storage, oid, name, color=color).id
        for name, color in zip(further, ("lightGreen", "lightPink", "lightOrange"), strict=False)
    ]
    today = storage.clock.now().date()
    for number, (day, start, minutes, subject, place) in enumerate(SINGLES):
        calendar = others[number % len(others)] if others and number % 4 == 3 else main
        _single(storage, oid, calendar, today + timedelta(days=day), start, minutes, subject, place)
    monday = today - timedelta(days=7 + today.weekday())
    _series(storage, oid, main, monday, "09:00", 15, "Stand-up", ["monday", "wednesday", "friday"])
    retro = _series(storage, oid, main, monday + timedelta(days=3), "15:00", 60, "Team retrospective", ["thursday"])
    _moved_once(storage, oid, retro, monday + timedelta(days=10))
    _whole_day(storage, oid, main, today + timedelta(days=4), 1, "Public holiday", "free")
    _whole_day(storage, oid, others[0] if others else main, today + timedelta(days=18), 3, "Off-site", "oof")
    private = {"sensitivity": "private", "showAs": "busy"}
    _single(storage, oid, main, today + timedelta(days=1), "08:00", 45, "Dentist", "Dr. Okafor", **private)
    _single(storage, oid, main, today + timedelta(days=9), "18:00", 60, f"{person.name.split()[0]}: doctor", "",
            **private)  # fmt: skip


def more(storage: Storage, oid: str, calendar: str, count: int) -> list[Event]:
    """Add `count` further single events, spread over the coming 30 days, the same ones for the same count."""
    dice = random.Random(count)  # noqa: S311  variety, not secrecy
    today = storage.clock.now().date()
    return [
        _single(
            storage, oid, calendar, today + timedelta(days=number % 30),
            f"{dice.randrange(7, 19):02}:{dice.choice(('00', '15', '30', '45'))}", dice.choice((30, 45, 60)),
            f"{dice.choice(('Call', 'Review', 'Workshop', 'Interview', 'Visit'))} {number + 1}", "",
        )
        for number in range(count)
    ]  # fmt: skip


def _single(
    storage: Storage, oid: str, calendar: str, day: date, start: str, minutes: int, subject: str, place: str,
    **fields: Any,
) -> Event:  # fmt: skip
    begins = datetime.combine(day, time.fromisoformat(start))
    person = storage.people[oid]
    content = {"subject": subject, "location": {"displayName": place}, "body": _body(f"Agenda: {subject}"), **fields}
    if "Workshop" in subject or "Interview" in subject:
        content["attendees"] = [
            {"type": "required", "emailAddress": {"name": "Pradeep Gupta", "address": "pradeep@fabrikam.example"}}
        ]
    return add_event(
        storage, oid, calendar, begins, begins + timedelta(minutes=minutes), person.time_zone, fields=content
    )


def _series(
    storage: Storage, oid: str, calendar: str, first: date, start: str, minutes: int, subject: str, days: list[str]
) -> Event:
    begins = datetime.combine(first, time.fromisoformat(start))
    pattern = {"type": "weekly", "interval": 1, "daysOfWeek": days, "firstDayOfWeek": "monday"}
    recurrence = {"pattern": pattern, "range": {"type": "noEnd", "startDate": first.isoformat()}}
    return add_event(
        storage, oid, calendar, begins, begins + timedelta(minutes=minutes), storage.people[oid].time_zone,
        fields={"subject": subject, "body": _body(subject)}, recurrence=recurrence,
    )  # fmt: skip


def _moved_once(storage: Storage, oid: str, master: Event, day: date) -> None:
    planned = datetime.combine(day, master.start.time())
    add_exception(
        storage, oid, master, planned, start=planned + timedelta(hours=1), end=planned + timedelta(hours=2),
        subject=f"{master.fields['subject']} (moved)",
    )  # fmt: skip


def _whole_day(storage: Storage, oid: str, calendar: str, day: date, days: int, subject: str, show: str) -> None:
    begins = datetime.combine(day, time())
    add_event(
        storage, oid, calendar, begins, begins + timedelta(days=days), storage.people[oid].time_zone, all_day=True,
        fields={"subject": subject, "showAs": show},
    )  # fmt: skip


def _body(text: str) -> dict[str, str]:
    return {"contentType": "html", "content": f"<html><body><p>{text}</p></body></html>"}
