"""One cell of the table: connect in fair weather, order the misfortune, disconnect, and judge what it ended in."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from sqlalchemy import delete, select, update

from portal import clock
from portal import parts as portal_parts
from portal.config import Settings
from portal.db import db
from portal.models import Business, Calendar, Connection, Disconnection, Meeting, Member, Placement, Receipt, Token
from portal.parts import parts
from portal.providers.outlook.outlook import OutlookProvider
from portal.providers.outlook.wire import Wire
from portal.workflows import carry_out, connect, disconnect, erase, intent, push, receipt, sync
from tests.weather.expected import BELIEVED, DEFINITE, HARMLESS, REMOVING, REVOKING, Expected, fair, read_cell
from tests.weather.weathers import AFTER, HASTE, PATIENCE, TARGETS, Detour, Elsewhere, closed_port, order
from tests.world import CLIENT_ID, Visitor, World

ALICE, ADELE = "alice@northwind.example", "adele@contoso.example"
OUTLOOK = "outlook-calendar"
APPLICATION = f"tenants/contoso.example/applications/{CLIENT_ID}"
RIGHT = "DelegatedPermissionGrant.ReadWrite.All"
REMOTE = ("end_notifications", "remove_our_meetings", "withdraw_access", "try_the_old_token")
STEP = {"list": 0, "delete": 0, "refresh": 0, "find": 1, "look": 1, "remove": 1, "discovery": 2}
STEP |= {**dict.fromkeys((*REMOVING, *REVOKING), 2), "probe": 3, "probe_again": 3}
MEETINGS = 3  # fewer than the calls that Microsoft takes at a time, so that each cell has one outcome
SLOW = {"timeout", "drip"}


@dataclass
class Place:
    """A world that many cells share, one after the other, and the host that must never hear of us."""

    world: World
    elsewhere: Elsewhere
    settings: Settings = field(init=False)

    def __post_init__(self) -> None:
        self.settings = parts().settings
        coming = select(Meeting.id).join(Member).where(Member.email == ALICE).order_by(Meeting.starts_at.desc())
        some = db.session.scalars(coming.limit(MEETINGS)).all()
        db.session.execute(delete(Meeting).where(Meeting.id.not_in(some)))
        db.session.commit()

    def patient(self) -> None:
        """The portal as it usually is."""
        self._install(self.settings, Wire(PATIENCE))

    def hurried(self, call: str, weather: str, *, lasting: bool) -> Detour:
        """The portal with little time, with nothing remembered of Microsoft, and a transport ready to be led astray."""
        short = replace(self.settings, disconnect_deadline=0.5 if lasting else 60, retry_first=0.05, retry_longest=0.2)
        detour = Detour(Wire(PATIENCE), Wire(HASTE if weather in SLOW else PATIENCE), **TARGETS[call])
        if weather in {"refused", "no tls"}:
            detour.to = closed_port() if weather == "refused" else self.elsewhere.url.replace("http:", "https:")
            detour.times = None if lasting else 1
        self._install(short, detour)
        return detour

    def _install(self, settings: Settings, adapter: Any) -> None:
        provider = OutlookProvider(
            settings.microsoft_authority,
            settings.microsoft_graph_url,
            settings.microsoft_tenant,
            settings.microsoft_client_id,
            settings.microsoft_client_secret,
            settings.remote_timeout,
            "Coordinoter-tests",
            adapter=adapter,
        )
        made = portal_parts.Parts(settings=settings, vault=parts().vault, providers={OUTLOOK: provider})
        portal_parts.install(self.world.app, made)


def connect_adele(place: Place, *, meetings: bool) -> tuple[str, str]:
    """Alice connects Adele's calendar, by the workflows alone; returns the connection's and the member's id."""
    place.world.microsoft.reset()
    place.patient()
    db.session.rollback()
    member_id = db.session.scalars(select(Member.id).where(Member.email == ALICE)).one()
    url = connect.start(member_id, OUTLOOK, "browser")
    back = Visitor(place.world.app).through_microsoft(url, ADELE)
    connection = connect.finish(member_id, OUTLOOK, "browser", dict(parse_qsl(urlsplit(back).query)))
    connection_id, epoch = connection.id, connection.epoch
    db.session.rollback()
    if meetings:
        sync.sync(connection_id)
        chosen = db.session.scalars(
            select(Calendar.id).where(Calendar.connection_id == connection_id, Calendar.is_default)
        ).one()
        db.session.rollback()
        push.choose(connection_id, epoch, chosen)
        sync.want(connection_id)
    sync.sync(connection_id)
    return connection_id, member_id


