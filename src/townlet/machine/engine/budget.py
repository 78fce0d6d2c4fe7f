"""Why a run holds before its next visit: a budget is spent, or the visit crashed too often."""

from datetime import datetime

from townlet.dto.quantities import Bytes, format_bytes, format_duration
from townlet.dto.schedule import BudgetSpec
from townlet.errors import StoppedError
from townlet.machine.journal.run_state import RunState
from townlet.store.blobs import BlobStore

__all__ = ["check_time", "hold_reason", "time_spent"]

_CRASH_LIMIT = 3
"""Processes that may die in a visit without a new checkpoint before the run holds."""
_VISIT_BYTES = Bytes(2**28)
"""Free bytes that the next visit needs at most: more than a data set and the checkpoints of a long visit take."""


def hold_reason(run: RunState, budget: BudgetSpec, now: datetime, blobs: BlobStore) -> str:
    """Return why no visit may begin, in one phrase; empty where one may.

    The clock may have been set back: `now` counts as no earlier than the journal's latest record. The time that the run
    waited for a person does not count. Only a budget of disk measures `blobs`; the file system must then also have room
    for the rest of the budget, or for one more visit, so that the run holds before the disk is full.
    """
    reason = time_spent(run, budget, now)
    if reason:
        return reason
    if budget.agent_steps is not None and run.agent_steps >= budget.agent_steps:
        return f"beyond the budget of agent_steps: {run.agent_steps} of {budget.agent_steps}"
    if budget.disk is not None:
        left, free = Bytes(budget.disk - blobs.size()), Bytes(blobs.free())
        if left <= 0:
            return f"beyond the budget of disk: {format_bytes(budget.disk)}"
        if free < min(left, _VISIT_BYTES):
            return (
                f"the disk is almost full: {format_bytes(free)} free, expected {format_bytes(min(left, _VISIT_BYTES))}"
            )
    if run.visit is not None and run.visit.crash_count >= _CRASH_LIMIT:
        return f"{run.state} ended {run.visit.crash_count} processes without a new checkpoint"
    return ""


def time_spent(run: RunState, budget: BudgetSpec, now: datetime) -> str:
    """Return that the wall clock is beyond its budget, in one phrase; empty where it is not.

    A running visit asks too, so that a long one holds and does not outlast the budget.
    """
    if budget.wall_clock is None:
        return ""
    since = max(now, datetime.fromisoformat(run.latest)) - datetime.fromisoformat(run.created_at)
    if since.total_seconds() - run.idle_seconds < budget.wall_clock:
        return ""
    return f"beyond the budget of wall_clock: {format_duration(budget.wall_clock)}"


def check_time(state: str, reason: str) -> None:
    """Raise StoppedError where there is a reason why the time is spent."""
    if reason:
        raise StoppedError(f"{state} stopped {reason}")
