"""The auditor: whether a run directory holds together, and why each transition was taken."""

from collections.abc import Iterator, Sequence
from hashlib import sha256

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
from townlet.machine.audit.gc import open_checkpoint
from townlet.machine.audit.snapshot import schedules
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.journal.chain import read
from townlet.machine.journal.result_codec import load_result
from townlet.store.blobs import BlobStore
from townlet.store.rundir import RunDirectory

__all__ = ["Report", "show", "verify", "why"]


@frozen(kw_only=True)
class Report(Record):
    """What an audit found."""

    records: int
    """Records in the journal."""
    head: str
    """Hash of the last one; compare it with a copy kept elsewhere (registry entry, exit line)."""
    semantic: str
    """Running hash of what two equal runs agree on."""
    blobs: int
    """Stored artefacts that the journal names and that match their digests."""
    problems: tuple[str, ...]
    """What does not hold; empty for a clean run."""

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self.problems


def verify(directory: RunDirectory, blobs: BlobStore, catalogue: StrategyCatalogue) -> Report:
    """Return what an audit of chain, head, schedules and named blobs finds.

    It changes nothing and never raises for a broken run.
    """
    try:
        journal = read(directory.journal, directory.head, catalogue)
        obeyed = schedules(journal.entries)
        named = dict(_blobs(journal.entries, catalogue))
        named |= {digest: "a schedule that the run obeyed" for digest in obeyed if blobs.has(digest)}
    except JournalBrokenError as error:
        return Report(records=0, head="", semantic="", blobs=0, problems=(str(error),))
    problems = [f"{directory.journal}: there are no records"] if not journal.entries else []
    if journal.torn_tail:
        problems.append(f"{directory.journal}: the last line is torn ({len(journal.torn_tail)} bytes); resume mends it")
    if journal.head_is_stale:
        problems.append(f"{directory.head}: the head is one record old; resume mends it")
    problems += _unfit_schedules(directory, obeyed, blobs)
    lost = [(digest, where) for digest, where in named.items() if not _intact(blobs, digest)]
    problems += [f"blob {digest} of {where} is missing or damaged" for digest, where in lost]
    return Report(
        records=len(journal.entries),
        head=journal.entries[-1].hash if journal.entries else GENESIS,
        semantic=journal.semantic,
        blobs=len(named) - len(lost),
        problems=tuple(problems),
    )


def _unfit_schedules(directory: RunDirectory, obeyed: tuple[str, ...], blobs: BlobStore) -> Iterator[str]:
    """Yield what keeps a run from being resumed or replayed by the schedules it obeyed, the one in force last."""
    file = directory.schedule
    copy = sha256(file.read_bytes()).hexdigest() if file.is_file() else "missing"
    for digest in obeyed[:-1]:
        if digest != copy and not blobs.has(digest):
            yield f"schedule {digest}, which the run obeyed at first, is missing; restore the blob from a copy"
    if obeyed and copy != obeyed[-1]:
        yield f"{file}: found digest {copy}, expected the schedule in force, {obeyed[-1]}; undo the edit"


def _intact(blobs: BlobStore, digest: str) -> bool:
    try:
        blobs.get(digest)
    except BadInputError:
        return False
    return True


def _blobs(entries: Sequence[Entry], catalogue: StrategyCatalogue) -> Iterator[tuple[str, str]]:
    """Yield each digest the journal needs, with the record that names it; of checkpoints only where a resume begins."""
    needed = open_checkpoint(entries)
    for entry in entries:
        record = entry.record
        if isinstance(record, Checkpoint) and record.blob == needed:
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
    found: list[str] = []
    judged: GuardsJudged | None = None
    for entry in entries:
        record = entry.record
        if isinstance(record, VisitStarted):
            judged = None
        if isinstance(record, GuardsJudged):
            judged = record
        if isinstance(record, TransitionTaken) and which in (None, entry.seq, record.source):
            found.append("\n".join(_reasons(entry, record, judged)))
    if not found:
        left = sorted({e.record.source for e in entries if isinstance(e.record, TransitionTaken)})
        raise BadInputError(f"no transition {which!r}; states that were left: {', '.join(left) or 'none'}")
    return "\n\n".join(found)


def _reasons(entry: Entry, record: TransitionTaken, judged: GuardsJudged | None) -> Iterator[str]:
    edge = "the engine's own" if record.edge is None else f"edge {record.edge}"
    visit = "" if judged is None else f" (visit {judged.visit})"
    yield f"{entry.seq} {record.source}{visit} → {record.target}, {edge}: {record.why}"
    for report in () if judged is None else judged.reports:
        yield f"  {report.verdict.value:<9} {report.guard}: {report.sentence}"
        operands = ", ".join(_operands(report))
        if operands:
            yield f"            {operands}"


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


def show(entries: Sequence[Entry]) -> str:
    """Return the journal as text, one line per record."""
    return "\n".join(f"{entry.seq:>4} {entry.at} {entry.record.kind:<18} {_told(entry.record)}" for entry in entries)


def _told(record: JournalRecord) -> str:
    told = ""
    match record:
        case RunCreated():
            told = f"{record.name} seed {record.seed}{' (rehearsal)' if record.rehearsal else ''}"
        case VisitStarted():
            told = f"{record.state} visit {record.visit} attempt {record.attempt}"
        case VisitFinished():
            told = f"{record.state} visit {record.visit}"
        case Checkpoint():
            told = f"{record.state} visit {record.visit} step {record.step} {record.blob[:12]}"
        case GuardsJudged():
            told = ", ".join(f"{report.guard} {report.verdict.value}" for report in record.reports) or "no guards"
        case TransitionTaken():
            told = f"{record.source} → {record.target}: {record.why}"
        case EffectIntent():
            told = f"{record.alias} → {record.target[:12]}, expecting {(record.expected or 'nothing')[:12]}"
        case EffectDone():
            told = f"{record.alias} → {record.target[:12]} version {record.version}"
        case RunClosed():
            told = f"{record.state}: {record.reason}"
        case ProcessStarted():
            changed = ", ".join(f"{name} {change}" for name, change in record.changed.items())
            told = f"pid {record.pid} on {record.host}, {record.promise}{': ' if changed else ''}{changed}"
        case ApprovalRequested() | OperatorCommand():
            told = _asked(record)
        case Recovered():
            told = f"{record.torn_bytes} torn bytes cut"
    return told


def _asked(record: ApprovalRequested | OperatorCommand) -> str:
    if isinstance(record, ApprovalRequested):
        return f"{record.state} edge {record.edge}, guard report {record.report[:12]}"
    first, *_ = (record.refused or record.reason).splitlines() or [""]
    return f"{record.command} by {record.actor}{', refused' if record.refused else ''}: {first}"
