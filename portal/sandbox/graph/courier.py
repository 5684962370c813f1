"""Change and lifecycle notifications, delivered from a thread of their own.

Follows https://learn.microsoft.com/graph/change-notifications-delivery-webhooks: three seconds for a first answer, ten
for later ones, exponential back-off for up to four hours of sandbox time, and
https://learn.microsoft.com/graph/change-notifications-lifecycle-events. Leaves out the slow and drop states of a host.
"""

from __future__ import annotations

import http.client
import threading
from datetime import datetime, timedelta
from typing import Any

from ..ids import new_id
from ..records.identity import Grant
from ..records.mailbox import Delivery, Subscription
from ..storage import Storage
from . import post
from .post import HandshakeFailed as HandshakeFailed
from .shape import iso_fine

GATHER = timedelta(milliseconds=50)
PATIENCE = timedelta(hours=4)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=10), timedelta(minutes=30)
WARNING = timedelta(minutes=15)
LARGEST = 100  # notifications in one POST


class Courier:
    """Queues notifications for whoever subscribed, and sends them until they are taken or four hours have gone by."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.waiting: list[Delivery] = []
        self._thread: threading.Thread | None = None
        self._at_once = threading.Semaphore(8)
        self._stopped = False
        self._wake = threading.Event()
        storage.on_change = self.changed
        storage.on_grant_ended = self.grant_ended
        storage.clock.listeners.append(self.look_again)

    def handshake(self, url: str) -> None:
        """Raises HandshakeFailed."""
        post.handshake(url, self.storage.handshake_seconds)

    def changed(self, oid: str, change: str, event_id: str, immutable_id: str) -> None:
        """Something happened to an event: tell everybody who wanted to know."""
        person = self.storage.people.get(oid)
        if person is None:
            return
        with self.storage.lock:
            self.storage.drop_expired_subscriptions()
            for held in self.storage.subscriptions.values():
                if held.oid == oid and change in held.changes:
                    key = immutable_id if held.immutable else event_id
                    self._queue(held, "change", held.url, self._notification(held, change, key, person.tid))

    def _notification(self, held: Subscription, change: str, key: str, tid: str) -> dict[str, Any]:
        path = f"Users/{held.oid}/Events/{key}"
        version = self.storage.mailbox(held.oid).version
        return {
            "subscriptionId": held.id,
            "subscriptionExpirationDateTime": iso_fine(held.expires),
            "clientState": held.state,
            "changeType": change,
            "resource": path,
            "tenantId": tid,
            "resourceData": {
                "@odata.type": "#Microsoft.Graph.Event",
                "@odata.id": path,
                "@odata.etag": f'W/"{version}"',
                "id": key,
            },
        }

    def lifecycle(self, held: Subscription, event: str) -> None:
        """Tell the lifecycle URL, where there is one: missed, subscriptionRemoved or reauthorizationRequired."""
        person = self.storage.people.get(held.oid)
        if held.lifecycle_url and person:
            told = {
                "subscriptionId": held.id,
                "subscriptionExpirationDateTime": iso_fine(held.expires),
                "clientState": held.state,
                "tenantId": person.tid,
                "lifecycleEvent": event,
            }
            with self.storage.lock:
                self._queue(held, "lifecycle", held.lifecycle_url, told)

    def grant_ended(self, ended: Grant) -> None:
        """Consent was taken back: Microsoft asks for a fresh authorization, and goes on until the token ends."""
        with self.storage.lock:
            for held in list(self.storage.subscriptions.values()):
                owner = self.storage.people.get(held.oid)
                covered = owner and owner.tid == ended.tid and ended.principal in {None, held.oid}
                if covered and held.client == ended.client:
                    self.lifecycle(held, "reauthorizationRequired")

    def remove(self, held: Subscription) -> None:
        """Microsoft's own removal of a subscription, which it announces."""
        with self.storage.lock:
            if self.storage.subscriptions.pop(held.id, None):
                self.lifecycle(held, "subscriptionRemoved")

    def _queue(self, held: Subscription, kind: str, url: str, told: dict[str, Any]) -> None:
        now = self.storage.clock.now()
        for waiting in self.waiting:
            fresh = (
                waiting.attempts == 0 and waiting.outcome == "waiting" and (waiting.url, waiting.kind) == (url, kind)
            )
            if fresh and len(waiting.body["value"]) < LARGEST:
                waiting.body["value"].append(told)
                waiting.subscriptions.append(held.id)
                return
        delivery = Delivery(new_id(), url, kind, [held.id], {"value": [told]}, now, now + GATHER)
        self.waiting.append(delivery)
        self.storage.deliveries.append(delivery)
        self._start()
        self.look_again()

    def look_again(self) -> None:
        """Wake the thread: something is due, or the clock moved."""
        self._wake.set()

    def watch(self) -> None:
        """There is a subscription to look after: its access and its life will end."""
        self._start()
        self.look_again()

    def clear(self) -> None:
        with self.storage.lock:
            self.waiting.clear()

    def stop(self) -> None:
        """Send nothing more. What is on its way may still arrive."""
        self._stopped = True
        self.look_again()

    def _start(self) -> None:
        if self._thread is None and not self._stopped:
            self._thread = threading.Thread(target=self._run, name="sandbox-courier", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._stopped:
            for delivery in self._take_due():
                # A daemon each: a receiver that does not answer must not keep the program from ending.
                threading.Thread(target=self._send, args=(delivery,), name="sandbox-delivery", daemon=True).start()
            self._wake.wait(self._pause())
            self._wake.clear()

    def _pause(self) -> float:
        """Seconds until the next thing is due; at least one look a minute."""
        with self.storage.lock:
            now = self.storage.clock.now()
            due = [delivery.due for delivery in self.waiting if delivery.outcome == "waiting"]
            due += [self._warn_at(held) for held in self.storage.subscriptions.values() if not held.warned]
        return max(0.005, min([60.0, *((moment - now).total_seconds() for moment in due)]))

    def _warn_at(self, held: Subscription) -> datetime:
        return min(held.access_until, held.expires) - WARNING

    def _take_due(self) -> list[Delivery]:
        with self.storage.lock:
            now = self.storage.clock.now()
            self.storage.drop_expired_subscriptions()
            for held in self.storage.subscriptions.values():
                if not held.warned and self._warn_at(held) <= now:
                    held.warned = True
                    self.lifecycle(held, "reauthorizationRequired")
            due = [each for each in self.waiting if each.outcome == "waiting" and each.due <= now]
            for delivery in due:
                delivery.outcome = "on its way"
            return due

    def _send(self, delivery: Delivery) -> None:
        with self._at_once:
            if not self._stopped:
                self._deliver(delivery)

    def _deliver(self, delivery: Delivery) -> None:
        allowed = self._still_allowed(delivery)
        outcome = "not sent: no living subscription asks for it"
        taken = False
        if delivery.body["value"] and allowed:
            try:
                status = post.notify(delivery.url, delivery.body, 3.0 if delivery.attempts == 0 else 10.0)
                outcome, taken = f"answered {status}", 200 <= status < 300
            except (OSError, http.client.HTTPException) as broken:
                outcome = f"no answer: {type(broken).__name__}"
        elif delivery.body["value"]:
            outcome = "held back: the token behind the subscription has ended"
        else:
            taken = True
        with self.storage.lock:
            self._note(delivery, outcome, taken)

    def _still_allowed(self, delivery: Delivery) -> bool:
        """Leave out what nobody subscribes to any more; False while the access behind a subscription has lapsed."""
        with self.storage.lock:
            now, living = self.storage.clock.now(), self.storage.subscriptions
            if delivery.kind == "change":
                delivery.body["value"] = [n for n in delivery.body["value"] if n["subscriptionId"] in living]
                ids = {n["subscriptionId"] for n in delivery.body["value"]}
                return all(living[key].access_until > now for key in ids)
            return True

    def _note(self, delivery: Delivery, outcome: str, taken: bool) -> None:
        now = self.storage.clock.now()
        delivery.attempts, delivery.note = delivery.attempts + 1, outcome
        pause = min(FIRST_PAUSE * 2 ** (delivery.attempts - 1), LONGEST_PAUSE)
        if taken or delivery not in self.waiting:
            delivery.outcome = outcome
        elif now + pause - delivery.queued > PATIENCE:
            delivery.outcome = f"given up: {outcome}"
            if delivery.kind == "change":
                for key in set(delivery.subscriptions) & set(self.storage.subscriptions):
                    self.lifecycle(self.storage.subscriptions[key], "missed")
        else:
            delivery.outcome, delivery.due = "waiting", now + pause
            self.look_again()
            return
        if delivery in self.waiting:
            self.waiting.remove(delivery)
