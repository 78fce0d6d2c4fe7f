"""Attacks on a registry, each scripted, and which check sees it; docs/reference/security.md shows the same table."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from attrs import evolve, frozen
from homes import Town

from townlet.canonical import canonical_json, seal_line
from townlet.cli import run_command
from townlet.dto.registry import LedgerEntry
from townlet.store.registry.ledger import lines


def ask(town: Town, *words: str) -> int:
    """Run a command on a home and return its exit code."""
    return run_command([*words, "--home", str(town.home)])


def sql(town: Town, *statements: str) -> None:
    """Run statements on the database, as anyone may who can write the file."""
    with closing(sqlite3.connect(town.registry.path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def without_triggers(town: Town, statement: str) -> None:
    """Drop what protects the rows, change one, and put the protection back."""
    with closing(sqlite3.connect(town.registry.path)) as connection:
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)
        for _, text in triggers:
            connection.execute(text)
        connection.commit()


def write_ledger(town: Town, entries: list[LedgerEntry]) -> None:
    """Write a ledger with valid hashes."""
    town.registry.ledger.path.write_bytes(lines(entries))


FORGED_MOVE = (
    "INSERT INTO moves (name, alias, kind, version, previous_version, evidence, run, head, actor, reason, at) "
    "SELECT name, alias, 'promote', 1, 2, evidence, run, head, actor, reason, at FROM moves WHERE move = 1"
)
FORGED_VERSION = (
    "INSERT INTO versions (name, version, weights, parent, evidence, run, head, created_at, facts) "
    "SELECT name, 3, hex(randomblob(32)), parent, evidence, 'nobody', head, created_at, facts FROM versions "
    "WHERE version = 1"
)


def forge_row(town: Town) -> None:
    """One INSERT names other weights the champion."""
    sql(town, FORGED_MOVE)


def forge_row_and_lose_ledger(town: Town) -> None:
    """One INSERT, and the ledger deleted besides."""
    sql(town, FORGED_MOVE)
    town.registry.ledger.path.unlink()


def forge_version(town: Town) -> None:
    """A version that no run made."""
    sql(town, FORGED_VERSION)


def change_row(town: Town) -> None:
    """A row's weights changed, its triggers restored."""
    without_triggers(town, "UPDATE versions SET weights = lower(hex(randomblob(32))) WHERE version = 2")


def change_actor(town: Town) -> None:
    """Who moved the alias, changed."""
    without_triggers(town, "UPDATE moves SET actor = 'mallory' WHERE move = 2")


def delete_row(town: Town) -> None:
    """The last two moves deleted."""
    without_triggers(town, "DELETE FROM moves")


def drop_trigger(town: Town) -> None:
    """A trigger that protects the history dropped."""
    sql(town, "DROP TRIGGER moves_stay")


def plant_trigger(town: Town) -> None:
    """A trigger that names other weights at the next promotion."""
    sql(town, f"CREATE TRIGGER later AFTER INSERT ON moves WHEN new.move = 3 BEGIN {FORGED_MOVE}; END")


def plant_view(town: Town) -> None:
    """A table replaced by a view that answers otherwise."""
    sql(
        town,
        "ALTER TABLE versions RENAME TO true_versions",
        "CREATE VIEW versions AS SELECT * FROM true_versions WHERE version = 1",
    )


def add_column(town: Town) -> None:
    """A column that no Townlet wrote."""
    sql(town, "ALTER TABLE moves ADD COLUMN note TEXT")


def add_table(town: Town) -> None:
    """A table that no Townlet made."""
    sql(town, "CREATE TABLE notes (text TEXT)")


def later_schema(town: Town) -> None:
    """The file says that a later Townlet wrote it."""
    sql(town, "PRAGMA user_version = 9")


def lose_database(town: Town) -> None:
    """The database deleted."""
    town.registry.path.unlink()


def lose_ledger(town: Town) -> None:
    """The ledger deleted."""
    town.registry.ledger.path.unlink()


def old_database(town: Town) -> None:
    """The database emptied: two moves short of its ledger."""
    town.registry.path.write_bytes(b"")


def edit_ledger(town: Town) -> None:
    """A word of the ledger changed."""
    path = town.registry.ledger.path
    path.write_bytes(path.read_bytes().replace(b"promoted by its run", b"promoted by my run!", 1))


def rehash_line(town: Town) -> None:
    """The last line of the ledger changed, and its hash with it."""
    path = town.registry.ledger.path
    *before, last = path.read_bytes().splitlines()
    line = json.loads(last)
    del line["hash"]
    line["booking"]["move"]["actor"] = "mallory"
    path.write_bytes(b"\n".join([*before, canonical_json(seal_line(line))]) + b"\n")


def cut_ledger(town: Town) -> None:
    """The last line of the ledger cut off."""
    write_ledger(town, list(town.registry.ledger.read()[:1]))


