"""What can only ever hold a run: its budgets, and a visit that kills the processes that take it up."""

from collections.abc import Callable
from datetime import datetime

from townlet.dto.quantities import format_bytes, format_duration
from townlet.dto.schedule import BudgetSpec
from townlet.machine.fold import RunState

__all__ = ["obstacle"]

_DEATHS = 3
"""Processes a visit may kill without a new checkpoint before the run holds."""


def obstacle(run: RunState, budget: BudgetSpec, now: datetime, disk: Callable[[], int]) -> str:
    """Return why no more work may begin, in words; empty where it may.

    The clock may have been set back: `now` is taken for no earlier than the journal's latest record.
    `disk` counts the bytes stored and is asked only where they are bounded.
    """
    elapsed = (max(now, datetime.fromisoformat(run.latest)) - datetime.fromisoformat(run.created_at)).total_seconds()
    if budget.wall_clock is not None and elapsed >= budget.wall_clock:
        return f"beyond the budget of wall_clock: {format_duration(budget.wall_clock)}"
    if budget.agent_steps is not None and run.agent_steps >= budget.agent_steps:
        return f"beyond the budget of agent_steps: {run.agent_steps} of {budget.agent_steps}"
    if budget.disk is not None and disk() >= budget.disk:
        return f"beyond the budget of disk: {format_bytes(budget.disk)}"
    if run.visit is not None and run.visit.deaths >= _DEATHS:
        return f"{run.state} ended {run.visit.deaths} processes without a new checkpoint"
    return ""
