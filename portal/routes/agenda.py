"""The agenda: copied events beside the meetings of Coordinoter, for the next 14 days."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from flask import Blueprint, render_template
from sqlalchemy import select

from portal import clock
from portal.db import db
from portal.models import Calendar, Connection, Copy, Meeting
from portal.models.connection import CONNECTED, NEEDS_ATTENTION
from portal.web import agenda
from portal.web.filters import zone, zone_name
from portal.web.guards import me

bp = Blueprint("agenda", __name__)

DAYS = 14


@bp.get("/agenda")
def page() -> str:
    """The next 14 days."""
    return render_template("agenda/page.html", days=next_days(DAYS), zone=zone_name(), connected=bool(living()))


def living() -> list[str]:
    """The member's connections whose copies are shown: not those being disconnected."""
    return list(
        db.session.scalars(
            select(Connection.id).where(
                Connection.member_id == me().id, Connection.state.in_((CONNECTED, NEEDS_ATTENTION))
            )
        )
    )


def next_days(days: int) -> list[agenda.Day]:
    """The days from today on with something on them, on the reader's clock."""
    today = clock.now().astimezone(zone()).date()
    begins = datetime.combine(today, time.min, zone()).astimezone(UTC)
    ends = datetime.combine(today + timedelta(days=days), time.min, zone()).astimezone(UTC)
    # Whole days are kept in UTC but belong to their own dates: look up to a day further, then lay out by date.
    copies = db.session.execute(
        select(Copy, Calendar.name)
        .join(Calendar, Calendar.id == Copy.calendar_id)
        .where(
            Copy.connection_id.in_(living()),
            Copy.ends_at > begins - timedelta(days=1),
            Copy.starts_at < ends + timedelta(days=1),
        )
    )
    meetings = db.session.scalars(
        select(Meeting).where(Meeting.organizer_id == me().id, Meeting.ends_at > begins, Meeting.starts_at < ends)
    )
    entries = [agenda.from_copy(copy, calendar) for copy, calendar in copies]
    entries += [agenda.from_meeting(meeting) for meeting in meetings]
    return agenda.lay_out(entries, today, days, zone())
