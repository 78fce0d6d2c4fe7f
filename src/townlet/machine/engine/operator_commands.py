"""The operator's commands: which are open, and why one is rejected.

The command line checks a command before it is sent, the engine again before it is carried out.
"""

from datetime import UTC, datetime

from townlet.dto.journal import OperatorCommand
from townlet.dto.schedule import ScheduleSpec
from townlet.errors import BadInputError
from townlet.machine.journal.run_state import RunState
from townlet.numerals import edge_number

__all__ = ["edge_named", "open_commands", "rejection_reason"]


def rejection_reason(run: RunState, schedule: ScheduleSpec, command: OperatorCommand) -> str:
    """Return in one sentence why a command is rejected; empty where it can be carried out."""
    if not command.is_allowed:
        return (
            f"it was given by the user with the id {command.uid}, who may not command this run; give it as the user "
            "who runs it, or share the home with a group: chmod 2770"
        )
    if run.state == "failed" and command.command == "retry" and not run.pending_commands:
        return "" if command.reason.strip() else "the run has failed; say with --reason why it can go on now"
    if run.closed is not None or run.state not in (*schedule.states, "hold"):
        return f"the run has ended ({run.state}); no command is possible any more"
    if run.pending_commands and command.command != "abort":
        return f"{run.pending_commands[0].command} was given already and comes first"
    held = run.state == "hold"
    match command.command:
        case "abort":
            reason = ""
        case "hold":
            reason = "the run holds already" if held else ""
        case "approve" | "reject":
            reason = _answer_rejection(run, command)
        case "retry" | "accept_risk" if not held:
            reason = _not_held(run, command.command.replace("_", "-"))
        case "accept_risk":
            reason = _risk_rejection(run, schedule, command)
        case "retry":
            reason = ""
        case _:
            reason = f"unknown command {command.command!r}; expected approve, reject, retry, accept_risk, hold or abort"
    return reason


def _not_held(run: RunState, name: str) -> str:
    return f"the run is not held (it is in {run.state}); {name} leads out of hold only"


def _answer_rejection(run: RunState, command: OperatorCommand) -> str:
    request = run.approval
    if run.state != "hold" or request is None:
        return f"no approval was requested (the run is in {run.state}); approve and reject answer a request"
    if command.arguments.get("report") != request.report:
        return f"the request names the guard report {request.report}, not {command.arguments.get('report', 'none')}"
    given = command.sent if command.arrived is None else command.arrived
    is_late = given is None or (request.expires is not None and given >= request.expires)
    if command.command == "approve" and is_late:
        return f"the request expired at {_time(request.expires or 0.0)}; resume ends the run"
    return ""


def _risk_rejection(run: RunState, schedule: ScheduleSpec, command: OperatorCommand) -> str:
    if run.approval is not None:
        return "the run waits for an approval; approve or reject it"
    if run.held is None or run.held.reports is None:
        return f"{run.held_state} has no guard reports in this visit, so there is no risk to accept; retry it"
    edges, word = schedule.states[run.held_state].next, command.arguments.get("edge", "")
    if not (word.isascii() and word.isdecimal() and int(word) < len(edges)):
        return f"{run.held_state} has no edge {word!r}; expected an index from 0 to {len(edges) - 1}"
    if edges[int(word)].to == "hold":
        return f"edge {edge_number(int(word))} of {run.held_state} leads to hold, where the run is"
    return ""


def edge_named(run: RunState, schedule: ScheduleSpec, word: str) -> str:
    """Return the index, as text, of the held state's edge that `word` names by its number or by where it leads."""
    if run.state != "hold":
        raise BadInputError(_not_held(run, "accept-risk"))
    edges = schedule.states[run.held_state].next
    matches = [str(index) for index, edge in enumerate(edges) if word in (str(edge_number(index)), edge.to)]
    if len(matches) == 1:
        return matches[0]
    choices = ", ".join(f"{edge_number(index)} (to {edge.to})" for index, edge in enumerate(edges))
    raise BadInputError(f"{run.held_state} has {len(matches) or 'no'} edges {word!r}; expected one of: {choices}")


def open_commands(run: RunState, schedule: ScheduleSpec) -> tuple[str, ...]:
    """Return the commands open to a held run, as one types them between `townlet` and the run's name."""
    if run.state == "failed":
        return ("retry",)
    if run.state != "hold":
        return ()
    if run.approval is not None:
        expires = "" if run.approval.expires is None else f" (until {_time(run.approval.expires)})"
        return (f"approve{expires}", "reject", "retry", "abort")
    risks: tuple[str, ...] = ()
    if run.held is not None and run.held.reports is not None:
        edges = schedule.states[run.held_state].next
        targets = [edge.to for edge in edges]
        risks = tuple(
            f"accept-risk {to}" if targets.count(to) == 1 else f"accept-risk {edge_number(index)} (to {to})"
            for index, to in enumerate(targets)
            if to != "hold"
        )
    return ("retry", *risks, "abort")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
