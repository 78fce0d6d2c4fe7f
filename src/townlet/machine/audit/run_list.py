"""List the runs of a home: what each is, what it came to, how old and how large it is."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from attrs import evolve, frozen

from townlet.dto.codec import Record
from townlet.errors import TownletError
from townlet.machine.audit.snapshot import RunSnapshot, load_run
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.journal.run_state import WAITING
from townlet.store.blobs import BlobStore
from townlet.store.registry.registry import Registry
from townlet.store.run_index import RunPlace, lost_runs, original, places
from townlet.store.rundir import RunDirectory

__all__ = ["RunListing", "list_runs"]


@frozen(kw_only=True)
class RunListing(Record):
    """One run of a home."""

    id: str
    """Run id; the directory's name where the run does not say it."""
    path: str
    """The directory."""
    schedule: str = ""
    """Name of the schedule; empty where it cannot be read."""
    state: str
    """State of the schedule that the run is in; ``damaged`` where the journal or another file of it is not valid."""
    result: str
    """Why it is in that state, or what is damaged."""
    created: str
    """UTC, ISO 8601; empty where nothing says it."""
    latest: str = ""
    """Time of the last record."""
    size: int
    """Bytes of the files in the directory; blobs belong to the home and are not counted."""
    is_rehearsal: bool
    """True where it only rehearses."""
    copy_of: str | None = None
    """Directory of the run that this one is a copy of; none where it is no copy."""
    in_force: tuple[str, ...] = ()
    """Aliases that name weights of this run now, as ``NAME@ALIAS``: in the home's registry, or in the run's own."""
    is_open: bool = False
    """True where it has not ended and waits for nobody: a process works on it, or it was stopped and can be resumed."""


def list_runs(home: Path, catalogue: StrategyCatalogue) -> tuple[RunListing, ...]:
    """Return every run of a home, the youngest first; what is damaged is listed with its reason, nothing is raised."""
    lost = (
        RunListing(
            id=path.name,
            path=str(path),
            state="damaged",
            result=problem,
            created="",
            size=_size(path),
            is_rehearsal=False,
        )
        for path, problem in lost_runs(home)
    )
    champions = _in_force(home / "registry.sqlite")
    return (*(_listing(home, place, catalogue, champions) for place in reversed(places(home))), *lost)


def _in_force(path: Path) -> Mapping[str, tuple[str, ...]]:
    """Return by run the aliases of a registry that name its weights; none where the registry cannot be read."""
    runs: dict[str, tuple[str, ...]] = {}
    with suppress(TownletError):
        registry = Registry(path)
        for name, alias in dict.fromkeys((move.name, move.alias) for move in registry.history()):
            version = registry.champion(name, alias)
            if version is not None:
                runs[version.run] = (*runs.get(version.run, ()), f"{name}@{alias}")
    return runs


def _listing(
    home: Path, place: RunPlace, catalogue: StrategyCatalogue, champions: Mapping[str, tuple[str, ...]]
) -> RunListing:
    origin = original(home, place.id, place.path)
    listing = RunListing(
        id=place.id or place.path.name,
        path=str(place.path),
        state="damaged",
        result="",
        created=place.created,
        size=_size(place.path),
        is_rehearsal=place.is_rehearsal,
        copy_of=None if origin == place.path else str(origin),
    )
    try:
        run = RunDirectory.at(place.path)
        snapshot = load_run(run, BlobStore(home / "blobs"), catalogue)
    except (TownletError, OSError) as error:
        return evolve(listing, result=str(error))
    return evolve(
        listing,
        schedule=snapshot.schedule.name,
        state=snapshot.state.state,
        result=_result(snapshot),
        latest=snapshot.state.latest,
        in_force=() if listing.copy_of else champions.get(run.id, ()) + _in_force(run.registry).get(run.id, ()),
        is_open=snapshot.state.closed is None and snapshot.state.state not in WAITING,
    )


def _result(snapshot: RunSnapshot) -> str:
    """Return why a run is where it is."""
    state = snapshot.state
    if state.closed is not None:
        moved = "the champion moved" if state.champion_moved else ""
        return "; ".join(dict.fromkeys(part for part in (state.closed.reason, moved) if part))
    if state.state in WAITING:
        return state.reason
    return "not finished"


def _size(path: Path) -> int:
    """Return the bytes of the files below a directory; what cannot be read counts as nothing."""
    size = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                size += Path(folder, name).lstat().st_size
    return size
