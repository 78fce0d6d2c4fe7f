"""Follow what a run writes while it goes on: records and points as they come, read and never changed."""

import os
from pathlib import Path

from attrs import define, field, frozen

from townlet.canonical import GENESIS
from townlet.dto.journal import Entry
from townlet.dto.run_data import VisitPoint
from townlet.errors import BadInputError, TownletError
from townlet.machine.audit.metric_stream import parse_point
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.journal.chain import read
from townlet.store.files import open_regular, resource_errors
from townlet.store.rundir import RunDirectory

__all__ = ["RunTail", "TailUpdate"]

_Stamp = tuple[int, int, int]


@frozen(kw_only=True)
class TailUpdate:
    """What a run wrote since the last look."""

    entries: tuple[Entry, ...] = ()
    """Records, oldest first."""
    points: tuple[VisitPoint, ...] = ()
    """Points in the order of the stream; where it was rewound, all of it, from the beginning."""
    points_at: float = 0.0
    """When the stream was last written, seconds since the epoch."""

    def __bool__(self) -> bool:
        """Return whether anything is new."""
        return bool(self.entries or self.points)


@define(kw_only=True)
class RunTail:
    """Reads the journal and the metric stream of a run again and again, each time what is new.

    A process may be writing both. A last line that is torn is left for the next look; a stream that was rewound, as an
    attempt that begins again does, is read from its beginning.
    """

    run: RunDirectory
    """The run."""
    catalogue: StrategyCatalogue
    """Strategies that its results are read by."""
    _journal: _Stamp | None = None
    _read: int = 0
    _hash: str = GENESIS
    _stream: "_StreamTail" = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._stream = _StreamTail(path=self.run.metrics)

    def poll(self) -> TailUpdate:
        """Return what is new since the last call, all of it at the first.

        JournalBrokenError where the journal is not valid; BadInputError where the run is gone, or another has taken its
        place.
        """
        entries = self._new_entries()
        points, at = self._stream.poll()
        return TailUpdate(entries=entries, points=points, points_at=at)

    def _new_entries(self) -> tuple[Entry, ...]:
        stamp = _stamp(self.run.journal)
        if stamp == self._journal:
            return ()
        entries = read(self.run.journal, self.run.head, self.catalogue).entries
        count = self._read
        if len(entries) < count or (count and entries[count - 1].hash != self._hash):
            raise BadInputError(
                f"{self.run.path}: the journal does not go on where it ended at the last look; the run was removed, or "
                "another took its place"
            )
        self._journal, self._read = stamp, len(entries)
        self._hash = entries[-1].hash if entries else GENESIS
        return entries[count:]


@define(kw_only=True)
class _StreamTail:
    """Reads a file of lines from where the last look ended."""

    path: Path
    _end: int = 0
    _last: bytes = b""

    def poll(self) -> tuple[tuple[VisitPoint, ...], float]:
        """Return the points that are new, and when the file was last written."""
        try:
            stamp = _stamp(self.path)
            if stamp is None:
                return (), 0.0
            start = self._end - len(self._last)
            data = self._from(start)
            if not data.startswith(self._last):  # rewound: another file took its place
                start, self._last, data = 0, b"", self._from(0)
        except TownletError:  # it is derived data: what the journal holds is shown without it
            return (), 0.0
        whole = data[: data.rfind(b"\n") + 1]
        lines = whole[len(self._last) :].splitlines(keepends=True)
        self._end = start + len(whole)
        self._last = lines[-1] if lines else self._last
        points = (parse_point(line) for line in lines)
        return tuple(point for point in points if point is not None), stamp[1] / 1e9

    def _from(self, start: int) -> bytes:
        with (
            resource_errors("read this file", self.path),
            os.fdopen(open_regular(self.path, os.O_RDONLY), "rb") as file,
        ):
            file.seek(start)
            return file.read()


def _stamp(path: Path) -> _Stamp | None:
    """Return what a change of a file changes: file, time of the last change in ns, size; None where there is none."""
    with resource_errors("read this file", path):
        try:
            status = path.stat()
        except FileNotFoundError:
            return None
    return status.st_ino, status.st_mtime_ns, status.st_size
