"""What an operator may order, and why an order fits nothing; asked at the door and again where it is obeyed."""

from datetime import UTC, datetime

from townlet.dto.journal import OperatorCommand
from townlet.dto.schedule import ScheduleSpec
from townlet.errors import BadInputError
from townlet.machine.journal.run_state import RunState

__all__ = ["edge_named", "open_commands", "rejection_reason"]


def rejection_reason(run: RunState, schedule: ScheduleSpec, order: OperatorCommand) -> str:
    """Return in one sentence why an order fits nothing; empty where it can be obeyed."""
    if run.closed is not None or run.state not in (*schedule.states, "hold"):
        return f"the run has ended ({run.state}); nothing can be ordered any more"
    if run.pending_commands and order.command != "abort":
        return f"{run.pending_commands[0].command} was ordered already and comes first"
    held = run.state == "hold"
    match order.command:
        case "abort":
            why = ""
        case "hold":
            why = "the run holds already" if held else ""
        case "approve" | "reject":
            why = _answer_refused(run, order)
        case "retry" | "accept_risk" if not held:
            why = _not_held(run, order.command.replace("_", "-"))
        case "accept_risk":
            why = _risk_refused(run, schedule, order)
        case "retry":
            why = ""
        case _:
            why = f"unknown command {order.command!r}; expected approve, reject, retry, accept_risk, hold or abort"
    return why


def _not_held(run: RunState, command: str) -> str:
    return f"the run is not held (it is in {run.state}); {command} leads out of hold only"


def _answer_refused(run: RunState, order: OperatorCommand) -> str:
    asked = run.approval
    if run.state != "hold" or asked is None:
        return f"nothing was asked (the run is in {run.state}); approve and reject answer a request for approval"
    if order.arguments.get("report") != asked.report:
        return f"the question is about the guard report {asked.report}, not {order.arguments.get('report', 'none')}"
    late = order.sent is None or (asked.expires is not None and order.sent >= asked.expires)
    if order.command == "approve" and late:
        return f"the question expired at {_time(asked.expires or 0.0)}; resume ends the run"
    return ""


def _risk_refused(run: RunState, schedule: ScheduleSpec, order: OperatorCommand) -> str:
    if run.approval is not None:
        return "the run waits for an approval; approve or reject it"
    if run.held is None or run.held.reports is None:
        return f"{run.held_state} was not judged in this visit, so there is no risk to accept; retry it"
    edges, word = schedule.states[run.held_state].next, order.arguments.get("edge", "")
    if not (word.isascii() and word.isdecimal() and int(word) < len(edges)):
        return f"{run.held_state} has no edge {word!r}; expected 0 to {len(edges) - 1}"
    return f"edge {word} of {run.held_state} leads to hold, where the run is" if edges[int(word)].to == "hold" else ""


def edge_named(run: RunState, schedule: ScheduleSpec, word: str) -> str:
    """Return the index, as text, of the held state's edge that `word` names by its index or by where it leads."""
    if run.state != "hold":
        raise BadInputError(_not_held(run, "accept-risk"))
    edges = schedule.states[run.held_state].next
    found = [str(index) for index, edge in enumerate(edges) if word in (str(index), edge.to)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{index} (to {edge.to})" for index, edge in enumerate(edges))
    raise BadInputError(f"{run.held_state} has {len(found) or 'no'} edges {word!r}; expected one of: {known}")


def open_commands(run: RunState, schedule: ScheduleSpec) -> tuple[str, ...]:
    """Return the commands that fit a held run, as one would type them after `townlet` and before the run's name."""
    if run.state != "hold":
        return ()
    if run.approval is not None:
        expires = "" if run.approval.expires is None else f" (until {_time(run.approval.expires)})"
        return (f"approve{expires}", "reject", "retry", "abort")
    risks: tuple[str, ...] = ()
    if run.held is not None and run.held.reports is not None:
        edges = enumerate(schedule.states[run.held_state].next)
        risks = tuple(f"accept-risk {index} (to {edge.to})" for index, edge in edges if edge.to != "hold")
    return ("retry", *risks, "abort")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
