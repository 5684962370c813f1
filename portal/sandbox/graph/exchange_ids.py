"""Translating between Outlook's two kinds of item ids."""

from __future__ import annotations

from flask import Blueprint, Response

from ..mailbox import find_event
from .calendars import body
from .caller import mailbox_of
from .errors import bad_request
from .odata import reply
from .shape import context

blueprint = Blueprint("exchange_ids", __name__)
KINDS = {"restId": "id", "restImmutableEntryId": "immutable_id"}


@blueprint.post("/v1.0/me/translateExchangeIds")
def translate() -> Response:
    """https://learn.microsoft.com/graph/api/user-translateexchangeids

    Between restId and restImmutableEntryId. Leaves out entry ids and EWS ids. Ids that name nothing are left out.
    """
    caller, told = mailbox_of("User.ReadBasic", "User.Read", "User.ReadWrite"), body()
    ids, target = told.get("inputIds"), KINDS.get(str(told.get("targetIdType")))
    if not isinstance(ids, list) or len(ids) > 1000 or target is None or told.get("sourceIdType") not in KINDS:
        raise bad_request("Give at most 1000 inputIds, a sourceIdType and a targetIdType of restId or "
                          "restImmutableEntryId.")  # fmt: skip
    found = [(key, find_event(caller.mailbox, str(key))) for key in ids]
    rows = [{"sourceId": key, "targetId": getattr(event, target)} for key, event in found if event]
    return reply({"@odata.context": context("Collection(convertIdResult)"), "value": rows})
