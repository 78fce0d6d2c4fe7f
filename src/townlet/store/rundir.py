"""The run directory: created atomically, found by path, prefix or ``latest``, locked by one process."""

import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from attrs import frozen

from townlet.errors import BadInputError, HoldError
from townlet.store.files import (
    make_directory,
    move,
    resource_errors,
    write_atomic,
)
from townlet.store.path_text import local_path, stored_text
from townlet.store.run_index import (
    EXTERNAL_RUNS,
    METADATA,
    RunPlace,
    home_of,
    is_run,
    original,
    places,
    read_metadata,
)
from townlet.store.run_lock import is_locked, locked

__all__ = ["LATEST", "RunDirectory"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_SCHEDULE, _INBOX = "schedule.yaml", "inbox"
LATEST = {"latest": False, "latest-rehearsal": True}
"""Words for the youngest run of a home, and whether it is one that only rehearses."""
_STAGING = ".staging-"
_STAGING_TTL = timedelta(hours=1)
"""Age of a staging directory that no process can still be filling: that takes milliseconds."""


def _add_nothing(_: "RunDirectory") -> None:
    """Add no files."""


@frozen
class RunDirectory:
    """The paths of one run on disk, whether its files exist or not."""

    path: Path
    """The directory."""
    id: str
    """``<utc yyyymmddThhmmss>-<name>-<6 hex digits>``; names the run wherever its directory is."""

    @property
    def journal(self) -> Path:
        """The chain of records."""
        return self.path / "journal.jsonl"

    @property
    def head(self) -> Path:
        """Sequence number and hash of the journal's last record."""
        return self.path / "head.json"

    @property
    def schedule(self) -> Path:
        """The schedule, byte for byte as it was given."""
        return self.path / _SCHEDULE

    @property
    def metrics(self) -> Path:
        """The metric stream."""
        return self.path / "metrics.jsonl"

    @property
    def inbox(self) -> Path:
        """Directory of operator commands."""
        return self.path / _INBOX

    @property
    def registry(self) -> Path:
        """Registry of a run with ``scope: run``."""
        return self.path / "registry.sqlite"

    @property
    def signature_request(self) -> Path:
        """What must be signed before the run may promote; only where a signature is demanded."""
        return self.path / "signature_request.json"

    @property
    def traceback(self) -> Path:
        """Stack of the error that a failed strategy raised."""
        return self.path / "traceback.txt"

    @classmethod
    def create(
        cls,
        home: Path,
        name: str,
        schedule: bytes,
        metadata: Mapping[str, Any],
        *,
        target: Path | None = None,
        begin: Callable[["RunDirectory"], None] = _add_nothing,
    ) -> "RunDirectory":
        """Create a run under ``home/runs`` (or at `target`) atomically and return it.

        `metadata` go into ``run.json`` beside the id and the time of creation; `begin` may add to the staged directory
        what must never be missing, such as the journal's first record. A crash can leave a staging directory, which
        no reader considers and a later creation removes. BadInputError for a name that is no file name and for a
        target that exists; ResourceFaultError where the disk refuses.
        """
        if _NAME.fullmatch(name) is None:
            raise BadInputError(f"{name!r} cannot name a run; expected letters, digits, '.', '_' and '-', 100 at most")
        now = datetime.now(UTC)
        run_id = f"{now:%Y%m%dT%H%M%S}-{name}-{secrets.token_hex(3)}"
        path = home / "runs" / run_id if target is None else target
        if os.path.lexists(path):
            raise BadInputError(f"{path}: the run directory exists already; name another, or resume the run in it")
        make_directory(path.parent)
        if target is not None:
            make_directory(home / EXTERNAL_RUNS)
            write_atomic(home / EXTERNAL_RUNS / run_id, os.fsencode(target.absolute()) + b"\n")
        _remove_stale_staging(path.parent, now)
        staging = path.parent / f"{_STAGING}{run_id}"
        try:
            with resource_errors("create this run directory", path):
                make_directory(staging / _INBOX)
                write_atomic(staging / _SCHEDULE, schedule)
                content = {**metadata, "id": run_id, "created": now.isoformat(), "home": stored_text(home.absolute())}
                write_atomic(
                    staging / METADATA, json.dumps(content, indent=2, sort_keys=True, allow_nan=False).encode()
                )
                begin(cls(staging, run_id))
                move(staging, path)
        except BaseException:  # no part of a run may stay; the error is raised again
            shutil.rmtree(staging, ignore_errors=True)
            (home / EXTERNAL_RUNS / run_id).unlink(missing_ok=True)
            raise
        return cls(path, run_id)

    @classmethod
    def at(cls, path: Path) -> "RunDirectory":
        """Return the run in a directory; BadInputError where there is none."""
        metadata = read_metadata(path)
        link = next((file for file in sorted(path.iterdir()) if file.is_symlink()), None)
        if link is not None:
            raise BadInputError(f"{link}: a symbolic link in a run directory; a run writes into files of its own only")
        if not isinstance(metadata.get("id"), str):
            raise BadInputError(f"{path / METADATA}: names no run id; expected a file that `townlet run` wrote")
        return cls(path, metadata["id"])

    @classmethod
    def every(cls, home: Path) -> "tuple[RunDirectory, ...]":
        """Return all runs of a home, copies too, in the order of creation; BadInputError for one that is missing."""
        return tuple(cls.at(place.path) for place in places(home, strict=True))

    @classmethod
    def unnamed(cls, home: Path) -> "tuple[RunDirectory, ...]":
        """Return the runs of a home whose ``run.json`` is lost, by the names of their directories.

        BadInputError for a directory that holds files and no journal; HoldError where a run is just being created.
        """
        runs, unnamed = home / "runs", []
        with resource_errors("list these runs", runs):
            paths = sorted(path for path in runs.iterdir() if path.is_dir()) if runs.is_dir() else []
        for path in paths:
            if path.name.startswith(_STAGING):
                raise HoldError(
                    f"{path}: a run is being created; try again in a moment (what a process left that died meanwhile "
                    f"is removed by the next run after {_STAGING_TTL}; you may remove it before)"
                )
            if path.name.startswith(".") or is_run(path) or not any(path.iterdir()):
                continue
            run = cls(path, path.name)
            if not run.journal.exists():
                raise BadInputError(
                    f"{path}: neither {METADATA} nor a journal, so nobody can tell which blobs it needs; restore it "
                    "from a copy, or remove it"
                )
            unnamed.append(run)
        return tuple(unnamed)

    @classmethod
    def find(cls, home: Path, which: str | Path) -> "RunDirectory":
        """Return a run by path, beginning of its id, name of its directory, ``latest`` or ``latest-rehearsal``.

        A rehearsal is never ``latest``. A copy is found by path or name only. BadInputError lists the latest runs.
        """
        word, runs = str(which), home / "runs"
        every = places(home)
        originals = [place for place in every if original(home, place.id, place.path) == place.path]
        if word in LATEST:
            return cls.at(_latest(runs, originals, word))
        is_name = bool(word) and "/" not in word
        named = [place.path for place in originals if place.id == word] if is_name else []
        named = named or [place.path for place in every if is_name and place.path.name == word]
        matches = named or [place.path for place in originals if is_name and place.id.startswith(word)]
        if len(matches) == 1:
            return cls.at(matches[0])
        if matches:
            listed = ", ".join(str(path) if named else path.name for path in matches)
            what = "names several runs" if named else f"is the beginning of {len(matches)} run ids"
            raise BadInputError(f"{word!r} {what}: {listed}; {'give the path' if named else 'say more'}")
        if word and _is_directory(Path(word)):
            return cls.at(Path(word))
        latest = ", ".join(place.id or place.path.name for place in originals[-5:])
        choices = f"known runs: {latest}" if latest else "there is no run yet"
        raise BadInputError(f"{word!r} is neither a run directory nor the beginning of a run id in {runs}; {choices}")

    def home(self, given: Path) -> Path:
        """Return the home of this run: `given` where it holds the run, else the one that the run itself names.

        BadInputError where it is not there.
        """
        return home_of(self.path, given)

    def original(self, home: Path) -> Path:
        """Return the directory of the run that this one is a copy of; its own path where it is no copy."""
        return original(home, self.id, self.path)

    def require_home(self, home: Path) -> None:
        """Raise BadInputError where the run belongs to another home, or is a copy: nothing may be appended to it."""
        own = self.home(home)
        if own != home:
            raise BadInputError(
                f"{self.path}: run {self.id} belongs to the home {own}, not to {home}; its blobs and its registry are "
                f"there: name that home"
            )
        origin = self.original(home)
        if origin != self.path:
            raise BadInputError(
                f"{self.path}: a copy of run {self.id}, which is at {origin}; two directories cannot be one run: "
                "name the original, or remove it first if the copy is to go on"
            )

    @property
    def folder(self) -> Path:
        """Directory in which the files that the schedule names are searched."""
        return local_path(str(self.metadata().get("folder", ".")))

    @property
    def source(self) -> Path | None:
        """File that the schedule was read from; none where it was made in Python, or the file is missing."""
        source = self.metadata().get("source")
        path = local_path(source) if isinstance(source, str) else None
        return path if path is not None and path.is_file() else None

    @property
    def steps_after(self) -> Mapping[str, int]:
        """Agent-steps that the run plays at least after each state, as it began; none in runs of earlier versions."""
        steps = self.metadata().get("steps_after")
        known = steps.items() if isinstance(steps, dict) else ()
        return {state: count for state, count in known if isinstance(count, int)}

    def metadata(self) -> dict[str, Any]:
        """Return the content of ``run.json``; BadInputError where it cannot be read."""
        return read_metadata(self.path)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the run; HoldError naming the process that has locked it already, without waiting.

        The lock belongs to the operating system and ends with its process: the file of a dead process is no lock. The
        directory is locked besides, since a lock file can be deleted.
        """
        with locked(self.path):
            yield

    def is_locked(self) -> bool | None:
        """Return whether a process works on the run; None where this file system, or this user's rights, do not say.

        Nothing is written, and nobody who wants to work on the run is kept from it.
        """
        return is_locked(self.path)


def _latest(runs: Path, originals: Sequence[RunPlace], word: str) -> Path:
    """Return the youngest run that is, or is not, a rehearsal; BadInputError where there is none."""
    rehearsal = LATEST[word]
    matches = [place for place in originals if place.is_rehearsal is rehearsal]
    if matches:
        return matches[-1].path
    if rehearsal:
        raise BadInputError(f"{runs}: there is no rehearsal yet; start one with: townlet run SCHEDULE --rehearse")
    others = ", only rehearsals (latest-rehearsal names the youngest)" if originals else " yet"
    raise BadInputError(f"{runs}: there is no run{others}; start one with: townlet run SCHEDULE")


def _remove_stale_staging(parent: Path, now: datetime) -> None:
    """Remove staging directories of processes that died while they created a run."""
    for staging in parent.glob(f"{_STAGING}*"):
        with suppress(OSError):
            if datetime.fromtimestamp(staging.stat().st_mtime, UTC) < now - _STAGING_TTL:
                shutil.rmtree(staging, ignore_errors=True)


def _is_directory(path: Path) -> bool:
    """Tell whether a directory stands at a path; False for one that is too long or may not be looked at."""
    try:
        return path.is_dir()
    except OSError:
        return False