def swap_lines(town: Town) -> None:
    """Two lines of the ledger exchanged."""
    path = town.registry.ledger.path
    first, second = path.read_bytes().splitlines()
    path.write_bytes(second + b"\n" + first + b"\n")


def rewrite(town: Town, entries: list[LedgerEntry]) -> None:
    """Write database and ledger anew, all hashes valid, as the owner of both can."""
    town.registry.replace(tuple(entries))
    for old in town.home.glob("*.replaced"):
        old.unlink()


def rewrite_with_forged_promotion(town: Town) -> None:
    """Both files written anew with a third promotion that no run made."""
    first, second = town.registry.ledger.read()
    version = evolve(second.version, version=3, weights=first.version.weights, run="nobody")
    move = evolve(
        second.move,
        move=3,
        version=3,
        weights=version.weights,
        previous_version=2,
        previous=second.version.weights,
        run="nobody",
    )
    rewrite(town, [first, second, LedgerEntry(move=move, version=version)])


def rewrite_under_a_true_run(town: Town) -> None:
    """Both files written anew: a true run's promotion, with other weights."""
    first, second = town.registry.ledger.read()
    weights = first.version.weights
    rewrite(
        town,
        [
            first,
            LedgerEntry(move=evolve(second.move, weights=weights), version=evolve(second.version, weights=weights)),
        ],
    )


def rewrite_without_the_last(town: Town) -> None:
    """Both files written anew without the last promotion, whose run is in the home."""
    rewrite(town, list(town.registry.ledger.read()[:1]))


def rewrite_a_head(town: Town) -> None:
    """Both files written anew: the head of another journal."""
    first, second = town.registry.ledger.read()
    head = first.version.head
    forged = LedgerEntry(move=evolve(second.move, head=head), version=evolve(second.version, head=head))
    rewrite(town, [first, forged])


def rewrite_a_rollback(town: Town) -> None:
    """Both files written anew: a rollback to the version that is in force."""
    first, second = town.registry.ledger.read()
    move = evolve(second.move, move=3, kind="rollback", previous_version=2, previous=second.version.weights)
    rewrite(town, [first, second, LedgerEntry(move=move, version=second.version)])


def lose_journal(town: Town) -> None:
    """The run that promoted is deleted."""
    shutil.rmtree(town.run(1).path)


def edit_journal(town: Town) -> None:
    """The journal of the run that promoted is edited."""
    journal = town.run(1).journal
    journal.write_bytes(journal.read_bytes().replace(b"capture", b"capturE", 1))


def damage_weights(town: Town) -> None:
    """The champion's weights changed on disk."""
    path = town.blobs.path(town.champion)
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")


def pipe(name: str) -> Callable[[Town], None]:
    """Return the attack that puts a pipe in place of a file of the home."""

    def attack(town: Town) -> None:
        (town.home / name).unlink(missing_ok=True)
        os.mkfifo(town.home / name)

    attack.__doc__ = f"A pipe in place of {name}."
    return attack


def genuine_rollback_removed(town: Town) -> None:
    """A rollback taken out of both files, all hashes valid: only a head kept outside shows it."""
    entries = town.registry.ledger.read()
    assert 0 == ask(town, "registry", "rollback", "given", "--reason", "it was withdrawn")
    outside(town).write_text(town.registry.ledger.hashes()[-1])
    rewrite(town, list(entries))


def outside(town: Town) -> Path:
    """Return a file outside the home, in which a head is kept."""
    return town.home.parent / "head"


@frozen
class Attack:
    """An attack and who sees it."""

    run: Callable[[Town], None]
    by_readers: bool
    """Whether every command that reads an alias refuses."""
    by_verify: bool = True
    """Whether `registry verify` sees it without a head from outside."""


ATTACKS = [
    *(
        Attack(attack, by_readers=True)
        for attack in (
            forge_row,
            forge_row_and_lose_ledger,
            forge_version,
            change_row,
            change_actor,
            delete_row,
            drop_trigger,
            plant_trigger,
            plant_view,
            add_column,
            add_table,
            later_schema,
            lose_database,
            lose_ledger,
            old_database,
            edit_ledger,
            rehash_line,
            cut_ledger,
            swap_lines,
            pipe("registry.sqlite"),
            pipe("registry.jsonl"),
            pipe("registry.sqlite-journal"),
        )
    ),
    *(
        Attack(attack, by_readers=False)
        for attack in (
            rewrite_with_forged_promotion,
            rewrite_under_a_true_run,
            rewrite_without_the_last,
            rewrite_a_head,
            rewrite_a_rollback,
            lose_journal,
            edit_journal,
            damage_weights,
        )
    ),
    Attack(genuine_rollback_removed, by_readers=False, by_verify=False),
]
