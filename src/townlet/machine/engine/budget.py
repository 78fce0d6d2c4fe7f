"""What can only ever hold a run: its budgets, and a visit that kills the processes that take it up."""

from datetime import datetime

from townlet.dto.quantities import Bytes, format_bytes, format_duration
from townlet.dto.schedule import BudgetSpec
from townlet.machine.journal.run_state import RunState
from townlet.store.blobs import BlobStore

__all__ = ["hold_reason"]

_DEATHS = 3
"""Processes a visit may kill without a new checkpoint before the run holds."""
_ROOM = Bytes(2**28)
"""Bytes a file system keeps free for one more visit; more than a data set and the checkpoints of a long visit take."""


def hold_reason(run: RunState, budget: BudgetSpec, now: datetime, blobs: BlobStore) -> str:
    """Return why no more work may begin, in words; empty where it may.

    The clock may have been set back: `now` is taken for no earlier than the journal's latest record.
    `blobs` are counted only where they are bounded; then the file system must also have room for what the budget still
    allows, or for one more visit, so that the run holds before the disk is full.
    """
    elapsed = (max(now, datetime.fromisoformat(run.latest)) - datetime.fromisoformat(run.created_at)).total_seconds()
    if budget.wall_clock is not None and elapsed >= budget.wall_clock:
        return f"beyond the budget of wall_clock: {format_duration(budget.wall_clock)}"
    if budget.agent_steps is not None and run.agent_steps >= budget.agent_steps:
        return f"beyond the budget of agent_steps: {run.agent_steps} of {budget.agent_steps}"
    if budget.disk is not None:
        left, free = Bytes(budget.disk - blobs.size()), Bytes(blobs.free())
        if left <= 0:
            return f"beyond the budget of disk: {format_bytes(budget.disk)}"
        if free < min(left, _ROOM):
            return f"the disk is almost full: {format_bytes(free)} free, expected {format_bytes(min(left, _ROOM))}"
    if run.visit is not None and run.visit.crash_count >= _DEATHS:
        return f"{run.state} ended {run.visit.crash_count} processes without a new checkpoint"
    return ""
