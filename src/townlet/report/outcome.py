"""How a run ended, in the words of the person who started it: figures, what is in force, the next command."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from townlet.dto.guards import GuardReport, Verdict
from townlet.dto.journal import ApprovalRequested, EffectDone
from townlet.dto.policy import AnnealSummary
from townlet.dto.registry import MoveStatement
from townlet.dto.summary_text import headline
from townlet.escapes import one_line
from townlet.machine.audit.snapshot import RunSnapshot
from townlet.machine.engine.operator_commands import open_commands
from townlet.numerals import number
from townlet.report.verdicts import verdict_sentence

__all__ = ["approval_lines", "figures", "headline", "hold_lines", "in_force", "next_command", "statement_lines"]

Command = Callable[..., str]
"""Makes a complete command of the words between `townlet` and the run's home."""
_MOST_FIGURES = 4


def figures(snapshot: RunSnapshot) -> Iterator[str]:
    """Yield the candidate's and the baseline's value of each KPI of the last comparison; the bars to clear first."""
    reports = _last_reports(snapshot)
    seen: set[str] = set()
    for report in sorted(reports, key=lambda report: report.limit is None or report.verdict is Verdict.FAIL):
        if report.baseline is None or report.value is None or report.metric in seen or len(seen) == _MOST_FIGURES:
            continue
        seen.add(report.metric)
        candidate = report.value + report.baseline if report.pairs else report.value
        episodes = f" over {report.pairs} paired episodes" if report.pairs else ""
        yield f"  {report.metric.partition('.')[2]}: {number(candidate)}, before {number(report.baseline)}{episodes}"


def _last_reports(snapshot: RunSnapshot) -> Sequence[GuardReport]:
    """Return the reports of the last visit that compared anything with a baseline."""
    for entry in reversed(snapshot.entries):
        reports: Sequence[GuardReport] = getattr(entry.record, "reports", ())
        if any(report.baseline is not None for report in reports):
            return reports
    return ()


def in_force(snapshot: RunSnapshot) -> str:
    """Return which policy this run put in force; empty where it moved no alias."""
    moves = [entry.record for entry in snapshot.entries if isinstance(entry.record, EffectDone)]
    if not moves:
        return ""
    name = snapshot.schedule.registry.name
    return f"in force: {name}@{moves[-1].alias} is version {moves[-1].version} ({moves[-1].target[:12]})"


def hold_lines(snapshot: RunSnapshot, run: str, command: Command, request: Path) -> Iterator[str]:
    """Yield why a run holds: the verdicts behind it, and each command that leads on, ready to be typed.

    `request` is the file of what must be signed, where the run waits for a signature.
    """
    state = snapshot.state
    if state.held is not None:
        for report in state.held.reports or ():
            if report.verdict is not Verdict.PASS or state.approval is not None:
                yield f"  {report.verdict.value:<9} {report.guard}: {one_line(verdict_sentence(report))}"
    if state.held is not None and state.held.intent is not None and state.held.done is None:
        yield "sign the request, bring the signature, then type the last line:"
        yield f"  {shlex.join(['townlet', 'sign', str(request.absolute()), '--key'])} KEY"
        yield f"  {command('approve', run, '--signature', f'{request.absolute()}.sig')}"
        yield f"  {command('resume', run)}"
        return
    yield "to go on, type one of these:"
    for words in open_commands(state, snapshot.schedule):
        name, *rest = words.partition(" (")[0].split()
        more = ["--reason", "WHY"] if name == "accept-risk" else []
        note = words.partition(" (")[2].rstrip(")")
        yield f"  {command(name, run, *rest, *more)}{f'   # {note}' if note else ''}"
    yield "and then:"
    yield f"  {command('resume', run)}"


def statement_lines(statement: MoveStatement) -> Iterator[str]:
    """Yield what a signature stands for, in words."""
    yield f"{statement.kind} {statement.registry}@{statement.alias} to the weights {statement.target}"
    yield f"  in place of {statement.expected or 'nothing'}"
    yield (
        f"  on the guard report {statement.report}, by run {statement.run}"
        if statement.run
        else (f"  because: {statement.reason}")
    )
    yield "  the next move may be signed by:"
    yield from (f"    {line}" for line in statement.signers)


def approval_lines(snapshot: RunSnapshot, request: ApprovalRequested) -> Iterator[str]:
    """Yield what an approval is about: the edge, the candidate, every verdict, the hash of the report."""
    target = snapshot.schedule.states[request.state].next[request.edge].to
    yield f"{request.state} asks to go on to {target}, candidate {(snapshot.state.candidate or 'none')[:12]}"
    for report in () if snapshot.state.held is None else snapshot.state.held.reports or ():
        yield f"  {report.verdict.value:<9} {report.guard}: {one_line(verdict_sentence(report))}"
    yield f"  guard report {request.report}"


def next_command(summary: AnnealSummary, run: str, command: Command) -> str:
    """Return the command that shows why the run ended as it did."""
    return command("audit", "show" if summary.state in ("failed", "aborted") else "why", run)
