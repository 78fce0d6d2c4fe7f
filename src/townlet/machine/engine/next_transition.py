"""The next transition of a run: a pure function of its state and its schedule.

The engine takes the transition; the audit derives it again from the same records.
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
    """`leave` along an edge of the present state, `release` from hold, or the engine's own `hold` and `abort`."""
    target: str
    """State that is entered."""
    edge: int | None = None
    """Index of the edge; none for the engine's own and for a retry."""
    why: str
    """In words."""
    needs_approval: int | None = None
    """Index of an edge that an operator must approve before it is taken."""


def from_verdicts(run: RunState, visit: OpenVisit, schedule: ScheduleSpec) -> Transition:
    """Return the edge that the recorded verdicts choose, or a hold before an edge with a guard that is UNKNOWN."""
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
        return Transition(trigger="hold", target="hold", why=why, needs_approval=choice.edge)
    return _leave(edges, choice.edge, _why(chosen))


def from_command(run: RunState, schedule: ScheduleSpec, now: float) -> Transition | None:
    """Return the transition that an operator's command or an expired approval causes; none where neither does.

    `now` is in seconds since the epoch. Time alone can end a run, and never chooses an edge.
    """
    command = min(run.pending_commands, key=lambda command: command.command != "abort", default=None)
    if command is not None:
        return _commanded(run, schedule, command)
    approval = run.approval
    if run.state == "hold" and approval is not None and approval.expires is not None and now >= approval.expires:
        return Transition(trigger="abort", target="aborted", why="nobody approved in time")
    return None


def _commanded(run: RunState, schedule: ScheduleSpec, command: OperatorCommand) -> Transition:
    why = f"{command.command.replace('_', '-')} by {command.actor}" + (f": {command.reason}" if command.reason else "")
    if command.command in ("abort", "reject"):
        return Transition(trigger="abort", target="aborted", why=why)
    if command.command == "hold":
        return _hold(why)
    if command.command == "retry":
        return Transition(trigger="release", target=run.held_state, why=why)
    edge = run.approval.edge if command.command == "approve" and run.approval else int(command.arguments["edge"])
    return Transition(trigger="release", target=schedule.states[run.held_state].next[edge].to, edge=edge, why=why)


def _leave(edges: tuple[EdgeSpec, ...], edge: int, why: str) -> Transition:
    return Transition(trigger="leave", target=edges[edge].to, edge=edge, why=why)


def _hold(why: str) -> Transition:
    return Transition(trigger="hold", target="hold", why=why)


def _why(edge: EdgeSpec) -> str:
    if edge.why:
        return edge.why
    guards = list(dict.fromkeys(name for part in edge.when for name in names(part)))
    return f"on {', '.join(guards)}" if guards else "always"
