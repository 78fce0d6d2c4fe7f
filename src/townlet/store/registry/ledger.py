"""The registry's ledger: every move of every alias, one hash-chained line each, written ahead of the database.

The database answers questions, the ledger survives it: a file that is appended to and synced loses at most a torn last
line. A line is canonical JSON ``{booking, hash, previous, seq, v}``; `hash` is the SHA-256 of the line without it,
`booking` holds the entry.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from townlet.canonical import GENESIS, canonical_json, check_line, seal_line
from townlet.dto.codec import structure, unstructure
from townlet.dto.registry import LedgerEntry
from townlet.errors import BadInputError, TownletError
from townlet.store.files import append_durable, cut, is_present, read_bytes, resource_errors
from townlet.store.hints import rebuild_advice

__all__ = ["Ledger", "LedgerBrokenError", "lines"]

VERSION = 1
_LIMIT = 64 * 2**20


class LedgerBrokenError(BadInputError):
    """A line of a ledger is damaged; `sound` are the entries before it."""

    def __init__(self, message: str, sound: tuple[LedgerEntry, ...]) -> None:
        super().__init__(message)
        self.sound = sound


@frozen
class Ledger:
    """One file of entries, oldest first; a missing file is an empty ledger."""

    path: Path
    """The file."""

    def read(self) -> tuple[LedgerEntry, ...]:
        """Return every entry, verified; LedgerBrokenError naming the damaged line.

        A last line without its end is what a dying process leaves: it counts as not written.
        """
        return self._read()[0]

    def hashes(self) -> tuple[str, ...]:
        """Return the hash of every line, verified; the last one is the head to keep outside."""
        return self._read()[2][1:]

    @contextmanager
    def write_ahead(self, entries: Sequence[LedgerEntry]) -> Iterator[None]:
        """Append entries durably before the body commits them; remove them again where the body raises.

        A process that dies within the body leaves them in the ledger: the next one to write in the registry commits
        them.
        """
        present, size, hashes = self._read()
        if not entries:
            yield
            return
        if is_present(self.path):
            self._cut(size)
        append_durable(self.path, lines(entries, first=len(present), previous=hashes[-1]))
        try:
            yield
        except Exception:
            self._cut(size)
            raise

    def _read(self) -> tuple[tuple[LedgerEntry, ...], int, tuple[str, ...]]:
        """Return the entries, the bytes they take, and the hashes of their lines after that of no line."""
        if not is_present(self.path):
            return (), 0, (GENESIS,)
        with resource_errors("read the registry's ledger", self.path):
            data = read_bytes(self.path, _LIMIT + 1)
        if len(data) > _LIMIT:
            raise LedgerBrokenError(f"{self.path}: more than {_LIMIT >> 20} MiB; expected a ledger of Townlet", ())
        entries: list[LedgerEntry] = []
        hashes = [GENESIS]
        *complete, torn_tail = data.split(b"\n")
        for seq, line in enumerate(complete):
            try:
                entry, digest = _parse(line, seq, hashes[-1])
            except (ValueError, TypeError, KeyError, RecursionError, TownletError) as error:
                raise LedgerBrokenError(
                    f"{self.path}: line {seq} is damaged ({error}); {rebuild_advice(self.path)}",
                    tuple(entries),
                ) from error
            entries.append(entry)
            hashes.append(digest)
        return tuple(entries), len(data) - len(torn_tail), tuple(hashes)

    def _cut(self, size: int) -> None:
        with resource_errors("cut the registry's ledger", self.path):
            cut(self.path, size)


def lines(entries: Sequence[LedgerEntry], *, first: int = 0, previous: str = GENESIS) -> bytes:
    """Return the lines of entries, the first of them number `first` after the line with the hash `previous`."""
    encoded = []
    for seq, entry in enumerate(entries, start=first):
        booking = {name: value for name, value in unstructure(entry).items() if name != "signed" or value is not None}
        line = seal_line({"v": VERSION, "seq": seq, "previous": previous, "booking": booking})
        previous = line["hash"]
        encoded.append(canonical_json(line) + b"\n")
    return b"".join(encoded)


def _parse(line: bytes, seq: int, previous: str) -> tuple[LedgerEntry, str]:
    data = json.loads(line)
    if not isinstance(data, dict) or set(data) != {"v", "seq", "previous", "booking", "hash"}:
        raise ValueError("expected {booking, hash, previous, seq, v}")
    if data["v"] != VERSION:
        raise ValueError(f"written as version {data['v']!r}, expected {VERSION}; use the Townlet that wrote it")
    check_line(data, seq=seq, previous=previous)
    return structure(data["booking"], LedgerEntry), data["hash"]
