"""The registry of policies: immutable versions and aliases with their whole history, in one SQLite file.

An alias is not a cell that is overwritten: its moves are appended, and it names what the last one says. A policy is
promoted by compare-and-set, so that of two runs that saw the same champion exactly one replaces it.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from attrs import field, frozen

from townlet.dto.registry import AliasMove, Version
from townlet.errors import BadInputError, ChampionMovedError, EnvironmentFaultError
from townlet.store.files import make_directory

__all__ = ["Registry"]

_APPLICATION = 0x546F776E
_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE versions (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, version INTEGER NOT NULL, weights TEXT NOT NULL, parent TEXT,
    evidence TEXT, run TEXT NOT NULL, head TEXT NOT NULL, created_at TEXT NOT NULL, facts TEXT NOT NULL,
    UNIQUE (name, version), UNIQUE (name, weights, run)
) STRICT;
CREATE TABLE moves (
    move INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, alias TEXT NOT NULL, kind TEXT NOT NULL,
    version INTEGER NOT NULL, previous_version INTEGER, evidence TEXT, run TEXT, head TEXT, actor TEXT NOT NULL,
    reason TEXT NOT NULL, at TEXT NOT NULL,
    FOREIGN KEY (name, version) REFERENCES versions (name, version),
    FOREIGN KEY (name, previous_version) REFERENCES versions (name, version)
) STRICT;
CREATE TRIGGER versions_stay BEFORE UPDATE ON versions BEGIN SELECT RAISE(ABORT, 'versions are immutable'); END;
CREATE TRIGGER versions_remain BEFORE DELETE ON versions BEGIN SELECT RAISE(ABORT, 'versions are immutable'); END;
CREATE TRIGGER moves_stay BEFORE UPDATE ON moves BEGIN SELECT RAISE(ABORT, 'history is immutable'); END;
CREATE TRIGGER moves_remain BEFORE DELETE ON moves BEGIN SELECT RAISE(ABORT, 'history is immutable'); END;
"""
_VERSIONS = "SELECT name, version, weights, parent, evidence, run, head, created_at, facts FROM versions"
_MOVES = """
SELECT m.move, m.name, m.alias, m.kind, m.version, v.weights, m.previous_version, p.weights AS previous, m.evidence,
       m.run, m.head, m.actor, m.reason, m.at
FROM moves m JOIN versions v ON v.name = m.name AND v.version = m.version
LEFT JOIN versions p ON p.name = m.name AND p.version = m.previous_version
"""


