"""What a business's administrator decides for everybody in it."""

from __future__ import annotations

from portal.db import db
from portal.models import Business
from portal.workflows.activity import record


def remove_grants(business_id: str, member_id: str, *, wanted: bool) -> None:
    """Whether disconnecting also removes a work account's permission at the vendor. Saying it twice changes nothing."""
    business = db.session.get_one(Business, business_id, with_for_update=True, populate_existing=True)
    if business.removes_grants != wanted:
        business.removes_grants = wanted
        event = f"business:removes_grants:{'on' if wanted else 'off'}"
        record(event, member_id=member_id, connection_id=None)
    db.session.commit()
