"""Garbage collection: which blobs the runs and registries of a home need, and the removal of all others."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import frozen

from townlet.dto.codec import Record, structure, unstructure
from townlet.dto.evolution import stored_as
from townlet.dto.journal import Checkpoint, Entry, VisitFinished, VisitStarted
from townlet.dto.schedule import ScheduleSpec
from townlet.errors import BadInputError
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.journal.chain import read as read_journal
from townlet.machine.schedule.yaml_source import SourceSyntaxError, read
from townlet.store.blobs import BlobStore
from townlet.store.files import read_bytes, resource_errors
from townlet.store.registry.registry import Registry
from townlet.store.rundir import RunDirectory

__all__ = ["SweepReport", "live_digests", "open_checkpoint", "stored_schedule", "sweep"]

_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])", re.ASCII)


def stored_schedule(directory: RunDirectory) -> ScheduleSpec:
    """Return the schedule in a run directory; BadInputError where it cannot be read."""
    with resource_errors("read this schedule", directory.schedule):
        text = read_bytes(directory.schedule)
    try:
        data = read(text).data
        if isinstance(data, dict) and "seed" not in data:  # the command line gave it; run.json keeps it
            data = data | {"seed": directory.metadata().get("seed")}
        return structure(data, ScheduleSpec)
    except (SourceSyntaxError, BadInputError) as error:
        raise BadInputError(f"{directory.schedule}: unreadable ({error}); restore the run from a copy") from error


def open_checkpoint(entries: Sequence[Entry]) -> str | None:
    """Return the checkpoint that a resume starts from; none where no visit is open or it has saved nothing yet."""
    checkpoint: str | None = None
    for entry in entries:
        record = entry.record
        if isinstance(record, Checkpoint):
            checkpoint = record.blob
        elif isinstance(record, VisitFinished) or (isinstance(record, VisitStarted) and record.attempt == 1):
            checkpoint = None
    return checkpoint


def live_digests(entries: Sequence[Entry], schedule: bytes, blobs: BlobStore) -> frozenset[str]:
    """Return the digests of all blobs that a run needs to be resumed and audited.

    These are all digests in its records and in its schedule. Of checkpoints it needs only the last of the open visit,
    and the digests within it; those of finished visits are live only where another record names them.
    """
    digests = set(_digests(schedule.decode("utf-8", "replace")))
    for entry in entries:
        if not isinstance(entry.record, Checkpoint):
            digests.update(_digests(repr(unstructure(entry.record))))
    checkpoint = open_checkpoint(entries)
    if checkpoint is not None:
        digests.add(checkpoint)
        digests.update(_digests(blobs.get(checkpoint).decode("latin-1")) if blobs.has(checkpoint) else ())
    return frozenset(digests)


@frozen(kw_only=True)
class SweepReport(Record):
    """What a sweep removed, or would remove."""

    blobs: int
    """Files."""
    bytes_: int
    """Their size."""
    live: int = stored_as("kept")
    """Live digests."""
    runs: int
    """Runs that were read."""


def sweep(home: Path, catalogue: StrategyCatalogue, *, dry: bool = False) -> SweepReport:
    """Remove the blobs that no run and no registry needs; `dry` only counts them.

    Each run is locked while it is read, one at a time: what a process stores after that is younger than the sweep and
    stays. HoldError where a process works on a run or begins one, since it stores blobs before it journals them;
    JournalBrokenError or BadInputError where a run or registry cannot be read: nothing is removed then.
    """
    blobs = BlobStore(home / "blobs")
    started = blobs.mark()
    runs = (*RunDirectory.every(home), *RunDirectory.unnamed(home))
    live = set(_registered(Registry(home / "registry.sqlite")))
    for run in runs:
        with run.lock():
            journal = read_journal(run.journal, run.head, catalogue)
            with resource_errors("read this schedule", run.schedule):
                live |= live_digests(journal.entries, read_bytes(run.schedule) + journal.torn_tail, blobs)
            live.update(_registered(Registry(run.registry)))
    count, size = blobs.sweep(frozenset(live), started, dry=dry)
    return SweepReport(blobs=count, bytes_=size, live=len(live), runs=len(runs))


def _registered(registry: Registry) -> Iterator[str]:
    for record in (*registry.versions(), *registry.history()):
        yield from _digests(repr(record.model_dump()))


def _digests(text: str) -> Iterator[str]:
    return (match.group() for match in _DIGEST.finditer(text))
