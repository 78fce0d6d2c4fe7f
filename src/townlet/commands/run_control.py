"""`townlet resume` and the commands of an operator: approve, reject, retry, accept-risk, hold, abort."""

from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from townlet.commands.arguments import HOME, Actor, AllowImport, Home, Json, Quiet, Run, Track, current_user, find_run
from townlet.commands.overview import ANSWERING, RUNNING
from townlet.commands.run_loop import run_with_progress
from townlet.errors import BadInputError, TownletError

if TYPE_CHECKING:
    from townlet.machine.audit.snapshot import RunSnapshot
    from townlet.store.rundir import RunDirectory

__all__ = ["add_operator_commands", "has_ended"]

Report = Annotated[
    str | None, Parameter(help="Hash of the guard report that you read; by default the one that waits for an answer.")
]
Reason = Annotated[str, Parameter(help="Why; the journal keeps it.")]


def resume(
    run: Run,
    *,
    accept_schedule: Annotated[bool, Parameter(negative="", help="Continue with the edited schedule.")] = False,
    allow_import: AllowImport = (),
    track: Track = (),
    quiet: Quiet = False,
    home: Home = HOME,
    json: Json = False,
) -> int:
    """Continue a run from its last journal record; it ends with the same bits as an uninterrupted one."""
    from townlet.report import terminal

    home, directory = find_run(home, run)
    had_ended = has_ended(home, directory)
    schedule = directory.source or directory.schedule
    code, _ = run_with_progress(
        schedule,
        home,
        lambda orchestrator: orchestrator.resume(directory.path, accept_schedule=accept_schedule),
        json=json,
        run=directory,
        allow_import=allow_import,
        track=track,
        quiet=quiet,
    )
    if had_ended:
        terminal.say("the run had ended before; resuming it changes nothing")
    return code


def approve(
    run: Run,
    *,
    signature: Annotated[Path | None, Parameter(help="Signature of the run's signature_request.json.")] = None,
    report: Report = None,
    actor: Actor = None,
    reason: Reason = "",
    home: Home = HOME,
) -> int:
    """Approve the promotion that a held run waits for; the approval counts for its guard report only.

    Where the promotion must be signed, `--signature` brings the file that `townlet sign` made.
    """
    if signature is None:
        return _answer_approval("approve", home, run, report, actor, reason)
    return _bring_signature(home, run, signature, report, actor, reason)


def reject(
    run: Run,
    *,
    report: Report = None,
    actor: Actor = None,
    reason: Reason = "",
    home: Home = HOME,
) -> int:
    """Reject the promotion that a held run waits for; the run is aborted."""
    return _answer_approval("reject", home, run, report, actor, reason)


def retry(
    run: Run,
    *,
    new: Annotated[bool, Parameter(negative="", help="Begin a new visit, with seeds of its own.")] = False,
    actor: Actor = None,
    reason: Reason = "",
    home: Home = HOME,
) -> int:
    """Continue a held or failed run: an unfinished visit goes on with its seeds, a finished one is visited anew."""
    return _send_command(home, run, "retry", {"visit": "new"} if new else {}, actor, reason)


def accept_risk(
    run: Run,
    edge: Annotated[str, Parameter(help="Number of an edge of the held state, from 1, or the state it leads to.")],
    *,
    reason: Annotated[str, Parameter(help="Why the risk is acceptable; the journal keeps it.")],
    actor: Actor = None,
    home: Home = HOME,
) -> int:
    """Leave hold by an edge whose guards did not pass; the verdicts stay as they are."""
    from townlet.machine.engine.operator_commands import edge_named

    *_, snapshot = _snapshot(home, run)
    index = edge_named(snapshot.state, snapshot.schedule, edge)
    return _send_command(home, run, "accept_risk", {"edge": index}, actor, reason)


def hold(run: Run, *, actor: Actor = None, reason: Reason = "", home: Home = HOME) -> int:
    """Make a run hold before its next visit."""
    return _send_command(home, run, "hold", {}, actor, reason)


def abort(run: Run, *, actor: Actor = None, reason: Reason = "", home: Home = HOME) -> int:
    """End a run; the champion stays in force."""
    return _send_command(home, run, "abort", {}, actor, reason)


