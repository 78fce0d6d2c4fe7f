"""What the runs and registries of a home need of its blob store, and freeing the rest."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from attrs import frozen

from townlet.dto.codec import Record, structure, unstructure
from townlet.dto.journal import Checkpoint, Entry, VisitFinished, VisitStarted
from townlet.dto.schedule import ScheduleSpec
from townlet.errors import BadInputError
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.journal.chain import read as read_journal
from townlet.machine.schedule.yaml_source import SyntaxMistakeError, read
from townlet.store.blobs import BlobStore
from townlet.store.files import resource_errors
from townlet.store.registry.registry import Registry
from townlet.store.rundir import RunDirectory

__all__ = ["SweepReport", "live_digests", "open_checkpoint", "stored_schedule", "sweep"]

_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])", re.ASCII)


def stored_schedule(directory: RunDirectory) -> ScheduleSpec:
    """Return the schedule a run directory keeps, as it was written; BadInputError where it cannot be read."""
    with resource_errors("read this schedule", directory.schedule):
        text = directory.schedule.read_bytes()
    try:
        return structure(read(text).data, ScheduleSpec)
    except (SyntaxMistakeError, BadInputError) as error:
        raise BadInputError(f"{directory.schedule}: unreadable ({error}); restore the run from a copy") from error


def open_checkpoint(entries: Sequence[Entry]) -> str | None:
    """Return the digest a resume goes on from; none where no visit is open or it has not saved anything yet."""
    found: str | None = None
    for entry in entries:
        record = entry.record
        if isinstance(record, Checkpoint):
            found = record.blob
        elif isinstance(record, VisitFinished) or (isinstance(record, VisitStarted) and record.attempt == 1):
            found = None
    return found


def live_digests(entries: Sequence[Entry], schedule: bytes, blobs: BlobStore) -> frozenset[str]:
    """Return the digests a run needs, so that it can be resumed, audited and explained.

    Every digest in a record counts, and every one in the schedule. Of checkpoints only the last of the visit that is
    open counts, with what it names itself; those of finished visits go unless another record names them.
    """
    found = set(_digests(schedule.decode("utf-8", "replace")))
    for entry in entries:
        if not isinstance(entry.record, Checkpoint):
            found.update(_digests(repr(unstructure(entry.record))))
    checkpoint = open_checkpoint(entries)
    if checkpoint is not None:
        found.add(checkpoint)
        found.update(_digests(blobs.get(checkpoint).decode("latin-1")) if blobs.has(checkpoint) else ())
    return frozenset(found)


@frozen(kw_only=True)
class SweepReport(Record):
    """What a sweep freed, or would free."""

    blobs: int
    """Files."""
    bytes_: int
    """Their size."""
    kept: int
    """Digests that something names."""
    runs: int
    """Runs that were asked."""


def sweep(home: Path, catalogue: StrategyCatalogue, *, dry: bool = False) -> SweepReport:
    """Free the blobs that no run and no registry entry names; `dry` only counts them.

    All runs are held meanwhile. HoldError where one of them is at work, for it stores blobs before it names them;
    JournalBrokenError or BadInputError where a run or registry cannot be read: then nothing is freed.
    """
    blobs = BlobStore(home / "blobs")
    begun = blobs.mark()
    runs = RunDirectory.every(home)
    keep = set(_registered(Registry(home / "registry.sqlite")))
    with ExitStack() as held:
        for run in runs:
            held.enter_context(run.lock())
            journal = read_journal(run.journal, run.head, catalogue)
            with resource_errors("read this schedule", run.schedule):
                keep |= live_digests(journal.entries, run.schedule.read_bytes() + journal.torn_tail, blobs)
            keep.update(_registered(Registry(run.registry)))
        count, size = blobs.sweep(frozenset(keep), begun, dry=dry)
    return SweepReport(blobs=count, bytes_=size, kept=len(keep), runs=len(runs))


def _registered(registry: Registry) -> Iterator[str]:
    for record in (*registry.versions(), *registry.history()):
        yield from _digests(repr(record.model_dump()))


def _digests(text: str) -> Iterator[str]:
    return (match.group() for match in _DIGEST.finditer(text))
