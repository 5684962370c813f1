"""Forget the engine's record of runs that ended long ago. Our own rows, and every receipt, stay."""

from __future__ import annotations

from datetime import timedelta

from portal import clock
from portal.durable.runs import every
from portal.durable.start import client

KEEP = timedelta(days=7)
ENDED = ["SUCCESS", "ERROR", "CANCELLED"]
AT_A_TIME = 500


@every("forget_runs", "23 4 * * *")
def forget_runs() -> int:
    """Every night: each sync and each step leaves rows in the engine's tables, which would grow for ever."""
    before, count = (clock.now() - KEEP).isoformat(), 0
    while ids := [
        run.workflow_id
        for run in client().list_workflows(
            status=ENDED, completed_before=before, limit=AT_A_TIME, load_input=False, load_output=False
        )
    ]:
        client().delete_workflows(ids)
        count += len(ids)
    return count
