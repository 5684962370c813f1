"""The calls to Graph: what is asked, with which headers, and what comes of the answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from portal.providers.base import Calendar
from portal.providers.outlook.outlook import OutlookProvider
from tests.providers.conftest import NOW, Fake, token_answer


def test_it_works(provider: OutlookProvider, fake: Fake) -> None:
    fake.on("POST /common/oauth2/v2.0/token", token_answer(refresh_token="refresh-2"))
    tokens = provider.refresh("refresh-1")
    assert tokens.refresh_token == "refresh-2" and tokens.expires_at == NOW + timedelta(seconds=3599)

    fake.on(
        "GET /v1.0/me/calendars",
        {"value": [{"id": "a", "name": "A", "canEdit": True}], "@odata.nextLink": f"{fake.url}/v1.0/me/calendars?p=2"},
        {"value": [{"id": "b", "name": "B", "isDefaultCalendar": True}]},
    )
    assert provider.calendars(tokens.access_token) == (Calendar("a", "A", False, True), Calendar("b", "B", True, False))

    start = {"dateTime": "2026-03-03T09:00:00.0000000", "timeZone": "UTC"}
    end = {"dateTime": "2026-03-03T10:00:00.0000000", "timeZone": "UTC"}
    fake.on(
        "GET /v1.0/me/calendars/a/calendarView/delta",
        {
            "value": [{"id": "e1", "subject": "Lunch", "start": start, "end": end, "showAs": "busy"}],
            "@odata.deltaLink": f"{fake.url}/v1.0/delta?token=1",
        },
    )
    changes = provider.first_changes(tokens.access_token, "a", NOW, NOW + timedelta(days=30))
    assert changes.events[0].subject == "Lunch" and changes.events[0].starts_at == datetime(2026, 3, 3, 9, tzinfo=UTC)
    assert changes.delta_link is not None
    fake.on(
        "GET /v1.0/delta",
        {
            "value": [{"id": "e1", "@removed": {"reason": "deleted"}}],
            "@odata.deltaLink": f"{fake.url}/v1.0/delta?token=2",
        },
    )
    assert provider.next_changes(tokens.access_token, changes.delta_link).removed == ("e1",)

    made = {
        "id": "s1",
        "resource": "me/events",
        "notificationUrl": "http://127.0.0.1/hook",
        "expirationDateTime": "2026-03-05T09:00:00.0000000Z",
    }
    fake.on("POST /v1.0/subscriptions", (201, made, {}))
    fake.on("GET /v1.0/subscriptions", {"value": [made]})
    fake.on("PATCH /v1.0/subscriptions/s1", made)
    fake.on("DELETE /v1.0/subscriptions/s1", (204, b"", {}))
    subscription = provider.subscribe("access-1", "http://127.0.0.1/hook", "secret", NOW + timedelta(days=3))
    assert subscription.expires_at == NOW + timedelta(days=3)
    assert list(provider.subscriptions("access-1")) == [subscription]
    assert provider.renew("access-1", "s1", NOW + timedelta(days=3)) == subscription
    assert provider.unsubscribe("access-1", "s1") == "server-7"
    call = fake.calls("POST /v1.0/subscriptions")[0]
    assert call.json["lifecycleNotificationUrl"] == call.json["notificationUrl"] == "http://127.0.0.1/hook"
    assert call.headers["Authorization"] == "Bearer access-1" and 'IdType="ImmutableId"' in call.headers["Prefer"]
