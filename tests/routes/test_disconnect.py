"""Disconnect over HTTP: the question, the click, the progress, the receipt; for htmx and for everybody else."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from sqlalchemy import func, select, update

from portal import clock
from portal.db import db
from portal.models import Activity, Calendar, Connection, Copy, Disconnection, Receipt, Subscription
from portal.models.connection import NEEDS_ATTENTION
from portal.parts import install, parts
from portal.providers.base import AccountKind
from portal.workflows.carry_out import attempt
from portal.workflows.disconnect import BY_NAME, STEPS
from portal.workflows.promise import up_to_the_minute
from tests.door import Door
from tests.world import CARD, HTMX, PASSWORD, Visitor, World

ADELE = "adele@contoso.example"


def count(table: type) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(table)) or 0


def question_of(world: World) -> str:
    return f"/connections/{world.connection().id}/disconnect"


def begun(world: World) -> tuple[Visitor, str]:
    """Alice has confirmed; the work has not begun. She, and the address of her disconnection."""
    alice = world.connected()
    alice.post(question_of(world))
    return alice, f"/disconnections/{world.disconnection().id}"


def ended(world: World) -> tuple[Visitor, str]:
    """The same, and the work is done."""
    alice, address = begun(world)
    world.work()
    return alice, address


def words(visitor: Visitor) -> str:
    return re.sub(r"\s+", " ", visitor.soup.get_text(" ", strip=True))


def test_it_works(world: World) -> None:
    alice = world.connected()
    copies = count(Copy)
    asked = alice.press("Disconnect from Microsoft")
    assert asked.h1 is not None
    assert asked.h1.get_text() == "Disconnect Outlook Calendar?"
    assert ADELE in words(alice)
    assert f"Deletes {copies} copied events" in words(alice)
    alice.press("Disconnect")
    assert alice.page is not None
    address = alice.page.request.path
    assert address == f"/disconnections/{world.disconnection().id}"
    assert "Step 2 of 9: End notifications" in words(alice)
    world.work()
    receipt = alice.get(address)
    assert receipt.h1 is not None
    assert receipt.h1.get_text() == "Outlook Calendar is disconnected"
    for step in STEPS:
        assert step.title in words(alice)
    alice.get(CARD)
    assert "Not connected" in words(alice)
    assert world.microsoft.holds(ADELE)["subscriptions"] == []


def test_the_question_is_counted_from_this_connection(world: World) -> None:
    alice = world.connected()
    names = list(db.session.scalars(select(Calendar.name)))
    calendars, copies, subscriptions = count(Calendar), count(Copy), count(Subscription)
    alice.get(question_of(world))
    said = words(alice)
    assert calendars > 1
    assert f"Stops syncing {calendars} calendars" in said
    assert not [name for name in names if name not in said]
    assert f"Ends {subscriptions} subscription at Microsoft" in said
    assert f"Deletes {copies} copied events" in said


@pytest.mark.parametrize("htmx", [True, False])
def test_the_question_changes_nothing(world: World, htmx: bool) -> None:
    alice = world.connected()
    before, calls = world.connection(), len(world.microsoft.calls())
    state = (before.state, before.epoch, count(Activity))
    for _ in range(2):
        alice.get(question_of(world), htmx=htmx)
    after = world.connection()
    assert (after.state, after.epoch, count(Activity)) == state
    assert count(Disconnection) == 0
    assert len(world.microsoft.calls()) == calls


def test_htmx_is_asked_in_a_dialog_and_others_on_a_page(world: World) -> None:
    alice = world.connected()
    fragment = alice.get(question_of(world), htmx=True)
    assert [tag.name for tag in fragment.find_all(recursive=False)] == ["dialog"]
    assert fragment.dialog is not None
    title = fragment.find(id=fragment.dialog["aria-labelledby"])
    assert title is not None
    assert title.get_text() == "Disconnect Outlook Calendar?"
    page = alice.get(question_of(world))
    assert page.html is not None
    assert page.dialog is None
    assert alice.page is not None
    assert {"HX-Request", "HX-Request-Type"} <= set(alice.page.vary)


def test_cancel_on_the_page_leads_back_and_changes_nothing(world: World) -> None:
    alice = world.connected()
    alice.get(question_of(world))
    alice.press("Cancel")
    assert alice.page is not None
    assert alice.page.request.path == "/integrations"
    assert world.connection().state == "connected"


def test_htmx_gets_the_card_in_progress(world: World) -> None:
    alice = world.connected()
    answer = alice.post(question_of(world), htmx=True)
    assert answer.status_code == 200
    card = alice.soup.find(recursive=False)
    assert card is not None
    assert card["id"] == "card-outlook-calendar"
    progress = alice.soup.find(id=f"disconnection-{world.disconnection().id}")
    assert progress is not None
    assert progress["hx-get"] == f"/disconnections/{world.disconnection().id}"
    assert BY_NAME["end_notifications"].title in words(alice)
    assert ADELE not in words(alice), "an account that is being erased is not offered any more"


def test_others_are_led_to_the_disconnection(world: World) -> None:
    alice = world.connected()
    answer = alice.post(question_of(world))
    assert answer.status_code == 303
    assert answer.location == f"/disconnections/{world.disconnection().id}"


def test_two_posts_are_one_disconnection(world: World) -> None:
    alice, address = begun(world)
    question = f"/connections/{world.disconnection().connection_id}/disconnect"
    token = alice.csrf()
    again = alice.client.post(question, data={"csrf_token": token})
    assert (again.status_code, again.location) == (303, address)
    htmx = alice.client.post(question, data={"csrf_token": token}, headers=HTMX)
    assert htmx.status_code == 200
    assert address in htmx.text
    assert count(Disconnection) == 1
    assert db.session.scalar(select(func.count()).where(Activity.event == "connection:disconnect")) == 1


def test_many_posts_at_once_are_one_disconnection(both: World, door: Door) -> None:
    """Several tabs and impatient fingers, on real sockets and threads."""
    both.connected()
    question = question_of(both)
    db.session.rollback()
    browser = requests.Session()
    token = _token(browser.get(f"{door.url}/sign-in", timeout=20).text)
    form = {"email": "alice@northwind.example", "password": PASSWORD, "csrf_token": token}
    browser.post(f"{door.url}/sign-in", data=form, timeout=20)
    token = _token(browser.get(f"{door.url}/integrations", timeout=20).text)

    def press(_: int) -> tuple[int, str]:
        answer = requests.post(
            f"{door.url}{question}",
            data={"csrf_token": token},
            cookies=browser.cookies,
            allow_redirects=False,
            timeout=30,
        )
        return answer.status_code, answer.headers.get("Location", "")

    with ThreadPoolExecutor(8) as hands:
        answers = set(hands.map(press, range(8)))
    row = both.disconnection()
    assert answers == {(303, f"/disconnections/{row.id}")}
    both.work()
    assert count(Receipt) == 1


def _token(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def test_a_post_after_the_end_gets_the_same_receipt(world: World) -> None:
    alice, address = ended(world)
    receipt = db.session.scalars(select(Receipt.body)).one()
    question = f"/connections/{world.disconnection().connection_id}/disconnect"
    db.session.rollback()
    answer = alice.post(question)
    assert (answer.status_code, answer.location) == (303, address)
    fragment = alice.post(question, htmx=True)
    assert fragment.status_code == 200
    assert f'href="{address}"' in fragment.text
    world.work()
    assert db.session.scalars(select(Receipt.body)).one() == receipt
    assert count(Disconnection) == 1


def test_a_question_asked_too_late_leads_to_the_disconnection(world: World) -> None:
    alice, address = begun(world)
    question = f"/connections/{world.disconnection().connection_id}/disconnect"
    for _ in ("running", "ended"):
        answer = alice.client.get(question)
        assert (answer.status_code, answer.location) == (303, address)
        htmx = alice.client.get(question, headers=HTMX)
        assert (htmx.status_code, htmx.headers["HX-Redirect"]) == (204, address)
        world.work()


def test_the_progress_is_a_page_or_a_fragment_of_it(world: World) -> None:
    alice, address = begun(world)
    page = alice.get(address)
    assert page.h1 is not None
    assert page.h1.get_text() == "Disconnecting Outlook Calendar"
    assert page.select('noscript meta[http-equiv="refresh"]'), "without JavaScript it refreshes itself"
    status = page.find(attrs={"role": "status"}, id=False)
    assert status is not None
    fragment = alice.get(address, htmx=True)
    assert [tag["id"] for tag in fragment.find_all(recursive=False)] == [f"disconnection-{address.split('/')[-1]}"]
    assert "Step 2 of 9" in words(alice)
    world.work()
    fragment = alice.get(address, htmx=True)
    assert [tag["id"] for tag in fragment.find_all(recursive=False)] == [f"disconnection-{address.split('/')[-1]}"]
    assert fragment.find("a", href=address) is not None
    page = alice.get(address)
    assert not page.select('meta[http-equiv="refresh"]'), "a receipt stands still"


def test_the_receipt_says_what_lapses_and_what_only_you_can_do(world: World) -> None:
    alice, address = ended(world)
    page = alice.get(address)
    yours = page.find(id="voice-yours")
    assert yours is not None
    link = yours.find("a")
    assert link is not None
    assert link["href"] == parts().providers["outlook-calendar"].consent_page(AccountKind.WORK).url
    lapses = page.find(id="voice-wait")
    assert lapses is not None
    times = {str(tag["datetime"])[:16] for tag in lapses.find_all("time")}
    lapses_at = world.disconnection().lapses_at
    assert lapses_at is not None
    assert f"{up_to_the_minute(lapses_at):%Y-%m-%dT%H:%M}" in times
    assert ADELE not in words(alice)
    assert "Signature valid" in words(alice)


def test_the_receipt_outlives_the_session(world: World) -> None:
    _, address = ended(world)
    again = world.sign_in("alice@northwind.example")
    page = again.get(address)
    assert page.h1 is not None
    assert page.h1.get_text() == "Outlook Calendar is disconnected"


def test_a_downloaded_receipt_verifies_until_it_is_changed(world: World, tmp_path: Path) -> None:
    alice, address = ended(world)
    answer = alice.client.get(f"{address}/receipt.json")
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    assert "attachment" in answer.headers["Content-Disposition"]
    assert answer.headers["Cache-Control"] == "no-store"
    file = tmp_path / "receipt.json"
    file.write_bytes(answer.data)
    runner = world.app.test_cli_runner()
    checked = runner.invoke(args=["receipt", "verify", str(file)])
    assert (checked.exit_code, checked.output) == (0, "This receipt is genuine and unchanged.\n")
    envelope = json.loads(answer.data)
    assert json.loads(envelope["receipt"])["steps"][1]["outcome"] == "Done"
    changed = envelope | {"receipt": envelope["receipt"].replace("Done", "Failed", 1)}
    foreign = envelope | {"key_id": "0" * len(envelope["key_id"])}
    signature = envelope["signature"]
    forgeries: list[object] = [
        changed,
        foreign,
        {},
        [],
        envelope | {"receipt": 7},
        envelope | {"note": "We deleted it all."},
    ]
    forgeries += [envelope | {"signature": each} for each in ("AAAA", None, f" {signature}", signature[:-2] + "*==")]
    twice = json.dumps(envelope).replace("{", '{"receipt": "We deleted everything.", ', 1)
    for forged in (*map(json.dumps, forgeries), twice, "[" * 100_000):
        file.write_text(forged)
        refused = runner.invoke(args=["receipt", "verify", str(file)])
        assert refused.exit_code == 1, forged
        assert "not one of ours" in refused.output
        assert refused.exception is None or isinstance(refused.exception, SystemExit)


def test_a_key_that_was_taken_out_is_told_from_a_forgery(world: World, tmp_path: Path) -> None:
    """Keys are rotated: what an older one signed is good as long as that is kept, and else nobody can tell."""
    alice, address = ended(world)
    file = tmp_path / "receipt.json"
    file.write_bytes(alice.client.get(f"{address}/receipt.json").data)
    old, new = parts().settings.receipt_keys[0], b"n" * 32
    runner = world.app.test_cli_runner()
    for keys, badge, said in (
        ((new, old), "Signature valid", "genuine and unchanged"),
        ((new,), "Signature not checked", "that key was taken out"),
    ):
        install(world.app, replace(parts(), settings=replace(parts().settings, receipt_keys=keys)))
        assert badge in alice.get(address).get_text()
        assert said in runner.invoke(args=["receipt", "verify", str(file)]).output


def test_there_is_no_receipt_before_the_end(world: World) -> None:
    alice, address = begun(world)
    assert alice.client.get(f"{address}/receipt.json").status_code == 404


def test_erase_now_ends_the_waiting(world: World) -> None:
    alice = world.connected()
    world.microsoft.breaks("drop", "all", times=None)
    alice.post(question_of(world))
    address = f"/disconnections/{world.disconnection().id}"
    db.session.rollback()
    attempt("end_notifications", address.split("/")[-1])
    db.session.rollback()
    alice.get(address)
    assert "Microsoft is not answering" in words(alice)
    assert "We keep trying until" in words(alice)
    alice.press("Erase now")
    assert alice.page is not None
    assert alice.page.request.path == address
    assert "Erasing now, as you asked." in words(alice)
    asked_at = world.disconnection().erase_now_at
    assert asked_at is not None
    fragment = alice.post(f"{address}/erase-now", htmx=True)
    assert fragment.status_code == 200
    assert world.disconnection().erase_now_at == asked_at, "asking twice is asking once"
    world.work()
    world.microsoft.mend()
    alice.get(address)
    assert "We have no word that our subscription was deleted; it ends by itself by" in words(alice)
    waits, failed = (alice.soup.select_one(voice) for voice in ("#voice-wait", "#voice-bad"))
    for voice in (waits, failed):
        assert voice is not None
        assert "We cannot try this again. Our tokens were erased on" in voice.get_text()


def test_erase_now_after_the_end_leads_to_the_receipt(world: World) -> None:
    alice, address = ended(world)
    body = db.session.scalars(select(Receipt.body)).one()
    db.session.rollback()
    answer = alice.post(f"{address}/erase-now")
    assert (answer.status_code, answer.location) == (303, address)
    assert alice.post(f"{address}/erase-now", htmx=True).status_code == 200
    assert world.disconnection().erase_now_at is None
    assert db.session.scalars(select(Receipt.body)).one() == body


def test_a_connection_that_needs_attention_still_disconnects(world: World) -> None:
    alice = world.connected()
    row = world.connection()
    row.state, row.attention_reason, row.attention_at = NEEDS_ATTENTION, "token_expired", clock.now()
    db.session.commit()
    alice.get(CARD)
    alice.press("Disconnect from Microsoft")
    alice.press("Disconnect")
    world.work()
    page = alice.get(f"/disconnections/{world.disconnection().id}")
    assert page.h1 is not None
    assert page.h1.get_text() == "Outlook Calendar is disconnected"


def test_a_sign_in_under_way_is_nothing_to_disconnect(world: World) -> None:
    alice = world.sign_in("alice@northwind.example")
    alice.get(CARD)
    alice.press("Connect to Microsoft", follow=False)
    attempt = db.session.scalars(select(Connection)).one()
    attempt_id = attempt.id
    db.session.rollback()
    alice.get(CARD)
    assert alice.post(f"/connections/{attempt_id}/disconnect").status_code == 404
    assert count(Disconnection) == 0


def test_a_disconnection_spares_the_other_account(world: World) -> None:
    alice = world.connected()
    alice.get(CARD)
    alice.press("Connect another account", follow=False)
    alice.come_back("megan@outlook.example")
    world.work()
    db.session.rollback()
    rows = {row.account_address: row.id for row in db.session.scalars(select(Connection))}
    assert set(rows) == {ADELE, "megan@outlook.example"}
    megans = db.session.scalar(select(func.count()).where(Copy.connection_id == rows["megan@outlook.example"]))
    assert megans
    db.session.rollback()
    alice.get(CARD)
    alice.post(f"/connections/{rows[ADELE]}/disconnect")
    world.work()
    left = db.session.scalar(select(func.count()).where(Copy.connection_id == rows["megan@outlook.example"]))
    assert left == megans
    assert len(world.microsoft.holds("megan@outlook.example")["subscriptions"]) == 1
    alice.get(CARD)
    assert "megan@outlook.example" in words(alice)
    assert ADELE not in words(alice)
    alice.get(f"/disconnections/{world.disconnection().id}")
    assert "Still connected: megan@outlook.example" in words(alice)
    assert "Printed or downloaded, it names no mailbox" in words(alice)


@pytest.mark.parametrize("path", ["/connections/nope/disconnect", "/disconnections/nope"])
def test_what_never_was_is_404(world: World, path: str) -> None:
    alice = world.sign_in("alice@northwind.example")
    alice.get(path, status=404)
    assert "There is nothing here" in words(alice)
    assert alice.client.get(path, headers=HTMX).status_code == 404


def test_a_receipt_that_was_tampered_with_in_the_database_says_so(world: World) -> None:
    alice, address = ended(world)
    row = db.session.scalars(select(Receipt)).one()
    db.session.execute(update(Receipt).values(body=row.body.replace("Done", "Skipped", 1)))
    db.session.commit()
    alice.get(address)
    assert "Signature not valid" in words(alice)
