"""The registry of policies: immutable versions and aliases with their whole history, in one SQLite file.

An alias is not a cell that is overwritten: its moves are appended, and it names what the last one says. A policy is
promoted by compare-and-set, so that of two runs that saw the same champion exactly one replaces it. Every move is
announced in the ledger beside the file before it is committed, so that a lost file loses no history.
"""

import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from attrs import evolve, field, frozen

from townlet.dto.registry import AliasMove, Booking, Version
from townlet.errors import BadInputError, ChampionMovedError, EnvironmentFaultError, ResourceFaultError
from townlet.store import registry_rows as rows
from townlet.store.files import fsync_directory, make_directory, told, write_atomic
from townlet.store.ledger import Ledger, LedgerBrokenError, lines

__all__ = ["Registry"]

_REBUILD = "restore it from a copy, or run: townlet registry rebuild"


def _unasked(_: str) -> None:
    """Prove nothing: whoever opened the registry proves weights itself."""


@frozen
class Registry:
    """Versions and aliases in one file; a registry that is only read is never created."""

    path: Path
    """The SQLite file; its directory is created with the first promotion."""
    patience: float = field(default=10.0, kw_only=True)
    """Seconds to wait for another process's transaction before giving up."""
    prove: Callable[[str], object] = field(default=_unasked, kw_only=True)
    """Raises where the weights of a digest are missing, damaged or act otherwise; asked before an alias moves there."""

    @property
    def ledger(self) -> Ledger:
        """Every move once more, in a file that is only appended to."""
        return Ledger(self.path.with_name(f"{self.path.stem}.jsonl"))

    def champion(self, name: str, alias: str) -> Version | None:
        """Return the version an alias names; none where it names nothing yet."""
        with self._reading() as connection:
            move = _last_move(connection, name, alias) if connection else None
            return rows.version(connection, name, move.version) if connection and move else None

    def versions(self, name: str | None = None) -> tuple[Version, ...]:
        """Return all versions (of one line), in the order they were registered."""
        with self._reading() as connection:
            return rows.versions(connection, name) if connection else ()

    def history(self, name: str | None = None, alias: str | None = None) -> tuple[AliasMove, ...]:
        """Return all moves (of one line, of one alias), oldest first."""
        with self._reading() as connection:
            return rows.moves(connection, name, alias) if connection else ()

    def promote(
        self,
        name: str,
        alias: str,
        *,
        target: str,
        expected: str | None,
        evidence: str | None,
        run: str,
        head: str,
        parent: str | None = None,
        facts: Mapping[str, str],
    ) -> Version:
        """Register the weights `target` and move the alias to them, in one transaction; return the version.

        The alias must name the weights `expected` (none: nothing), else ChampionMovedError says what it names. An
        alias that this run already moved to `target` on the same `evidence` answers with that version, so that a
        promotion may be repeated after a crash. ResourceFaultError where the file is locked or read-only.
        """
        with self._writing() as connection:
            last = _last_move(connection, name, alias)
            if last and (last.weights, last.run, last.evidence, last.kind) == (target, run, evidence, "promote"):
                return rows.version(connection, name, last.version)
            found = last.weights if last else None
            if found != expected:
                raise ChampionMovedError(
                    f"{self.path}: champion moved: {alias!r} of {name!r} names {_shown(found)}, expected "
                    f"{_shown(expected)}; evaluate against the champion in force, then promote again"
                )
            self.prove(target)
            wanted = Version(
                name=name, version=rows.next_version(connection, name), weights=target, parent=parent,
                evidence=evidence, run=run, head=head, created_at=_now(), facts=facts,
            )  # fmt: skip
            version = rows.register(connection, wanted)
            move = _move(connection, version, alias, "promote", f"run {run}", "promoted by its run")
            rows.append_move(connection, evolve(move, evidence=evidence, run=run, head=head))
            return version

    def rollback(self, name: str, alias: str, *, actor: str, reason: str) -> Version:
        """Move the alias back to the version that the one in force replaced, and return it.

        Rolling back again goes one promotion further back. BadInputError where nothing came before, and where `prove`
        finds the weights to go back to unfit.
        """
        with self._writing() as connection:
            standing: list[int] = []
            for move in rows.moves(connection, name, alias):
                if move.kind == "promote":
                    standing.append(move.version)
                else:
                    standing.pop()
            if len(standing) < 2:
                found = f"only version {standing[0]} was ever in force" if standing else "it names nothing"
                raise BadInputError(f"{self.path}: {alias!r} of {name!r} cannot be rolled back: {found}")
            target = rows.version(connection, name, standing[-2])
            self.prove(target.weights)
            rows.append_move(connection, _move(connection, target, alias, "rollback", actor, reason))
            return target

    def witness(self) -> tuple[tuple[Booking, ...], tuple[str, ...]]:
        """Return the moves that ledger and file still tell of, and in words what of them is lost or contradictory."""
        doubts: list[str] = []
        try:
            announced = self.ledger.read()
        except LedgerBrokenError as error:
            announced = error.sound
            doubts.append(str(error))
        held = self._salvaged()
        longer = max(announced, held, key=len)
        if longer[: len(announced)] != announced or longer[: len(held)] != held:
            longer = announced
            doubts.append(
                f"{self.path.name} and {self.ledger.path.name} tell different stories; the ledger is believed"
            )
        return longer, tuple(doubts)

    def _salvaged(self) -> tuple[Booking, ...]:
        """Return what the file holds, whatever the ledger says; nothing where it is missing or damaged."""
        try:
            with self._opened("ro") as connection:
                return _bookings(connection) if self._is_laid_out(connection) else ()
        except (BadInputError, sqlite3.Error, UnicodeDecodeError):
            return ()

    def replace(self, bookings: tuple[Booking, ...]) -> None:
        """Write the registry and its ledger anew from `bookings`; what stood there stays beside it as ``.replaced``.

        EnvironmentFaultError where another process is in the file.
        """
        make_directory(self.path.parent)
        fresh = evolve(self, path=self.path.with_name(f".{self.path.stem}-{secrets.token_hex(4)}.sqlite"))
        olds = (self.path, self.path.with_name(f"{self.path.name}-journal"), self.ledger.path)
        try:
            with self._alone(), told("replace the registry", self.path):
                fresh._write(bookings)
                for old in olds:
                    if old.exists():
                        old.replace(old.with_name(f"{old.name}.replaced"))
                fresh.ledger.path.replace(self.ledger.path)
                fresh.path.replace(self.path)
                fsync_directory(self.path.parent)
        finally:
            for left in (fresh.path, fresh.ledger.path):
                left.unlink(missing_ok=True)

    def _write(self, bookings: tuple[Booking, ...]) -> None:
        with self._told(), self._opened("rwc") as connection:
            connection.execute("BEGIN IMMEDIATE")
            rows.lay_out(connection)
            for booking in bookings:
                rows.book(connection, booking)
            connection.execute("COMMIT")
        write_atomic(self.ledger.path, lines(bookings))

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        self._check_present()
        if not self.path.exists():
            yield None
            return
        with self._told(), self._opened("rw") as connection:
            connection.execute("BEGIN")
            laid_out = self._is_laid_out(connection)
            self._compared(rows.moves(connection) if laid_out else ())
            yield connection if laid_out else None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Yield a transaction; what it moves is announced in the ledger and then committed, or nothing happens."""
        self._check_present()
        make_directory(self.path.parent)
        with self._told(), self._opened("rwc") as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                if not self._is_laid_out(connection):
                    rows.lay_out(connection)
                announced = self._compared(rows.moves(connection))
                for booking in announced[len(rows.moves(connection)) :]:
                    rows.book(connection, booking)
                yield connection
                with self.ledger.announced(_bookings(connection)[len(announced) :]):
                    connection.execute("COMMIT")
            except BaseException:  # nothing of a refused or interrupted transaction may stay; the error goes on
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _check_present(self) -> None:
        if not self.path.exists() and self.ledger.path.exists() and self.ledger.read():
            raise BadInputError(f"{self.path}: the registry is missing, but its ledger is not; {_REBUILD}")

    def _compared(self, moves: tuple[AliasMove, ...]) -> tuple[Booking, ...]:
        """Return the ledger; BadInputError where it and the file tell different stories.

        A process that died in a commit leaves one move announced; a file older than its ledger lacks them all.
        """
        announced = self.ledger.read()
        odd = next((i for i, (b, m) in enumerate(zip(announced, moves, strict=False)) if b.move != m), None)
        if odd is not None:
            raise BadInputError(
                f"{self.path}: move {odd + 1} is another one than in {self.ledger.path.name}; {_REBUILD}"
            )
        if len(announced) > len(moves) + 1:
            raise BadInputError(f"{self.path}: holds {len(moves)} moves, but its ledger {len(announced)}; {_REBUILD}")
        return announced

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes out of the file, where it is sound enough to be locked."""
        if not self.path.is_file():
            yield
            return
        with ExitStack() as held:
            try:
                held.enter_context(self._opened("rw")).execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                raise EnvironmentFaultError(f"{self.path}: is in use ({error}); stop what uses it first") from error
            except (sqlite3.DatabaseError, UnicodeDecodeError):
                held.close()  # damaged beyond locking: nobody can be at work in it
            yield

    @contextmanager
    def _opened(self, mode: str) -> Iterator[sqlite3.Connection]:
        address = f"{self.path.absolute().as_uri()}?mode={mode}"
        with closing(sqlite3.connect(address, uri=True, timeout=self.patience, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            for setting in ("synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF"):
                connection.execute(f"PRAGMA {setting}")
            yield connection

    def _is_laid_out(self, connection: sqlite3.Connection) -> bool:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if (application, found) == (rows.APPLICATION, rows.SCHEMA_VERSION):
            return True
        if application == rows.APPLICATION:
            raise BadInputError(
                f"{self.path}: registry of schema version {found}, expected {rows.SCHEMA_VERSION}; "
                "use the Townlet that wrote it"
            )
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise BadInputError(f"{self.path}: an SQLite file of another program; expected a registry of Townlet")
        return False

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise ResourceFaultError(
                f"{self.path}: the registry cannot be used now ({error}); nothing was changed; "
                "wait for other processes, free space or grant access, then try again"
            ) from error
        except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite quotes damaged pages in its messages
            raise BadInputError(f"{self.path}: not a sound registry ({error}); {_REBUILD}") from error


def _move(
    connection: sqlite3.Connection, version: Version, alias: str, kind: str, actor: str, reason: str
) -> AliasMove:
    last, latest = _last_move(connection, version.name, alias), rows.moves(connection, last=True)
    return AliasMove(
        move=latest[0].move + 1 if latest else 1, name=version.name, alias=alias, kind=kind, version=version.version,
        weights=version.weights, previous_version=last.version if last else None,
        previous=last.weights if last else None, evidence=None, run=None, head=None, actor=actor, reason=reason,
        at=_now(),
    )  # fmt: skip


def _last_move(connection: sqlite3.Connection, name: str, alias: str) -> AliasMove | None:
    found = rows.moves(connection, name, alias, last=True)
    return found[0] if found else None


def _bookings(connection: sqlite3.Connection) -> tuple[Booking, ...]:
    moves = rows.moves(connection)
    return tuple(Booking(move=move, version=rows.version(connection, move.name, move.version)) for move in moves)


def _shown(weights: str | None) -> str:
    return f"the weights {weights}" if weights else "nothing"


def _now() -> str:
    return datetime.now(UTC).isoformat()
