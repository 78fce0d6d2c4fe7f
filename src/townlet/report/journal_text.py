"""A journal in words: one line per record, and why each transition was taken."""

from collections.abc import Iterator, Sequence

from townlet.dto.guards import GuardReport
from townlet.dto.journal import (
    ApprovalRequested,
    Checkpoint,
    EffectDone,
    EffectIntent,
    Entry,
    EnvironmentChecked,
    GuardsJudged,
    JournalRecord,
    OperatorCommand,
    ProcessStarted,
    Recovered,
    RunClosed,
    RunCreated,
    TransitionTaken,
    VisitFinished,
    VisitStarted,
)
from townlet.dto.limitations import RunLimitations, VisitLimitations
from townlet.errors import BadInputError
from townlet.escapes import one_line
from townlet.machine.guards.paired_test import mean_warning
from townlet.numerals import edge_number, number, plain_reason
from townlet.report.limitations import limitation_lines
from townlet.report.verdicts import other_bound, verdict_sentence

__all__ = ["overridden_values", "record_summary", "show", "why"]


def overridden_values(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Return a line for each value that the call that began the run gave in place of the schedule's own."""
    created = [entry.record for entry in entries if isinstance(entry.record, RunCreated)]
    return tuple(f"set {one_line(str(change))}" for record in created for change in record.changes)


def why(
    entries: Sequence[Entry],
    which: int | str | None = None,
    *,
    exact: bool = False,
    limitations: RunLimitations | None = None,
) -> str:
    """Return the reasons of transitions with the verdict of each guard, as text.

    `which` is the sequence number of a transition, the name of a state that was left, or none for all; with `exact`
    the operands follow as the journal has them, to the last digit. Below the reasons stands what the evidence could not
    show, by `limitations`: of all transitions at the last one only. BadInputError where no transition matches.
    """
    visits = () if limitations is None else limitations.visits
    if which is None:
        visits = tuple(each for each in visits if _judged(each) == _judged(visits[-1]))
    reasons: list[str] = []
    evaluated: GuardsJudged | None = None
    for entry in entries:
        record = entry.record
        if isinstance(record, VisitStarted):
            evaluated = None
        if isinstance(record, GuardsJudged):
            evaluated = record
        if isinstance(record, TransitionTaken) and which in (None, entry.seq, record.source):
            judged = None if evaluated is None else (evaluated.state, evaluated.visit)
            sections = [
                line
                for visit in visits
                if limitations is not None and _judged(visit) == judged
                for line in limitation_lines(limitations, visit)
            ]
            lines = _reasons(entry, record, evaluated, exact=exact, has_section=bool(sections))
            reasons.append("\n".join([*lines, *sections]))
    if not reasons:
        sources = sorted({e.record.source for e in entries if isinstance(e.record, TransitionTaken)})
        raise BadInputError(f"no transition {which!r}; states that were left: {', '.join(sources) or 'none'}")
    return "\n\n".join(reasons)


def _judged(visit: VisitLimitations) -> tuple[str, int]:
    return visit.judged_in, visit.judged_visit


def _reasons(
    entry: Entry, record: TransitionTaken, evaluated: GuardsJudged | None, *, exact: bool, has_section: bool
) -> Iterator[str]:
    """Yield why a transition was taken; a section on what the evidence could not show says some of it itself."""
    edge = "the engine's own" if record.edge is None else f"edge {edge_number(record.edge)}"
    visit = "" if evaluated is None else f" (visit {evaluated.visit})"
    reports = () if evaluated is None else evaluated.reports
    cause = record.why
    for report in reports:  # it stands below
        cause = cause.replace(f"{report.guard}: {report.sentence}", report.guard)
    yield one_line(f"{entry.seq} {record.source}{visit} → {record.target}, {edge}: {plain_reason(cause)}")
    for report in reports:
        yield one_line(f"  {report.verdict.value:<9} {report.guard}: {verdict_sentence(report)}")
        details = ", ".join(_operands(report) if exact else _details(report, has_section=has_section))
        if details:
            yield one_line(f"            {details}")
    most = max((report.pairs for report in reports), default=0)
    if most and not has_section:
        yield f"  {mean_warning(most)}"


def _details(report: GuardReport, *, has_section: bool) -> Iterator[str]:
    """Yield what the sentence of a report leaves out."""
    if bound := other_bound(report):
        yield bound
    if report.check_low is not None and report.check_high is not None:
        name = "bounds of the mean" if report.check == "mean" else f"{report.check} bounds"
        yield f"{name} {number(report.check_low)} and {number(report.check_high)}"
    if report.worst is not None and not (has_section and report.tolerance):  # a limit on values has no tolerance
        what = "difference" if report.tolerance else "value"
        yield f"worst {what} {number(report.worst)} in episode {report.worst_episode}"
    if report.dropped and not has_section:
        yield f"{report.dropped} pairs without exposure on both sides"
    yield from _missing(report)


def _operands(report: GuardReport) -> Iterator[str]:
    numbers = {
        "value": report.value,
        "baseline": report.baseline,
        "limit": report.limit,
        "low": report.low,
        "high": report.high,
        "check low": report.check_low,
        "check high": report.check_high,
        "worst": report.worst,
    }
    for name, operand in numbers.items():
        if operand is not None:
            yield f"{name} {operand!r}"
    if report.pairs or report.dropped:
        yield f"pairs {report.pairs}, dropped {report.dropped}, look {report.look}"
    if report.tolerance:
        yield f"tolerance {report.tolerance}"
    yield from _missing(report)


def _missing(report: GuardReport) -> Iterator[str]:
    for side, episodes in (("candidate", report.candidate_missing), ("baseline", report.baseline_missing)):
        if episodes:
            yield f"only the {side} without exposure in episodes {', '.join(map(str, episodes))}"


def show(entries: Sequence[Entry]) -> str:
    """Return the journal as text, one line per record."""
    rows = ((entry, entry.record) for entry in entries)
    return "\n".join(
        one_line(f"{entry.seq:>4} {entry.at} {record.kind:<18} {record_summary(record)}") for entry, record in rows
    )


def record_summary(record: JournalRecord) -> str:
    """Return what a record says in a few words; its kind is not repeated."""
    text = ""
    match record:
        case RunCreated():
            rehearsal, changes = " (rehearsal)" if record.rehearsal else "", ", ".join(map(str, record.changes))
            text = f"{record.name} seed {record.seed}{rehearsal}{' with ' if changes else ''}{changes}"
        case EnvironmentChecked():
            text = record.report.summary
        case VisitStarted() | VisitFinished():
            attempt = f" attempt {record.attempt}" if isinstance(record, VisitStarted) else ""
            text = f"{record.state} visit {record.visit}{attempt}"
        case Checkpoint():
            text = f"{record.state} visit {record.visit} step {record.step} {record.blob[:12]}"
        case GuardsJudged():
            text = ", ".join(f"{report.guard} {report.verdict.value}" for report in record.reports) or "no guards"
        case TransitionTaken():
            text = f"{record.source} → {record.target}: {plain_reason(record.why)}"
        case EffectIntent():
            text = f"{record.alias} → {record.target[:12]}, expecting {(record.expected or 'nothing')[:12]}"
        case EffectDone():
            text = f"{record.alias} → {record.target[:12]} version {record.version}"
        case RunClosed():
            text = f"{record.state}: {plain_reason(record.reason)}"
        case ProcessStarted():
            changed = ", ".join(f"{name} {change}" for name, change in record.changed.items())
            text = f"pid {record.pid} on {record.host}, {record.promise}{': ' if changed else ''}{changed}"
        case ApprovalRequested() | OperatorCommand():
            text = _summarise_command(record)
        case Recovered():
            text = f"{record.torn_bytes} torn bytes cut"
    return text


def _summarise_command(record: ApprovalRequested | OperatorCommand) -> str:
    if isinstance(record, ApprovalRequested):
        return f"{record.state} edge {edge_number(record.edge)}, guard report {record.report[:12]}"
    first, *_ = (record.refused or record.reason).splitlines() or [""]
    owner = "" if record.uid is None else f" (user id {record.uid})"
    return f"{record.command} by {record.actor}{owner}{', refused' if record.refused else ''}: {first}"
