"""The registry's tables: their schema, and the conversion of records to rows and back."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache

from townlet.dto.codec import structure
from townlet.dto.registry import AliasMove, LedgerEntry, Version

__all__ = [
    "APPLICATION",
    "SCHEMA_VERSION",
    "DamagedRowError",
    "append_move",
    "create_schema",
    "entries",
    "insert",
    "moves",
    "next_version",
    "register",
    "replica",
    "schema_problems",
    "version",
    "versions",
]

APPLICATION = 0x546F776E
"""Marks the file as Townlet's."""
SCHEMA_VERSION = 1
"""Version of the tables; a file of another one is refused."""
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
FROM moves m LEFT JOIN versions v ON v.name = m.name AND v.version = m.version
LEFT JOIN versions p ON p.name = m.name AND p.version = m.previous_version
"""


class DamagedRowError(ValueError):
    """A row is missing or unreadable; the file that holds it is named by whoever opened it."""


def create_schema(connection: sqlite3.Connection) -> None:
    """Create the tables of an empty file, within the transaction that is open."""
    statement = ""
    for line in _SCHEMA.splitlines():
        statement += f"{line}\n"
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def schema_problems(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return what a file's schema has too much, too little or otherwise: a trigger or a view could change answers."""
    expected, present = _reference_schema(), _schema(connection)
    names = sorted({*expected, *present})
    return tuple(
        f"the {kind} {name!r} {'is foreign' if before is None else 'is missing' if after is None else 'was changed'}"
        for kind, name in names
        if (before := expected.get((kind, name))) != (after := present.get((kind, name)))
    )


def _schema(connection: sqlite3.Connection) -> dict[tuple[str, str], str]:
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")
    return {(row[0], row[1]): " ".join(f"{row[2]} {row[3]}".split()) for row in rows}


@cache
def _reference_schema() -> dict[tuple[str, str], str]:
    with replica(()) as connection:
        return _schema(connection)


@contextmanager
def replica(ledger: tuple[LedgerEntry, ...]) -> Iterator[sqlite3.Connection]:
    """Yield a registry in memory that holds the entries of a ledger."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        create_schema(connection)
        for entry in ledger:
            insert(connection, entry)
        yield connection


def versions(connection: sqlite3.Connection, name: str | None = None) -> tuple[Version, ...]:
    """Return all versions (of one policy name), in the order they were registered."""
    rows = connection.execute(f"{_VERSIONS} WHERE :name IS NULL OR name = :name ORDER BY id", {"name": name})
    return tuple(_to_version(row) for row in rows)


def version(connection: sqlite3.Connection, name: str, number: int) -> Version:
    """Return one version; DamagedRowError where a damaged file lacks it."""
    row = connection.execute(f"{_VERSIONS} WHERE name = ? AND version = ?", (name, number)).fetchone()
    if row is None:
        raise DamagedRowError(f"version {number} of {name!r} is missing")
    return _to_version(row)


def moves(
    connection: sqlite3.Connection, name: str | None = None, alias: str | None = None, *, last: bool = False
) -> tuple[AliasMove, ...]:
    """Return all moves (of one policy name, of one alias; the last only), oldest first."""
    rows = connection.execute(
        f"{_MOVES} WHERE (:name IS NULL OR m.name = :name) AND (:alias IS NULL OR m.alias = :alias) "
        f"ORDER BY m.move {'DESC LIMIT 1' if last else ''}",
        {"name": name, "alias": alias},
    )
    return tuple(structure(dict(row), AliasMove) for row in rows)


def next_version(connection: sqlite3.Connection, name: str) -> int:
    """Return the number of the next version under a policy name."""
    row = connection.execute("SELECT coalesce(max(version), 0) + 1 FROM versions WHERE name = ?", (name,)).fetchone()
    return int(row[0])


def register(connection: sqlite3.Connection, version: Version) -> Version:
    """Insert a version and return it; the same weights of the same run are one version."""
    row = connection.execute(
        f"{_VERSIONS} WHERE name = ? AND weights = ? AND run = ?", (version.name, version.weights, version.run)
    ).fetchone()
    if row:
        return _to_version(row)
    connection.execute(
        "INSERT INTO versions (name, version, weights, parent, evidence, run, head, created_at, facts) "
        "VALUES (:name, :version, :weights, :parent, :evidence, :run, :head, :created_at, :facts)",
        {**version.model_dump(), "facts": json.dumps(dict(version.metadata), sort_keys=True)},
    )
    return version


def append_move(connection: sqlite3.Connection, move: AliasMove) -> None:
    """Append a move under its own number."""
    connection.execute(
        "INSERT INTO moves (move, name, alias, kind, version, previous_version, evidence, run, head, actor, reason, at)"
        " VALUES (:move, :name, :alias, :kind, :version, :previous_version, :evidence, :run, :head, :actor, :reason,"
        " :at)",
        move.model_dump(),
    )


def insert(connection: sqlite3.Connection, entry: LedgerEntry) -> None:
    """Insert the version and the move of an entry of the ledger."""
    register(connection, entry.version)
    append_move(connection, entry.move)


def entries(connection: sqlite3.Connection) -> tuple[LedgerEntry, ...]:
    """Return every move with its version, oldest first, as the ledger holds them."""
    by_number = {(each.name, each.version): each for each in versions(connection)}
    return tuple(
        LedgerEntry(
            move=move,
            version=by_number.get((move.name, move.version)) or version(connection, move.name, move.version),
        )
        for move in moves(connection)
    )


def _to_version(row: sqlite3.Row) -> Version:
    try:
        metadata = json.loads(row["facts"])
    except (ValueError, TypeError, RecursionError) as error:
        raise DamagedRowError(f"a version's metadata are unreadable ({error})") from error
    return structure({**dict(row), "facts": metadata}, Version)
