"""Which runs a home holds, in what order they were created, which is a copy of another, and which home a run has.

Identity is what ``run.json`` says, order is what the journals say; names of directories decide neither.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import frozen

from townlet.errors import BadInputError
from townlet.store.files import read_bytes, resource_errors
from townlet.store.path_text import local_path
from townlet.store.untrusted import read_json

__all__ = [
    "EXTERNAL_RUNS",
    "METADATA",
    "RunPlace",
    "home_of",
    "is_run",
    "lost_runs",
    "original",
    "places",
    "read_metadata",
]

METADATA = "run.json"
"""File of a run directory that holds its id."""
EXTERNAL_RUNS = "elsewhere"
"""Directory of a home with one file per run outside it: the run's path, so that its blobs count as live."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", re.ASCII)
_FIRST_LINE = 2**16
"""Bytes that are read of a journal to find its first record."""


@frozen(kw_only=True, order=True)
class RunPlace:
    """A directory that holds a run; places are ordered by creation."""

    created: str
    """Time of the journal's first record, UTC, ISO 8601; that of ``run.json`` where the journal has none."""
    path: Path
    """The directory."""
    id: str
    """The run's id; empty where ``run.json`` cannot be read."""
    is_rehearsal: bool = False
    """True where the journal's first record says that the run only rehearses."""
    name: str = ""
    """Name of its schedule; empty where the journal does not say it."""
    schedule: str = ""
    """Digest of the schedule that the run began with; empty where the journal does not say it."""
    seed: int | None = None
    """Seed of the run; None where the journal does not say it."""


def is_run(path: Path) -> bool:
    """Tell whether a directory holds a run; one whose name begins with a dot is still being created."""
    return not path.name.startswith(".") and (path / METADATA).is_file()


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the content of a run's ``run.json``; BadInputError where there is none or it cannot be read."""
    file = path / METADATA
    if not file.is_file():
        raise BadInputError(f"{path}: not a run directory (it has no {METADATA}); name a run that `townlet run` made")
    return dict(read_json(file))


def places(home: Path, *, strict: bool = False) -> tuple[RunPlace, ...]:
    """Return every run of a home, those outside it too, each directory once, in the order of creation.

    `strict` raises BadInputError for a run outside the home that is not where its note says; otherwise it is left out.
    """
    internal = home / "runs"
    with resource_errors("list these runs", internal):
        paths = [path for path in internal.iterdir() if is_run(path)] if internal.is_dir() else []
    for note, path in _notes(home):
        if is_run(path):
            paths.append(path)
        elif strict:
            raise BadInputError(
                f"{note}: run {note.name} was created at {path} and is not there now; "
                "bring it back, or remove this note if its blobs may go"
            )
    unique = {path.resolve(): path for path in reversed(paths)}
    return tuple(sorted(_place(path) for path in unique.values()))


def lost_runs(home: Path) -> Iterator[tuple[Path, str]]:
    """Yield each directory of a home that should hold a run and does not, and what is wrong with it."""
    internal = home / "runs"
    with resource_errors("list these runs", internal):
        paths = sorted(internal.iterdir()) if internal.is_dir() else []
    for path in paths:
        if not path.name.startswith(".") and not is_run(path):
            yield path, f"{path}: no run directory (it has no {METADATA}); restore it from a copy, or remove it"
    for note, path in _notes(home):
        if not is_run(path):
            yield path, f"{note}: the run is not at {path} any more; bring it back, or remove this note"


def original(home: Path, run_id: str, path: Path) -> Path:
    """Return the directory that a run was created in; `path` itself where no other directory can be it.

    A directory that is not the original is a copy: it has the id of a run that stands elsewhere.
    """
    candidates = (_noted(home, run_id), home / "runs" / run_id) if _NAME.fullmatch(run_id) else ()
    for candidate in candidates:
        if candidate is not None and is_run(candidate) and _id(candidate) == run_id:
            return path if candidate.resolve() == path.resolve() else candidate
    return path


def home_of(path: Path, given: Path) -> Path:
    """Return the home of a run directory: the one whose blobs and registry it uses.

    That is `given` where it holds the run or has a note of it; else the recorded home that has a note of it; else the
    home around the directory, which moves with it; else the recorded home. BadInputError where there is none.
    """
    metadata, place = read_metadata(path), path.absolute()
    run_id, recorded = str(metadata.get("id")), metadata.get("home")
    own = local_path(recorded) if isinstance(recorded, str) else None
    around = place.parent.parent if place.parent.name == "runs" else None
    for home in (given, own) if _NAME.fullmatch(run_id) else ():
        noted = None if home is None else _noted(home, run_id)
        if home is not None and noted is not None and noted.resolve() == path.resolve():
            return home
    if around is not None and (_is_home(around) or own is None):
        return given if around.resolve() == given.resolve() else around
    if own is not None and own.is_dir():
        return given if own.resolve() == given.resolve() else own
    raise BadInputError(
        f"{path}: the home of this run, {own or 'which it does not name'}, is not there; its blobs and its registry "
        "are in that home: bring it back, or move the run into the directory runs of the home that holds its blobs"
    )


def _is_home(path: Path) -> bool:
    return (path / "blobs").is_dir() or (path / "registry.sqlite").is_file()


def _notes(home: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each note of a run outside a home, and the path in it."""
    folder = home / EXTERNAL_RUNS
    with resource_errors("read these notes", folder):
        notes = sorted(folder.iterdir()) if folder.is_dir() else []
    for note in notes:
        if not note.name.startswith("."):
            with resource_errors("read this note", note):
                yield note, Path(os.fsdecode(read_bytes(note)).strip())


def _noted(home: Path, run_id: str) -> Path | None:
    with suppress(OSError, ValueError, BadInputError):  # ValueError: an id with a NUL byte
        return Path(os.fsdecode(read_bytes(home / EXTERNAL_RUNS / run_id)).strip())
    return None


def _place(path: Path) -> RunPlace:
    first = _first_record(path)
    body = first["body"] if isinstance(first.get("body"), dict) else {}
    name, schedule, seed = (body.get(key) for key in ("name", "schedule", "seed"))
    return RunPlace(
        created=_created(path, first),
        path=path,
        id=_id(path),
        is_rehearsal=body.get("rehearsal") is True,
        name=name if isinstance(name, str) else "",
        schedule=schedule if isinstance(schedule, str) else "",
        seed=seed if isinstance(seed, int) else None,
    )


def _id(path: Path) -> str:
    with suppress(BadInputError):
        run_id = read_metadata(path).get("id")
        return run_id if isinstance(run_id, str) else ""
    return ""


def _first_record(path: Path) -> dict[str, Any]:
    """Return the first line of a run's journal, not verified; empty where there is none that can be read."""
    with suppress(OSError, BadInputError, ValueError, RecursionError):
        line = json.loads(read_bytes(path / "journal.jsonl", _FIRST_LINE).partition(b"\n")[0])
        return line if isinstance(line, dict) else {}
    return {}


def _created(path: Path, first: dict[str, Any]) -> str:
    """Return when a run was created: its journal's word, else that of ``run.json``, else of its directory's name."""
    with suppress(ValueError, KeyError, TypeError):
        return datetime.fromisoformat(first["at"]).isoformat()
    with suppress(BadInputError, ValueError, KeyError, TypeError):
        return datetime.fromisoformat(read_metadata(path)["created"]).isoformat()
    with suppress(ValueError):
        return datetime.strptime(path.name.partition("-")[0] + "+0000", "%Y%m%dT%H%M%S%z").isoformat()
    return ""
