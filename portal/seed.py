"""The people, businesses and meetings of the demo world. Seeding twice changes nothing."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from argon2 import PasswordHasher
from sqlalchemy import select

from portal import clock
from portal.db import db
from portal.demo import PASSWORD
from portal.models import Business, Meeting, Member
from portal.models.member import ADMIN, MEMBER, SUPPORT

PEOPLE = {
    "Northwind Traders": (
        ("alice@northwind.example", "Alice Ansel", MEMBER),
        ("bob@northwind.example", "Bob Berger", MEMBER),
        ("dana@northwind.example", "Dana Duval", ADMIN),
    ),
    "Fabrikam": (("charlie@fabrikam.example", "Charlie Conti", MEMBER),),
    "Coordinoter": (("sam@coordinoter.example", "Sam Sorel", SUPPORT),),
}

MEETINGS = (
    (0, 15, 45, "Quarterly supplier review", "Room Fjord"),
    (1, 9, 60, "Hiring panel: operations lead", "Video call"),
    (2, 11, 30, "Contoso check-in", "Video call"),
    (3, 14, 90, "Budget workshop", "Room Delta"),
    (6, 10, 45, "Northwind and Fabrikam: logistics", "Room Fjord"),
    (8, 16, 30, "Release planning", "Video call"),
)


def plant() -> None:
    """Add whoever and whatever is missing."""
    hashed = PasswordHasher().hash(PASSWORD)
    for business_name, people in PEOPLE.items():
        business = db.session.scalar(select(Business).where(Business.name == business_name))
        if business is None:
            business = Business(name=business_name)
            db.session.add(business)
            db.session.flush()
        for email, name, role in people:
            if db.session.scalar(select(Member.id).where(Member.email == email)) is None:
                member = Member(business_id=business.id, email=email, name=name, role=role, password_hash=hashed)
                db.session.add(member)
                db.session.flush()
                if member is planner(business.id):
                    _plan(member)
    db.session.commit()


def planner(business_id: str) -> Member | None:
    """The first member of a business plans its meetings; our own support people plan none."""
    return db.session.scalars(
        select(Member).where(Member.business_id == business_id, Member.role != SUPPORT).order_by(Member.email)
    ).first()


def _plan(member: Member) -> None:
    today = datetime.combine(clock.now().date(), time(), clock.now().tzinfo)
    for day, hour, minutes, title, place in MEETINGS:
        starts = today + timedelta(days=day, hours=hour)
        db.session.add(
            Meeting(
                business_id=member.business_id,
                organizer_id=member.id,
                title=title,
                place=place,
                starts_at=starts,
                ends_at=starts + timedelta(minutes=minutes),
            )
        )