def add_operator_commands(app: App) -> None:
    """Register the commands with the app."""
    app.command(resume, group=RUNNING)
    for command in (approve, reject, retry, accept_risk, hold, abort):
        app.command(command, group=ANSWERING)


def _answer_approval(command: str, home: Path, run: str, report: str | None, actor: str | None, reason: str) -> int:
    """Show what waits for an approval, and send the answer."""
    from townlet.report import outcome, terminal

    *_, snapshot = _snapshot(home, run)
    approval = snapshot.state.approval
    if approval is not None:
        terminal.show("\n".join(outcome.approval_lines(snapshot, approval)))
    digest = report or (approval.report if approval is not None else "")
    return _send_command(home, run, command, {"report": digest}, actor, reason)


def _bring_signature(home: Path, run: str, signature: Path, report: str | None, actor: str | None, reason: str) -> int:
    """Verify a signature and send it to the run, with the approval that it waits for, or with a retry."""
    from townlet.machine.engine.promote_alias import required_statement
    from townlet.report import outcome, terminal
    from townlet.store.registry.registry import Registry
    from townlet.store.registry.signing import signed_move
    from townlet.store.untrusted import decode_text, read_regular

    home, directory, snapshot = _snapshot(home, run)
    state, spec = snapshot.state, snapshot.schedule.registry
    registry = Registry(home / "registry.sqlite" if spec.scope == "home" else directory.registry)
    candidate = state.candidate
    statement = candidate and required_statement(state, spec.name, spec.champion, candidate, registry)
    if not statement:
        raise BadInputError(f"{directory.id}: its promotion needs no signature; approve without --signature")
    armoured = decode_text(read_regular(signature, 2**16), signature)
    allowed = registry.signers(spec.name, spec.champion) or statement.signers
    signed = signed_move(statement, armoured, allowed)
    terminal.show("\n".join([*outcome.statement_lines(statement), f"signed by {signed.key} {signed.signer}".rstrip()]))
    approval, arguments = state.approval, {"signature": armoured}
    if approval is None:
        return _send_command(home, run, "retry", arguments, actor, reason)
    return _send_command(home, run, "approve", arguments | {"report": report or approval.report}, actor, reason)


def _send_command(home: Path, run: str, command: str, arguments: dict[str, str], actor: str | None, reason: str) -> int:
    """Write a command into the inbox of a run; BadInputError where the run's present state cannot obey it."""
    from townlet.dto.journal import OperatorCommand
    from townlet.machine.engine.inbox import send
    from townlet.machine.engine.operator_commands import rejection_reason
    from townlet.report import terminal
    from townlet.store.hints import command_line, run_word

    home, directory, snapshot = _snapshot(home, run)
    directory.require_home(home)
    order = OperatorCommand(
        command=command, actor=actor or current_user(), reason=reason, arguments=arguments, sent=time()
    )
    refusal = rejection_reason(snapshot.state, snapshot.schedule, order)
    if refusal:
        raise BadInputError(f"{directory.id}: {refusal}")
    send(directory.inbox, order)
    word = command.replace("_", "-")
    terminal.show(
        f"{word}: sent to {directory.id}; the run obeys before its next visit, or when you type: "
        f"{command_line('resume', run_word(home, directory), home=home)}"
    )
    return 0


def has_ended(home: Path, directory: "RunDirectory") -> bool:
    """Return whether a run was closed before this command; False where its journal cannot be read: resume says why."""
    try:
        *_, snapshot = _snapshot(home, str(directory.path))
    except TownletError:
        return False
    return snapshot.state.closed is not None


def _snapshot(home: Path, run: str) -> "tuple[Path, RunDirectory, RunSnapshot]":
    """Return the home and the directory of a run, and its state read from the journal."""
    from townlet.machine.audit.snapshot import load_run
    from townlet.policy.training.strategies.base import catalogue
    from townlet.store.blobs import BlobStore

    home, directory = find_run(home, run)
    return home, directory, load_run(directory, BlobStore(home / "blobs"), catalogue())
