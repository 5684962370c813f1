"""Nothing is left out of the table: whatever a disconnection asks of Microsoft has a column."""

from __future__ import annotations

from fnmatch import fnmatchcase

from portal.db import db
from portal.models import Receipt
from portal.workflows import carry_out, disconnect
from tests.weather.cell import Place, arrange, connect_adele, forget_that_it_lives
from tests.weather.expected import CALLS
from tests.weather.weathers import TARGETS


def asked(place: Place, need: str) -> list[tuple[str, str]]:
    """Method and path of each call of a disconnection that needs this one, in fair weather."""
    with_meetings = need == "find"
    connection_id, member_id = connect_adele(place, meetings=with_meetings)
    arrange(place, need, connection_id)
    place.world.microsoft.desk("POST", "accounts/adele@contoso.example/expire-tokens", kinds=["access"])
    forget_that_it_lives(connection_id)
    place.patient()  # nothing is remembered of what was asked before
    place.world.microsoft.desk("DELETE", "calls")
    started = disconnect.begin(connection_id, member_id, remove_meetings=with_meetings)
    assert started is not None
    disconnection_id = started.id
    db.session.rollback()
    carry_out.run(disconnection_id)
    assert db.session.get(Receipt, disconnection_id) is not None
    db.session.rollback()
    return [(call["method"], call["path"].partition("?")[0]) for call in place.world.microsoft.calls()]


def test_every_call_has_a_column_and_every_column_a_call(on_sqlite: Place) -> None:
    met = set()
    for need in ("find", "grants", "revoke"):
        for method, path in asked(on_sqlite, need):
            fits = {
                name for name, to in TARGETS.items() if to["method"] == method and fnmatchcase(path, str(to["path"]))
            }
            assert fits, f"{method} {path} stands under no weather"
            met |= fits
    assert met == set(CALLS)
