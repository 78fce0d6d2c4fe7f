"""The registry's ledger: every move of every alias, one hash-chained line each, written ahead of the database.

The database answers questions, the ledger survives it: a file that is appended to and synced loses at most a torn last
line. A line is canonical JSON ``{booking, hash, previous, seq, v}``; `hash` is the SHA-256 of the line without it.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from townlet.canonical import GENESIS, canonical_json, check_line, seal_line
from townlet.dto.codec import structure, unstructure
from townlet.dto.registry import Booking
from townlet.errors import BadInputError, TownletError
from townlet.store.files import append_durable, resource_errors

__all__ = ["Ledger", "LedgerBrokenError", "lines"]

VERSION = 1
_LIMIT = 64 * 2**20


class LedgerBrokenError(BadInputError):
    """A line does not hold; `sound` are the bookings before it."""

    def __init__(self, message: str, sound: tuple[Booking, ...]) -> None:
        super().__init__(message)
        self.sound = sound


@frozen
class Ledger:
    """One file of bookings, oldest first; a missing file is an empty ledger."""

    path: Path
    """The file."""

    def read(self) -> tuple[Booking, ...]:
        """Return every booking, verified; LedgerBrokenError naming the line that does not hold.

        A last line without its end is what a dying process leaves: it counts as not written.
        """
        return self._read()[0]

    @contextmanager
    def announced(self, bookings: Sequence[Booking]) -> Iterator[None]:
        """Write bookings durably before the body makes them true; they are taken back where the body raises.

        A process that dies within the body leaves them announced: who opens the registry next carries them out.
        """
        known, size, previous = self._read()
        if not bookings:
            yield
            return
        if self.path.exists():
            self._cut(size)
        append_durable(self.path, lines(bookings, first=len(known), previous=previous))
        try:
            yield
        except Exception:
            self._cut(size)
            raise

    def _read(self) -> tuple[tuple[Booking, ...], int, str]:
        """Return the bookings, the bytes they take, and the hash of the last line."""
        if not self.path.exists():
            return (), 0, GENESIS
        with resource_errors("read the registry's ledger", self.path), self.path.open("rb") as file:
            data = file.read(_LIMIT + 1)
        if len(data) > _LIMIT:
            raise LedgerBrokenError(f"{self.path}: more than {_LIMIT >> 20} MiB; expected a ledger of Townlet", ())
        found: list[Booking] = []
        previous = GENESIS
        *whole, torn = data.split(b"\n")
        for seq, line in enumerate(whole):
            try:
                booking, previous = _parsed(line, seq, previous)
            except (ValueError, TypeError, KeyError, RecursionError, TownletError) as error:
                raise LedgerBrokenError(
                    f"{self.path}: line {seq} does not hold ({error}); "
                    "restore the file from a copy, or run: townlet registry rebuild",
                    tuple(found),
                ) from error
            found.append(booking)
        return tuple(found), len(data) - len(torn), previous

    def _cut(self, size: int) -> None:
        with resource_errors("cut the registry's ledger", self.path), self.path.open("r+b") as file:
            file.truncate(size)
            os.fsync(file.fileno())


def lines(bookings: Sequence[Booking], *, first: int = 0, previous: str = GENESIS) -> bytes:
    """Return the lines of bookings, the first of them number `first` after the line with the hash `previous`."""
    written = []
    for seq, booking in enumerate(bookings, start=first):
        line = {"v": VERSION, "seq": seq, "previous": previous, "booking": unstructure(booking)}
        sealed = seal_line(line)
        previous = sealed["hash"]
        written.append(canonical_json(sealed) + b"\n")
    return b"".join(written)


def _parsed(line: bytes, seq: int, previous: str) -> tuple[Booking, str]:
    data = json.loads(line)
    if not isinstance(data, dict) or set(data) != {"v", "seq", "previous", "booking", "hash"}:
        raise ValueError("expected {booking, hash, previous, seq, v}")
    if data["v"] != VERSION:
        raise ValueError(f"written as version {data['v']!r}, expected {VERSION}; use the Townlet that wrote it")
    check_line(data, seq=seq, previous=previous)
    return structure(data["booking"], Booking), data["hash"]
