"""Verify a run directory: its chain, its head, its schedules and its blobs."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType

from attrs import frozen

from townlet.canonical import GENESIS
from townlet.dto.codec import Record
from townlet.dto.journal import (
    Checkpoint,
    Entry,
    ProcessStarted,
    VisitFinished,
)
from townlet.errors import BadInputError, JournalBrokenError
from townlet.machine.audit.environment_promises import environment_reservations
from townlet.machine.audit.gc import open_checkpoint
from townlet.machine.audit.snapshot import schedules
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.journal.chain import read
from townlet.machine.journal.result_codec import load_result
from townlet.store.blobs import BlobStore
from townlet.store.files import read_bytes
from townlet.store.rundir import RunDirectory

__all__ = ["VerificationReport", "inexact_processes", "promise_phrase", "verify"]


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
