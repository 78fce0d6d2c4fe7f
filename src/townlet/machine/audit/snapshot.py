"""Where a run stands, read from its directory without touching it."""

from collections.abc import Iterable
from hashlib import sha256

from attrs import frozen

from townlet.dto.codec import structure
from townlet.dto.journal import Entry, OperatorCommand, RunCreated
from townlet.dto.schedule import ScheduleSpec
from townlet.errors import JournalBrokenError
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.journal.chain import read
from townlet.machine.journal.fold import fold
from townlet.machine.journal.run_state import RunState
from townlet.machine.schedule.yaml_source import read as read_document
from townlet.store.blobs import BlobStore
from townlet.store.files import resource_errors
from townlet.store.rundir import RunDirectory

__all__ = ["RunSnapshot", "first_record", "load_run", "schedule_in_force", "schedules"]


@frozen(kw_only=True)
class RunSnapshot:
    """A verified journal and what it amounts to."""

    entries: tuple[Entry, ...]
    """All records."""
    state: RunState
    """Their fold."""
    schedule: ScheduleSpec
    """The schedule in force."""
    whole: bool
    """False where a dying process left something that the next one mends."""


def load_run(run: RunDirectory, blobs: BlobStore, catalogue: StrategyCatalogue) -> RunSnapshot:
    """Return where a run stands; JournalBrokenError naming the sequence number where its journal does not hold."""
    journal = read(run.journal, run.head, catalogue)
    first_record(run, journal.entries)
    text = schedule_in_force(run, journal.entries, blobs)
    # Proven sound before the run began, and the same bytes since: its digest is in the journal.
    schedule = structure(read_document(text).data, ScheduleSpec)
    state = fold(journal.entries, schedule, catalogue)
    return RunSnapshot(
        entries=journal.entries, state=state, schedule=schedule, whole=not (journal.torn_tail or journal.head_is_stale)
    )


def first_record(run: RunDirectory, entries: tuple[Entry, ...]) -> RunCreated:
    """Return a journal's first record; JournalBrokenError where it is missing or another run's."""
    first = entries[0].record if entries else None
    if not isinstance(first, RunCreated):
        raise JournalBrokenError(f"{run.journal}: record 0 does not hold: the run was never created; restore a copy")
    if first.run != run.id:
        raise JournalBrokenError(
            f"{run.journal}: record 0 does not hold: it belongs to run {first.run}, this directory to {run.id}"
        )
    return first


def schedules(entries: Iterable[Entry]) -> tuple[str, ...]:
    """Return the digests of all schedules the run obeyed, the one in force last."""
    found = []
    for entry in entries:
        record = entry.record
        if isinstance(record, RunCreated):
            found.append(record.schedule)
        if isinstance(record, OperatorCommand) and record.command == "accept_schedule" and not record.refused:
            found.append(record.arguments["schedule"])
    return tuple(found)


def schedule_in_force(run: RunDirectory, entries: Iterable[Entry], blobs: BlobStore) -> bytes:
    """Return the schedule that the journal names last: the directory's copy, or where that was edited the stored one.

    BadInputError where neither has the digest.
    """
    digest = schedules(entries)[-1]
    with resource_errors("read the run's schedule", run.schedule):
        copy = run.schedule.read_bytes() if run.schedule.is_file() else b""
    return copy if sha256(copy).hexdigest() == digest else blobs.get(digest)