def run(place: Place, call: str, weather: str, expected: Expected, *, lasting: bool) -> None:
    """Run one cell; fails when anything is not as expected."""
    microsoft, with_meetings = place.world.microsoft, call in {"find", "look", "remove"}
    connection_id, member_id = connect_adele(place, meetings=with_meetings)
    placed = list(db.session.scalars(select(Placement.provider_id).where(Placement.connection_id == connection_id)))
    db.session.rollback()
    assert bool(placed) is with_meetings
    assert len(microsoft.holds(ADELE)["subscriptions"]) == 1
    arrange(place, call, connection_id)
    if call in {"refresh", "probe_again"}:
        microsoft.desk("POST", f"accounts/{ADELE}/expire-tokens", kinds=["access"])
        forget_that_it_lives(connection_id)
    detour = place.hurried(call, weather, lasting=lasting)
    heard = len(place.elsewhere.heard)
    told = order(call, weather, times=None if lasting else 1, elsewhere=place.elsewhere.url)
    if "kind" in told:
        ordered = requests.post(f"{microsoft.url}/desk/api/faults", json=told, timeout=20)
        assert ordered.ok, ordered.text
    started = disconnect.begin(connection_id, member_id, remove_meetings=with_meetings)
    assert started is not None
    disconnection_id = started.id
    db.session.rollback()
    carry_out.run(disconnection_id)
    db.session.rollback()
    met = detour.led or sum(fault["met"] for fault in microsoft.desk("GET", "faults"))
    assert met >= 1, "the weather was ordered, but no call met it"
    microsoft.mend()
    _judge(place, disconnection_id, connection_id, call, weather, expected, placed, lasting=lasting)
    new = place.elsewhere.heard[heard:]
    assert not [each for each in new if b"earer" in each or b"uthorization" in each or b"token" in each]
    if weather != "no tls":
        assert not new, "a redirect was followed"


def arrange(place: Place, call: str, connection_id: str) -> None:
    """What makes a disconnection need this call: the business's wish, a provider that revokes, a lost answer."""
    microsoft = place.world.microsoft
    db.session.execute(update(Business).values(removes_grants=call in REMOVING))
    if call == "find":
        ago = clock.now() - 2 * intent.SETTLES
        one = select(Placement.id).where(Placement.connection_id == connection_id).limit(1).scalar_subquery()
        db.session.execute(update(Placement).where(Placement.id == one).values(provider_id=None, written_at=ago))
    db.session.commit()
    if call in REMOVING:
        microsoft.desk("PATCH", APPLICATION, app_roles=[RIGHT])
    if call in REVOKING:
        microsoft.desk("POST", "revocation", offered=True)


def forget_that_it_lives(connection_id: str) -> None:
    """The access token is over, and we know it: the next use of it refreshes first."""
    row = db.session.get_one(Token, connection_id)
    row.expires_at = row.lapses_at = row.issued_at
    db.session.commit()


