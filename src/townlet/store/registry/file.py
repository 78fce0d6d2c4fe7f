"""The registry's SQLite file: transactions, and its agreement with the ledger beside it, which is the authority.

Before anything is read or written, the schema must be Townlet's own and every row must stand in the ledger, so that a
forged row, view or trigger changes no answer and is never copied.
"""

import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import MappingProxyType

from attrs import evolve, frozen

from townlet.dto.registry import LedgerEntry, SignedMove
from townlet.errors import BadInputError, EnvironmentFaultError, ResourceFaultError
from townlet.store.files import (
    check_regular,
    create_private,
    fsync_directory,
    is_present,
    make_directory,
    resource_errors,
    write_atomic,
)
from townlet.store.hints import rebuild_advice, verify_advice
from townlet.store.registry import rows
from townlet.store.registry.ledger import Ledger, lines
from townlet.store.registry.rows import DamagedRowError
from townlet.store.registry.signing import check_signatures

__all__ = ["RegistryFile"]


@frozen
class RegistryFile:
    """One database and the ledger beside it; BadInputError where they are damaged or contradict each other."""

    path: Path
    """The SQLite file."""
    patience: float
    """Seconds to wait for another process's transaction before giving up."""

    @property
    def ledger(self) -> Ledger:
        """The same moves in a file that is only appended to."""
        return Ledger(self.path.with_name(f"{self.path.stem}.jsonl"))

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """Yield a transaction that only reads; none, and no file is created, where there is nothing to read.

        A move that stands in the ledger only, because a process died before its commit, counts: the answers then come
        from a copy in memory.
        """
        self._check_present()
        if not is_present(self.path):
            yield None
            return
        with self._sqlite_errors(), self._connection("rw") as connection:
            connection.execute("BEGIN")
            has_schema = self._has_schema(connection)
            recorded, stored = self._checked_ledger(connection if has_schema else None)
            if len(recorded) > stored:
                with rows.replica(recorded) as copy:
                    yield copy
            else:
                yield connection if has_schema else None

    @contextmanager
    def writing(self, signatures: Mapping[int, SignedMove] = MappingProxyType({})) -> Iterator[sqlite3.Connection]:
        """Yield a transaction; its moves are written ahead to the ledger and then committed, or nothing happens.

        `signatures` holds those of the new moves by their numbers; the body may add to it.
        """
        self._check_present()
        make_directory(self.path.parent)
        with self._sqlite_errors(), self._connection("rwc") as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                if not self._has_schema(connection):
                    rows.create_schema(connection)
                recorded, stored = self._checked_ledger(connection)
                for entry in recorded[stored:]:
                    rows.insert(connection, entry)
                yield connection
                new = rows.entries(connection)[len(recorded) :]
                signed = tuple(evolve(entry, signed=signatures.get(entry.move.move)) for entry in new)
                check_signatures((*recorded, *signed))
                with self.ledger.write_ahead(signed):
                    connection.execute("COMMIT")
            except BaseException:  # nothing of a refused or interrupted transaction may stay; the error goes on
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def problems(self) -> tuple[str, ...]:
        """Return in words how the file and its ledger contradict each other; empty where they agree."""
        try:
            self._check_present()
            recorded = self.ledger.read()
            check_signatures(recorded)
            if not is_present(self.path):
                return ()
            with self._sqlite_errors(), self._connection("rw") as connection:
                connection.execute("BEGIN")
                return tuple(self._differences(recorded, connection if self._has_schema(connection) else None))
        except (BadInputError, ResourceFaultError) as error:
            return (str(error),)

    def read_best_effort(self) -> tuple[LedgerEntry, ...]:
        """Return the moves in the file, whatever the ledger says; none where the file is missing or damaged."""
        try:
            with self._connection("ro") as connection:
                return rows.entries(connection) if self._has_schema(connection) else ()
        except (BadInputError, sqlite3.Error, UnicodeDecodeError, DamagedRowError):
            return ()

    def replace(self, entries: tuple[LedgerEntry, ...]) -> None:
        """Write a new file and a new ledger from `entries`; the old ones stay beside them as ``.replaced``.

        EnvironmentFaultError where another process is in the file.
        """
        make_directory(self.path.parent)
        fresh = evolve(self, path=self.path.with_name(f".{self.path.stem}-{secrets.token_hex(4)}.sqlite"))
        olds = (self.path, self.path.with_name(f"{self.path.name}-journal"), self.ledger.path)
        try:
            with self._exclusive(), resource_errors("replace the registry", self.path):
                fresh._write(entries)
                for old in olds:
                    if old.exists():
                        old.replace(old.with_name(f"{old.name}.replaced"))
                fresh.ledger.path.replace(self.ledger.path)
                fresh.path.replace(self.path)
                fsync_directory(self.path.parent)
        finally:
            for path in (fresh.path, fresh.ledger.path):
                path.unlink(missing_ok=True)

    def _write(self, entries: tuple[LedgerEntry, ...]) -> None:
        with self._sqlite_errors(), self._connection("rwc") as connection:
            connection.execute("BEGIN IMMEDIATE")
            rows.create_schema(connection)
            for entry in entries:
                rows.insert(connection, entry)
            connection.execute("COMMIT")
        write_atomic(self.ledger.path, lines(entries))

    def _check_present(self) -> None:
        if not is_present(self.path) and self.ledger.read():
            advice = rebuild_advice(self.path)
            raise BadInputError(f"{self.path}: the registry is missing, but its ledger is not; {advice}")

    def _checked_ledger(self, connection: sqlite3.Connection | None) -> tuple[tuple[LedgerEntry, ...], int]:
        """Return the ledger and how many of its entries the file holds; BadInputError where they contradict each other.

        A process that died before its commit leaves one move in the ledger only; a restored older file lacks several.
        """
        recorded = self.ledger.read()
        problem = next(self._differences(recorded, connection), None)
        if problem is not None:
            raise BadInputError(f"{self.path}: {problem}; {verify_advice(self.path)}")
        try:
            check_signatures(recorded)
        except BadInputError as error:
            raise BadInputError(f"{self.ledger.path}: {error}; {verify_advice(self.path)}") from error
        return recorded, len(rows.moves(connection)) if connection is not None else 0

    def _differences(self, recorded: tuple[LedgerEntry, ...], connection: sqlite3.Connection | None) -> Iterator[str]:
        """Yield what the file, none where it is empty, has otherwise than the ledger."""
        ledger = self.ledger.path.name
        if connection is not None:
            yield from rows.schema_problems(connection)
        stored = rows.entries(connection) if connection is not None else ()
        for number, (entry, row) in enumerate(zip(recorded, stored, strict=False), start=1):
            if evolve(entry, signed=None) != row:
                yield f"move {number} is another one than in {ledger}"
        for row in stored[len(recorded) :]:
            move = row.move
            yield (
                f"move {move.move} ({move.kind} of {move.alias!r} of {move.name!r} to version {move.version} by "
                f"{move.actor!r}) stands in no line of {ledger}"
            )
        if len(recorded) > len(stored) + 1:
            yield f"holds {len(stored)} moves, but its ledger {len(recorded)}"
        numbered = {(entry.version.name, entry.version.version): entry.version for entry in recorded}
        for version in rows.versions(connection) if connection is not None else ():
            if numbered.get((version.name, version.version)) != version:
                yield f"version {version.version} of {version.name!r} stands in no line of {ledger}"

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Lock other processes out of the file; a file damaged beyond locking is left unlocked."""
        if not self.path.is_file():
            yield
            return
        with ExitStack() as stack:
            try:
                stack.enter_context(self._connection("rw")).execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                raise EnvironmentFaultError(f"{self.path}: is in use ({error}); stop what uses it first") from error
            except (sqlite3.DatabaseError, UnicodeDecodeError):
                stack.close()  # damaged beyond locking: no process can use it
            yield

    @contextmanager
    def _connection(self, mode: str) -> Iterator[sqlite3.Connection]:
        self._check_regular(create=mode == "rwc")
        address = f"{self.path.absolute().as_uri()}?mode={mode}"
        with closing(sqlite3.connect(address, uri=True, timeout=self.patience, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            for setting in ("synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF"):
                connection.execute(f"PRAGMA {setting}")
            yield connection

    def _check_regular(self, *, create: bool) -> None:
        """Refuse a pipe or a device in place of one of SQLite's files; SQLite would wait for it.

        A missing database is created where it shall be written: SQLite itself would give it the umask's mode.
        """
        with resource_errors("open the registry", self.path):
            for suffix in ("", "-journal", "-wal", "-shm"):
                check_regular(self.path.with_name(f"{self.path.name}{suffix}"))
            if create and not is_present(self.path):
                os.close(create_private(self.path))

    def _has_schema(self, connection: sqlite3.Connection) -> bool:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if (application, version) == (rows.APPLICATION, rows.SCHEMA_VERSION):
            return True
        if application == rows.APPLICATION:
            raise BadInputError(
                f"{self.path}: registry of schema version {version}, expected {rows.SCHEMA_VERSION}; "
                "use the Townlet that wrote it"
            )
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise BadInputError(f"{self.path}: an SQLite file of another program; expected a registry of Townlet")
        return False

    @contextmanager
    def _sqlite_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise ResourceFaultError(
                f"{self.path}: the registry cannot be used now ({error}); nothing was changed; "
                "wait for other processes, free space or grant access, then try again"
            ) from error
        except (sqlite3.Error, UnicodeDecodeError, DamagedRowError) as error:  # SQLite quotes damaged pages
            raise BadInputError(f"{self.path}: not a sound registry ({error}); {rebuild_advice(self.path)}") from error
