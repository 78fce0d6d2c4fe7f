"""Which way a run goes next: a pure function of its state and its schedule.

The engine takes the move, and the auditor derives it again from the same records.
"""

from typing import Literal

from attrs import frozen

from townlet.dto.journal import OperatorCommand
from townlet.dto.schedule import EdgeSpec, ScheduleSpec
from townlet.machine.guards.verdicts import choose, names
from townlet.machine.journal.run_state import OpenVisit, RunState
from townlet.machine.schedule.rehearsal import next_edge

__all__ = ["Transition", "from_command", "from_verdicts"]


@frozen(kw_only=True)
class Transition:
    """One transition before it is taken."""

    trigger: Literal["leave", "hold", "abort", "release"]
    """An edge of the present state, the two ways of the engine's own, or out of hold."""
    target: str
    """State that is entered."""
    edge: int | None = None
    """Index of the edge; none for the engine's own and for a retry."""
    why: str
    """In words."""
    asks: int | None = None
    """Index of the edge that needs a person's approval before it is taken."""


def from_verdicts(run: RunState, visit: OpenVisit, schedule: ScheduleSpec) -> Transition:
    """Return the edge that the recorded verdicts lead to, or a hold before the first that nobody can answer."""
    edges, reports = schedule.states[visit.state].next, visit.reports or ()
    if run.rehearsal:
        edge = next_edge(schedule, visit.state, run.visits)
        return _leave(edges, edge, "rehearsal: verdicts are recorded and not followed")
    choice = choose(edges, {report.guard: report.verdict for report in reports})
    chosen = edges[choice.edge]
    if choice.unknown:
        sentences = {report.guard: report.sentence for report in reports}
        why = "; ".join(f"{name}: {sentences[name]}" for name in choice.unknown)
        return _hold(f"unknown on edge {choice.edge} of {visit.state} (to {chosen.to}): {why}")
    if chosen.approval is not None:
        why = f"edge {choice.edge} of {visit.state} (to {chosen.to}) waits for an approval"
        return Transition(trigger="hold", target="hold", why=why, asks=choice.edge)
    return _leave(edges, choice.edge, _why(chosen))


def from_command(run: RunState, schedule: ScheduleSpec, now: float) -> Transition | None:
    """Return where the operator's orders lead, or a question that nobody answered in time; none where to nowhere.

    `now` is in seconds since the epoch. Time alone can end a run, and never chooses an edge.
    """
    order = min(run.pending_commands, key=lambda order: order.command != "abort", default=None)
    if order is not None:
        return _obeyed(run, schedule, order)
    asked = run.approval
    if run.state == "hold" and asked is not None and asked.expires is not None and now >= asked.expires:
        return Transition(trigger="abort", target="aborted", why="nobody approved in time")
    return None


def _obeyed(run: RunState, schedule: ScheduleSpec, order: OperatorCommand) -> Transition:
    why = f"{order.command.replace('_', '-')} by {order.actor}" + (f": {order.reason}" if order.reason else "")
    if order.command in ("abort", "reject"):
        return Transition(trigger="abort", target="aborted", why=why)
    if order.command == "hold":
        return _hold(why)
    if order.command == "retry":
        return Transition(trigger="release", target=run.held_state, why=why)
    edge = run.approval.edge if order.command == "approve" and run.approval else int(order.arguments["edge"])
    return Transition(trigger="release", target=schedule.states[run.held_state].next[edge].to, edge=edge, why=why)


def _leave(edges: tuple[EdgeSpec, ...], edge: int, why: str) -> Transition:
    return Transition(trigger="leave", target=edges[edge].to, edge=edge, why=why)


def _hold(why: str) -> Transition:
    return Transition(trigger="hold", target="hold", why=why)


def _why(edge: EdgeSpec) -> str:
    if edge.why:
        return edge.why
    asked = list(dict.fromkeys(name for part in edge.when for name in names(part)))
    return f"on {', '.join(asked)}" if asked else "always"
