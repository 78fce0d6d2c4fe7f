"""Verify a run directory, and explain why each transition was taken."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType

from attrs import frozen

from townlet.canonical import GENESIS
from townlet.dto.codec import Record
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
from townlet.errors import BadInputError, JournalBrokenError
from townlet.machine.audit.environment_promises import environment_reservations
from townlet.machine.audit.gc import open_checkpoint
from townlet.machine.audit.snapshot import schedules
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.guards.paired_test import mean_warning
from townlet.machine.journal.chain import read
from townlet.machine.journal.result_codec import load_result
from townlet.store.blobs import BlobStore
from townlet.store.files import read_bytes
from townlet.store.rundir import RunDirectory

__all__ = ["VerificationReport", "inexact_processes", "promise_phrase", "show", "verify", "why"]


@frozen(kw_only=True)
class VerificationReport(Record):
    """The result of a verification."""

    records: int
    """Records in the journal."""
    head: str
    """Hash of the last record, to be compared with a copy outside the run (registry, exit line)."""
    semantic: str
    """Semantic hash after the last record; two equal runs have the same."""
    blobs: int
    """Stored artefacts that the journal names and that match their digests."""
    problems: tuple[str, ...]
    """What is missing, damaged or contradictory; empty for a clean run."""
    inexact: tuple[str, ...] = ()
    """Why an undisturbed run may have had other bits: each process that did not promise the same ones."""
    reservations: tuple[str, ...] = ()
    """Promises that the environment did not keep, or that could not be checked, at the start of the run."""

    @property
    def clean(self) -> bool:
        """Whether there is no problem."""
        return not self.problems


def verify(
    directory: RunDirectory,
    blobs: BlobStore,
    catalogue: StrategyCatalogue,
    heads: Mapping[str, str] = MappingProxyType({}),
) -> VerificationReport:
    """Return the problems of a run's chain, head, schedules and blobs; change nothing, raise for no broken run.

    `heads` are hashes of records of this journal that are kept elsewhere, with who keeps them: each must be there.
    """
    try:
        journal = read(directory.journal, directory.head, catalogue)
        followed = schedules(journal.entries)
        needed = dict(_blobs(journal.entries, catalogue))
        needed |= {digest: "a schedule that the run followed" for digest in followed if blobs.has(digest)}
    except JournalBrokenError as error:
        return VerificationReport(records=0, head="", semantic="", blobs=0, problems=(str(error),))
    problems = [f"{directory.journal}: there are no records"] if not journal.entries else []
    if journal.torn_tail:
        problems.append(
            f"{directory.journal}: the last line is torn ({len(journal.torn_tail)} bytes); resume repairs it"
        )
    if journal.head_is_stale:
        problems.append(f"{directory.head}: the head is one record old; resume repairs it")
    present = {entry.hash for entry in journal.entries}
    problems += (
        f"{directory.journal}: no record has the hash {head}, which {keeper} holds: the journal was written anew"
        for head, keeper in heads.items()
        if head not in present
    )
    problems += _schedule_problems(directory, followed, blobs)
    lost = [(digest, user) for digest, user in needed.items() if not _is_intact(blobs, digest)]
    problems += [f"blob {digest} of {user} is missing or damaged" for digest, user in lost]
    return VerificationReport(
        records=len(journal.entries),
        head=journal.entries[-1].hash if journal.entries else GENESIS,
        semantic=journal.semantic,
        blobs=len(needed) - len(lost),
        problems=tuple(problems),
        inexact=tuple(inexact_processes(journal.entries)),
        reservations=tuple(environment_reservations(journal.entries)),
    )


def inexact_processes(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield a sentence for each process that did not promise the bits of an undisturbed run."""
    for entry in entries:
        record = entry.record
        if isinstance(record, ProcessStarted) and (record.promise != "exact" or record.changed):
            yield f"record {entry.seq}: {promise_phrase(record)}"


def promise_phrase(record: ProcessStarted) -> str:
    """Return in words how the bits of a process may differ from those of an undisturbed run."""
    changed = ", ".join(f"{name} {change}" for name, change in record.changed.items())
    if changed:
        return f"exactness is broken from here on, the process differs from the run's first: {changed}"
    return {
        "none": "exactness was broken by an earlier process, with other versions or on another machine",
        "reset": "not exact, the environment could not be restored and began new episodes",
        "unknown": "exactness is unknown, the run was begun by a Townlet that recorded less of the machine",
    }.get(record.promise, record.promise)


def _schedule_problems(directory: RunDirectory, followed: tuple[str, ...], blobs: BlobStore) -> Iterator[str]:
    """Yield the schedules that a resume or a replay of the run lacks; the last of `followed` is in force."""
    file = directory.schedule
    copy = sha256(read_bytes(file)).hexdigest() if file.is_file() else "missing"
    for digest in followed[:-1]:
        if digest != copy and not blobs.has(digest):
            yield f"schedule {digest}, which the run followed at first, is missing; restore the blob from a copy"
    if followed and copy != followed[-1]:
        yield f"{file}: found digest {copy}, expected the schedule in force, {followed[-1]}; undo the edit"


