"""Find the runs of one schedule in a home, by what their journals say, and tell what is left to do for each."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import frozen

from townlet.errors import TownletError
from townlet.machine.audit.snapshot import RunSnapshot, load_run, schedules
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.engine.inbox import has_commands
from townlet.machine.journal.run_state import WAITING
from townlet.store.blobs import BlobStore
from townlet.store.run_index import original, places
from townlet.store.rundir import RunDirectory

__all__ = ["FoundRun", "find_runs"]


@frozen(kw_only=True)
class FoundRun:
    """A run of the schedule under one seed."""

    directory: RunDirectory
    """Where it is."""
    snapshot: RunSnapshot | None
    """Its state; None where it cannot be read now."""
    problem: str = ""
    """Why it cannot be read."""

    @property
    def has_ended(self) -> bool:
        """Whether the run closed, or waits for a person."""
        return self.snapshot is not None and (
            self.snapshot.state.closed is not None or self.snapshot.state.state in WAITING
        )

    @property
    def is_to_resume(self) -> bool:
        """Whether a process can go on with it: it was cut off, or a person left it a command."""
        return not self.has_ended or has_commands(self.directory.inbox)


def find_runs(home: Path, digest: str, seeds: Iterable[int], catalogue: StrategyCatalogue) -> Mapping[int, FoundRun]:
    """Return the run of each seed that began with the schedule of this digest; of several, one that has ended.

    Rehearsals and copies do not count, nor do runs that took over an edited schedule. A run of another version of
    Townlet does.
    """
    wanted, found = set(seeds), dict[int, FoundRun]()
    for place in places(home):
        if place.schedule != digest or place.is_rehearsal or original(home, place.id, place.path) != place.path:
            continue
        if place.seed not in wanted or (place.seed in found and found[place.seed].has_ended):
            continue
        run = _read(home, RunDirectory.at(place.path), catalogue)
        is_edited = run.snapshot is not None and set(schedules(run.snapshot.entries)) != {digest}
        if not is_edited and (place.seed not in found or run.has_ended):
            found[place.seed] = run
    return found


def _read(home: Path, directory: RunDirectory, catalogue: StrategyCatalogue) -> FoundRun:
    try:
        snapshot = load_run(directory, BlobStore(home / "blobs"), catalogue)
    except TownletError as error:  # another process may be writing it now
        return FoundRun(directory=directory, snapshot=None, problem=str(error))
    return FoundRun(directory=directory, snapshot=snapshot)
