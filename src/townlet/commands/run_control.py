"""`townlet resume` and the commands of an operator: approve, reject, retry, accept-risk, hold, abort."""

import getpass
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from townlet.commands.arguments import HOME, Home, Json, Run
from townlet.commands.run_loop import walk
from townlet.errors import BadInputError

if TYPE_CHECKING:
    from townlet.machine.audit.snapshot import RunSnapshot
    from townlet.store.rundir import RunDirectory

__all__ = ["add_operator_commands"]

Actor = Annotated[str | None, Parameter(help="Who gives the order; the user's name by default.")]
Report = Annotated[str | None, Parameter(help="Hash of the guard report that was read.")]
Reason = Annotated[str, Parameter(help="Why; it stands in the journal.")]


def resume(
    run: Run,
    *,
    accept_schedule: Annotated[bool, Parameter(negative="", help="Take an edited schedule over.")] = False,
    home: Home = HOME,
    json: Json = False,
) -> int:
    """Go on with a run where its journal stands, and end as if nothing had happened."""
    from townlet.report import terminal
    from townlet.store.rundir import RunDirectory

    directory = RunDirectory.find(home, run)
    schedule = directory.source or directory.schedule
    code, summary = walk(
        schedule, home, lambda facade: facade.resume(directory.path, accept_schedule=accept_schedule), json=json
    )
    if summary is not None and summary.state == "hold":
        terminal.errors.print(f"held: {_open(home, directory)}", markup=False)
    elif summary is not None:
        terminal.errors.print("the run has ended; resuming it again changes nothing", markup=False)
    return code


def approve(
    run: Run,
    *,
    report: Report = None,
    actor: Actor = None,
    reason: Reason = "",
    home: Home = HOME,
) -> int:
    """Agree to the promotion that a held run asks for; bound to its guard report."""
    return _answer("approve", home, run, report, actor, reason)


def reject(
    run: Run,
    *,
    report: Report = None,
    actor: Actor = None,
    reason: Reason = "",
    home: Home = HOME,
) -> int:
    """Refuse the promotion that a held run asks for; the run is aborted."""
    return _answer("reject", home, run, report, actor, reason)


def retry(run: Run, *, actor: Actor = None, reason: Reason = "", home: Home = HOME) -> int:
    """Visit the held state anew."""
    return _send(home, run, "retry", {}, actor, reason)


def accept_risk(
    run: Run,
    edge: Annotated[str, Parameter(help="Index of an edge of the held state, or the state it leads to.")],
    *,
    reason: Annotated[str, Parameter(help="Why the risk is taken; it stands in the journal.")],
    actor: Actor = None,
    home: Home = HOME,
) -> int:
    """Take a named edge out of hold; the verdicts stay as they are."""
    from townlet.machine.engine.operator_commands import edge_named

    _, standing = _stand(home, run)
    return _send(home, run, "accept_risk", {"edge": edge_named(standing.state, standing.schedule, edge)}, actor, reason)


def hold(run: Run, *, actor: Actor = None, reason: Reason = "", home: Home = HOME) -> int:
    """Hold a walking run before its next visit."""
    return _send(home, run, "hold", {}, actor, reason)


def abort(run: Run, *, actor: Actor = None, reason: Reason = "", home: Home = HOME) -> int:
    """End a run; the champion stays."""
    return _send(home, run, "abort", {}, actor, reason)


def add_operator_commands(app: App) -> None:
    """Hang the commands into the front door."""
    for command in (resume, approve, reject, retry, accept_risk, hold, abort):
        app.command(command)


def _answer(command: str, home: Path, run: str, report: str | None, actor: str | None, reason: str) -> int:
    _, standing = _stand(home, run)
    asked = standing.state.approval
    bound = report or (asked.report if asked is not None else "")
    return _send(home, run, command, {"report": bound}, actor, reason)


def _send(home: Path, run: str, command: str, arguments: dict[str, str], actor: str | None, reason: str) -> int:
    """Leave an order in a run's inbox; what fits nothing is refused here where it can be known."""
    from townlet.dto.journal import OperatorCommand
    from townlet.machine.engine.inbox import send
    from townlet.machine.engine.operator_commands import rejection_reason
    from townlet.report import terminal

    directory, standing = _stand(home, run)
    order = OperatorCommand(
        command=command, actor=actor or getpass.getuser(), reason=reason, arguments=arguments, sent=time()
    )
    why = rejection_reason(standing.state, standing.schedule, order)
    if why:
        raise BadInputError(f"{directory.id}: {why}")
    send(directory.inbox, order)
    word = command.replace("_", "-")
    terminal.show(f"{word}: left for {directory.id}; obeyed at its next step, or by: townlet resume {directory.id}")
    return 0


def _open(home: Path, directory: "RunDirectory") -> str:
    from townlet.machine.engine.operator_commands import open_commands

    _, standing = _stand(home, str(directory.path))
    commands = ", ".join(open_commands(standing.state, standing.schedule))
    asked = standing.state.approval
    about = "" if asked is None else f"; guard report {asked.report}"
    return f"{standing.state.reason}; open commands: {commands}{about}"


def _stand(home: Path, run: str) -> "tuple[RunDirectory, RunSnapshot]":
    from townlet.machine.audit.snapshot import load_run
    from townlet.policy.training.strategies.base import catalogue
    from townlet.store.blobs import BlobStore
    from townlet.store.rundir import RunDirectory

    directory = RunDirectory.find(home, run)
    return directory, load_run(directory, BlobStore(home / "blobs"), catalogue())