def _is_intact(blobs: BlobStore, digest: str) -> bool:
    try:
        blobs.get(digest)
    except BadInputError:
        return False
    return True


def _blobs(entries: Sequence[Entry], catalogue: StrategyCatalogue) -> Iterator[tuple[str, str]]:
    """Yield each digest the journal needs, with the record that names it; of checkpoints only where a resume begins."""
    checkpoint = open_checkpoint(entries)
    for entry in entries:
        record = entry.record
        if isinstance(record, Checkpoint) and record.blob == checkpoint:
            yield record.blob, f"record {entry.seq} (checkpoint of {record.state})"
        if isinstance(record, VisitFinished):
            if record.strategy not in catalogue.entries:
                raise JournalBrokenError(f"record {entry.seq}: unknown strategy {record.strategy!r}")
            result = load_result(record.result, catalogue.entries[record.strategy].result)
            digests = (*result.blobs.values(), *((result.weights,) if result.weights is not None else ()))
            for digest in digests:
                yield digest, f"record {entry.seq} (visit {record.visit} to {record.state})"


def why(entries: Sequence[Entry], which: int | str | None = None) -> str:
    """Return the reasons of transitions with the operands of each guard, as text.

    `which` is the sequence number of a transition, the name of a state that was left, or none for all.
    BadInputError where no transition matches.
    """
    reasons: list[str] = []
    evaluated: GuardsJudged | None = None
    for entry in entries:
        record = entry.record
        if isinstance(record, VisitStarted):
            evaluated = None
        if isinstance(record, GuardsJudged):
            evaluated = record
        if isinstance(record, TransitionTaken) and which in (None, entry.seq, record.source):
            reasons.append("\n".join(_reasons(entry, record, evaluated)))
    if not reasons:
        sources = sorted({e.record.source for e in entries if isinstance(e.record, TransitionTaken)})
        raise BadInputError(f"no transition {which!r}; states that were left: {', '.join(sources) or 'none'}")
    return "\n\n".join(reasons)


def _reasons(entry: Entry, record: TransitionTaken, evaluated: GuardsJudged | None) -> Iterator[str]:
    edge = "the engine's own" if record.edge is None else f"edge {record.edge}"
    visit = "" if evaluated is None else f" (visit {evaluated.visit})"
    yield f"{entry.seq} {record.source}{visit} → {record.target}, {edge}: {record.why}"
    reports = () if evaluated is None else evaluated.reports
    for report in reports:
        yield f"  {report.verdict.value:<9} {report.guard}: {report.sentence}"
        operands = ", ".join(_operands(report))
        if operands:
            yield f"            {operands}"
    most = max((report.pairs for report in reports), default=0)
    if most:
        yield f"  {mean_warning(most)}"


def _operands(report: GuardReport) -> Iterator[str]:
    numbers = {
        "value": report.value,
        "baseline": report.baseline,
        "limit": report.limit,
        "low": report.low,
        "high": report.high,
    }
    for name, number in numbers.items():
        if number is not None:
            yield f"{name} {number!r}"
    if report.pairs or report.dropped:
        yield f"pairs {report.pairs}, dropped {report.dropped}, look {report.look}"
    if report.tolerance:
        yield f"tolerance {report.tolerance}"
    for side, episodes in (("candidate", report.candidate_missing), ("baseline", report.baseline_missing)):
        if episodes:
            yield f"only the {side} without exposure in episodes {', '.join(map(str, episodes))}"


def show(entries: Sequence[Entry]) -> str:
    """Return the journal as text, one line per record."""
    return "\n".join(
        f"{entry.seq:>4} {entry.at} {entry.record.kind:<18} {_summarise(entry.record)}" for entry in entries
    )


def _summarise(record: JournalRecord) -> str:
    text = ""
    match record:
        case RunCreated():
            text = f"{record.name} seed {record.seed}{' (rehearsal)' if record.rehearsal else ''}"
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
            text = f"{record.source} → {record.target}: {record.why}"
        case EffectIntent():
            text = f"{record.alias} → {record.target[:12]}, expecting {(record.expected or 'nothing')[:12]}"
        case EffectDone():
            text = f"{record.alias} → {record.target[:12]} version {record.version}"
        case RunClosed():
            text = f"{record.state}: {record.reason}"
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
        return f"{record.state} edge {record.edge}, guard report {record.report[:12]}"
    first, *_ = (record.refused or record.reason).splitlines() or [""]
    owner = "" if record.uid is None else f" (user id {record.uid})"
    return f"{record.command} by {record.actor}{owner}{', refused' if record.refused else ''}: {first}"
