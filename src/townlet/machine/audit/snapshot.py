"""The state of a run, read from its directory without changing it."""

from collections.abc import Iterable
from hashlib import sha256

from attrs import frozen

from townlet.dto.codec import structure
from townlet.dto.journal import Entry, OperatorCommand, RunCreated
from townlet.dto.schedule import ScheduleSpec
from townlet.errors import JournalBrokenError
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.journal.chain import VerifiedJournal, read
from townlet.machine.journal.fold import fold
from townlet.machine.journal.run_state import RunState
from townlet.machine.schedule.yaml_source import read as read_document
from townlet.store.blobs import BlobStore
from townlet.store.files import resource_errors
from townlet.store.rundir import RunDirectory

__all__ = ["RunSnapshot", "first_record", "load_run", "schedule_in_force", "schedules", "snapshot_of"]


@frozen(kw_only=True)
class RunSnapshot:
    """A verified journal, the state after its last record, and the schedule in force."""

    entries: tuple[Entry, ...]
    """All records."""
    state: RunState
    """State of the run after these records."""
    schedule: ScheduleSpec
    """The schedule in force."""
    is_clean: bool
    """False where the journal ends in a torn line or the head file is one record old; a resume repairs both."""


def load_run(run: RunDirectory, blobs: BlobStore, catalogue: StrategyCatalogue) -> RunSnapshot:
    """Return the state of a run; JournalBrokenError names the first record of its journal that is not valid."""
    return snapshot_of(run, read(run.journal, run.head, catalogue), blobs, catalogue)


def snapshot_of(
    run: RunDirectory, journal: VerifiedJournal, blobs: BlobStore, catalogue: StrategyCatalogue
) -> RunSnapshot:
    """Return the state of a run after the records of a journal that was read before."""
    seed = first_record(run, journal.entries).seed
    text = schedule_in_force(run, journal.entries, blobs)
    # It was checked before the run began, and its digest in the journal shows that it is the same. A schedule may leave
    # out the seed where the command line gives one.
    schedule = structure({"seed": seed} | read_document(text).data, ScheduleSpec)
    state = fold(journal.entries, schedule, catalogue)
    return RunSnapshot(
        entries=journal.entries,
        state=state,
        schedule=schedule,
        is_clean=not (journal.torn_tail or journal.head_is_stale),
    )


def first_record(run: RunDirectory, entries: tuple[Entry, ...]) -> RunCreated:
    """Return a journal's first record; JournalBrokenError where it is missing or another run's."""
    first = entries[0].record if entries else None
    if not isinstance(first, RunCreated):
        raise JournalBrokenError(f"{run.journal}: record 0 is not valid: the run was never created; restore a copy")
    if first.run != run.id:
        raise JournalBrokenError(
            f"{run.journal}: record 0 is not valid: it belongs to run {first.run}, this directory to {run.id}"
        )
    return first


def schedules(entries: Iterable[Entry]) -> tuple[str, ...]:
    """Return the digests of all schedules the run has followed, the one in force last."""
    digests = []
    for entry in entries:
        record = entry.record
        if isinstance(record, RunCreated):
            digests.append(record.schedule)
        if isinstance(record, OperatorCommand) and record.command == "accept_schedule" and not record.refused:
            digests.append(record.arguments["schedule"])
    return tuple(digests)


def schedule_in_force(run: RunDirectory, entries: Iterable[Entry], blobs: BlobStore) -> bytes:
    """Return the schedule in force: the copy in the directory, or the stored one where the copy was edited.

    BadInputError where neither has the digest.
    """
    digest = schedules(entries)[-1]
    with resource_errors("read the run's schedule", run.schedule):
        copy = run.schedule.read_bytes() if run.schedule.is_file() else b""
    return copy if sha256(copy).hexdigest() == digest else blobs.get(digest)