@frozen
class Registry:
    """Versions and aliases in one file; a registry that is only read is never created."""

    path: Path
    """The SQLite file; its directory is created with the first promotion."""
    patience: float = field(default=10.0, kw_only=True)
    """Seconds to wait for another process's transaction before giving up."""

    def champion(self, name: str, alias: str) -> Version | None:
        """Return the version an alias names; none where it names nothing yet."""
        with self._reading() as connection:
            move = _last_move(connection, name, alias) if connection else None
            return _version(connection, name, move.version) if connection and move else None

    def versions(self, name: str | None = None) -> tuple[Version, ...]:
        """Return all versions (of one line), in the order they were registered."""
        with self._reading() as connection:
            if connection is None:
                return ()
            rows = connection.execute(f"{_VERSIONS} WHERE :name IS NULL OR name = :name ORDER BY id", {"name": name})
            return tuple(_to_version(row) for row in rows)

    def history(self, name: str | None = None, alias: str | None = None) -> tuple[AliasMove, ...]:
        """Return all moves (of one line, of one alias), oldest first."""
        with self._reading() as connection:
            return _moves(connection, name, alias) if connection else ()

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
        promotion may be repeated after a crash. EnvironmentFaultError where the file is locked or read-only.
        """
        with self._writing() as connection:
            last = _last_move(connection, name, alias)
            if last and (last.weights, last.run, last.evidence, last.kind) == (target, run, evidence, "promote"):
                return _version(connection, name, last.version)
            found = last.weights if last else None
            if found != expected:
                raise ChampionMovedError(
                    f"{self.path}: champion moved: {alias!r} of {name!r} names {_shown(found)}, expected "
                    f"{_shown(expected)}; evaluate against the champion in force, then promote again"
                )
            version = _register(
                connection,
                Version(
                    name=name,
                    version=_next_version(connection, name),
                    weights=target,
                    parent=parent,
                    evidence=evidence,
                    run=run,
                    head=head,
                    created_at=_now(),
                    facts=facts,
                ),
            )
            why = {"actor": f"run {run}", "reason": "promoted by its run", "evidence": evidence}
            _append_move(connection, version, alias, last, kind="promote", run=run, head=head, **why)
            return version

    def rollback(self, name: str, alias: str, *, actor: str, reason: str) -> Version:
        """Move the alias back to the version that the one in force replaced, and return it.

        Rolling back again goes one promotion further back. BadInputError where nothing came before.
        """
        with self._writing() as connection:
            standing: list[int] = []
            for move in _moves(connection, name, alias):
                if move.kind == "promote":
                    standing.append(move.version)
                else:
                    standing.pop()
            if len(standing) < 2:
                found = f"only version {standing[0]} was ever in force" if standing else "it names nothing"
                raise BadInputError(f"{self.path}: {alias!r} of {name!r} cannot be rolled back: {found}")
            target = _version(connection, name, standing[-2])
            last = _last_move(connection, name, alias)
            _append_move(connection, target, alias, last, kind="rollback", actor=actor, reason=reason)
            return target

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        if not self.path.exists():
            yield None
            return
        with self._told(), closing(self._connect("rw")) as connection:
            connection.execute("BEGIN")
            yield connection if self._is_laid_out(connection) else None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        make_directory(self.path.parent)
        with self._told(), closing(self._connect("rwc")) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                if not self._is_laid_out(connection):
                    _lay_out(connection)
                yield connection
            except BaseException:  # nothing of a refused or interrupted transaction may stay; the error goes on
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _connect(self, mode: str) -> sqlite3.Connection:
        address = f"{self.path.absolute().as_uri()}?mode={mode}"
        connection = sqlite3.connect(address, uri=True, timeout=self.patience, isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def _is_laid_out(self, connection: sqlite3.Connection) -> bool:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if (application, found) == (_APPLICATION, _SCHEMA_VERSION):
            return True
        if application == _APPLICATION:
            raise BadInputError(
                f"{self.path}: registry of schema version {found}, expected {_SCHEMA_VERSION}; "
                "use the Townlet that wrote it"
            )
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise BadInputError(f"{self.path}: an SQLite file of another program; expected a registry of Townlet")
        return False

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if isinstance(error, sqlite3.OperationalError):
                raise EnvironmentFaultError(
                    f"{self.path}: the registry cannot be used now ({error}); nothing was changed; "
                    "wait for other processes, free space or grant access, then try again"
                ) from error
            raise BadInputError(f"{self.path}: not a sound registry ({error}); restore the file from a copy") from error


def _lay_out(connection: sqlite3.Connection) -> None:
    statement = ""
    for line in _SCHEMA.splitlines():
        statement += f"{line}\n"
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")


def _next_version(connection: sqlite3.Connection, name: str) -> int:
    row = connection.execute("SELECT coalesce(max(version), 0) + 1 FROM versions WHERE name = ?", (name,)).fetchone()
    return int(row[0])


def _register(connection: sqlite3.Connection, wanted: Version) -> Version:
    known = connection.execute(
        f"{_VERSIONS} WHERE name = ? AND weights = ? AND run = ?", (wanted.name, wanted.weights, wanted.run)
    ).fetchone()
    if known:
        return _to_version(known)
    connection.execute(
        "INSERT INTO versions (name, version, weights, parent, evidence, run, head, created_at, facts) "
        "VALUES (:name, :version, :weights, :parent, :evidence, :run, :head, :created_at, :facts)",
        {**wanted.model_dump(), "facts": json.dumps(dict(wanted.facts), sort_keys=True)},
    )
    return wanted


def _append_move(
    connection: sqlite3.Connection, version: Version, alias: str, last: AliasMove | None, **why: str | None
) -> None:
    connection.execute(
        "INSERT INTO moves (name, alias, kind, version, previous_version, evidence, run, head, actor, reason, at) "
        "VALUES (:name, :alias, :kind, :version, :previous, :evidence, :run, :head, :actor, :reason, :at)",
        {
            "name": version.name,
            "alias": alias,
            "version": version.version,
            "previous": last.version if last else None,
            "at": _now(),
            "evidence": None,
            "run": None,
            "head": None,
            **why,
        },
    )


def _moves(connection: sqlite3.Connection, name: str | None, alias: str | None) -> tuple[AliasMove, ...]:
    rows = connection.execute(
        f"{_MOVES} WHERE (:name IS NULL OR m.name = :name) AND (:alias IS NULL OR m.alias = :alias) ORDER BY m.move",
        {"name": name, "alias": alias},
    )
    return tuple(AliasMove(**dict(row)) for row in rows)


def _last_move(connection: sqlite3.Connection, name: str, alias: str) -> AliasMove | None:
    row = connection.execute(
        f"{_MOVES} WHERE m.name = ? AND m.alias = ? ORDER BY m.move DESC LIMIT 1", (name, alias)
    ).fetchone()
    return AliasMove(**dict(row)) if row else None


def _version(connection: sqlite3.Connection, name: str, version: int) -> Version:
    return _to_version(connection.execute(f"{_VERSIONS} WHERE name = ? AND version = ?", (name, version)).fetchone())


def _to_version(row: sqlite3.Row) -> Version:
    return Version(**{**dict(row), "facts": json.loads(row["facts"])})


def _shown(weights: str | None) -> str:
    return f"the weights {weights}" if weights else "nothing"


def _now() -> str:
    return datetime.now(UTC).isoformat()