def _judge(
    place: Place,
    disconnection_id: str,
    connection_id: str,
    call: str,
    weather: str,
    expected: Expected,
    placed: list[str],
    *,
    lasting: bool,
) -> None:
    row = db.session.get_one(Disconnection, disconnection_id)
    paper = db.session.get_one(Receipt, disconnection_id)
    body: dict[str, Any] = json.loads(paper.body)
    steps = {step["name"]: step for step in body["steps"]}
    remote = [steps[name] for name in REMOTE]
    trail = "\n".join(f"{step['name']}: {step['outcome']} ({step['attempts']}) {step['detail']}" for step in remote)

    # here: everything gone, in every weather
    assert row.finished_at is not None
    assert erase.remains(connection_id) == []
    assert db.session.get(Connection, connection_id) is None
    assert not parts().vault.has_key(connection_id)
    assert {step["outcome"] for step in body["steps"] if step["name"] not in REMOTE} == {"Done"}, trail
    assert receipt.verify(paper)

    # the outcomes
    assert tuple(step["outcome"] for step in remote) == expected.ends, trail
    db.session.rollback()

    # there: what Microsoft holds
    meetings = len(placed) if expected.meetings == "n" else int(expected.meetings)
    held = _holding(place, expected, meetings, placed)
    assert len(held["subscriptions"]) == expected.subscriptions, trail
    assert len(_ours(place, placed)) == meetings, trail
    assert len(held["grants"]) == expected.grants, trail
    _truth(body, steps, held, call, weather, expected, meetings, trail)

    # how it was tried
    hit = remote[STEP[call]]
    tried = next(step for step in row.steps if step.name == hit["name"])
    if (call, weather) not in DEFINITE and hit["outcome"] != read_cell(fair(call)).ends[STEP[call]]:
        assert tried.ended_at >= row.deadline_at, f"given up too early: {trail}"
    if not lasting and (call, weather) not in DEFINITE | HARMLESS | BELIEVED:
        assert hit["attempts"] >= 2, trail
    if weather == "429 in" and not lasting:
        assert (tried.ended_at - tried.started_at).total_seconds() >= float(AFTER), "Retry-After was not honoured"


def _ours(place: Place, placed: list[str]) -> list[str]:
    answer = place.world.microsoft.desk("GET", f"accounts/{ADELE}/events")
    there = {each[name] for each in answer for name in ("id", "immutable_id")}
    return [event_id for event_id in placed if event_id in there]


def _holding(place: Place, expected: Expected, meetings: int, placed: list[str]) -> Any:
    """What Microsoft holds: a call that we gave up may still be carried out there a moment later."""
    until = time.monotonic() + 3
    while True:
        held = place.world.microsoft.holds(ADELE)
        left = (len(held["subscriptions"]), len(held["grants"]), len(_ours(place, placed)))
        if left == (expected.subscriptions, expected.grants, meetings) or time.monotonic() > until:
            return held
        time.sleep(0.05)


def _truth(
    body: dict[str, Any],
    steps: dict[str, Any],
    held: Any,
    call: str,
    weather: str,
    expected: Expected,
    meetings: int,
    trail: str,
) -> None:
    """The receipt says nothing that Microsoft's desk contradicts."""
    ends = [_moment(each["expires"]) for each in held["subscriptions"]]
    if ends and not expected.said_gone:
        assert body["subscription_ends_at"] is not None, trail
        assert _moment(body["subscription_ends_at"]) >= max(ends), trail
    if not ends and steps["end_notifications"]["outcome"] == "Done":
        assert body["subscription_ends_at"] is None, trail
    last = held["access_tokens"]["last_expires"]
    if last is not None and (call, weather) not in BELIEVED:
        assert body["lapses_at"] is not None, trail
        assert _moment(body["lapses_at"]) >= _moment(last), f"a token outlives what the receipt tells: {trail}"
    if steps["try_the_old_token"]["outcome"] == "Done":
        assert held["access_tokens"]["living"] == 0, trail
    stayed = steps["remove_our_meetings"]
    if stayed["outcome"] == "LeftToYou" and weather != "timeout":
        assert f"{meetings} meeting" in stayed["detail"], trail
    assert bool(steps["withdraw_access"]["link"]) is (steps["withdraw_access"]["outcome"] != "Done"), trail
    if call in REVOKING and steps["withdraw_access"]["outcome"] == "Done" and (call, weather) not in BELIEVED:
        assert held["refresh_tokens"]["living"] == 0, trail


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
