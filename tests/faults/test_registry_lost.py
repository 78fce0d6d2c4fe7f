"""A registry that was lost or damaged is put together again, and what cannot be told is said."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from homes import Town

from townlet.cli import run_command
from townlet.dto.registry import AliasMove, Version
from townlet.errors import UnfitInputError


def ask(town: Town, *words: str) -> int:
    """Run a registry command on a home and return its exit code."""
    return run_command(["registry", *words, "--home", str(town.home)])


def without_times(found: tuple[Version, ...] | tuple[AliasMove, ...]) -> list[dict[str, object]]:
    """Return records as plain data without the times at which they were written down."""
    return [{k: v for k, v in record.model_dump().items() if k not in ("at", "created_at")} for record in found]


def roll_back(town: Town) -> None:
    """Roll the champion back by command, as a person would."""
    assert 0 == ask(town, "rollback", "given", "--reason", "queues grew", "--actor", "ada")


def test_a_lost_registry_comes_back_word_for_word(town: Town) -> None:
    """Versions, aliases and history are the same as before, a rollback and its reason included."""
    roll_back(town)
    before = (town.registry.versions(), town.registry.history(), town.champion)
    assert ["promote", "promote", "rollback"] == [move.kind for move in town.registry.history()]
    town.registry.path.unlink()

    assert 0 == ask(town, "rebuild")
    assert before == (town.registry.versions(), town.registry.history(), town.champion)


@pytest.mark.parametrize("damage", [b"", b"not a database " * 400, None])
def test_a_damaged_registry_is_told_and_rebuilt(
    town: Town, damage: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Emptied, overwritten or with holes: one sentence and an exit code, then the same registry again."""
    before = (town.registry.versions(), town.registry.history())
    data = bytearray(town.registry.path.read_bytes())
    data[4096:9000] = bytes(4904)
    town.registry.path.write_bytes(bytes(data) if damage is None else damage)

    assert 2 == ask(town, "history")
    complaint = capsys.readouterr().err
    assert "townlet registry rebuild" in complaint
    assert 1 == complaint.count("\n")
    assert 0 == ask(town, "rebuild")
    assert before == (town.registry.versions(), town.registry.history())


def test_the_journals_alone_tell_every_promotion(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """Without database and ledger the same versions and moves come back; only clock times are the journal's.

    A rollback after the last promotion would have left no trace, so that doubt is told and a yes is asked for.
    """
    before = (without_times(town.registry.versions()), without_times(town.registry.history()), town.champion)
    town.registry.path.unlink()
    town.registry.ledger.path.unlink()

    assert 2 == ask(town, "rebuild")
    assert "a policy that was withdrawn may come into force again" in capsys.readouterr().err
    assert 0 == ask(town, "rebuild", "--accept-loss")
    assert before == (without_times(town.registry.versions()), without_times(town.registry.history()), town.champion)


def test_rebuilding_twice_gives_the_same_bytes_of_ledger(town: Town) -> None:
    """The order follows the evidence in the journals, not the directory or the clock."""
    ledgers = []
    for _ in range(2):
        town.registry.path.unlink()
        town.registry.ledger.path.unlink()
        assert 0 == ask(town, "rebuild", "--accept-loss")
        ledgers.append(town.registry.ledger.path.read_bytes())
    assert ledgers[0] == ledgers[1]


def test_a_rollback_that_nobody_wrote_down_is_not_invented(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """The promotion after it shows that it happened; the person and the reason are lost, so a yes is asked for."""
    roll_back(town)
    assert town.walk("straight").champion_moved
    champion = town.champion
    town.registry.path.unlink()
    town.registry.ledger.path.unlink()

    assert 2 == ask(town, "rebuild")
    assert "was rolled back to version 1; by whom and why is lost" in capsys.readouterr().err
    assert not town.registry.path.exists()

    assert 0 == ask(town, "rebuild", "--accept-loss")
    assert champion == town.champion
    assert [("promote", 1), ("promote", 2), ("rollback", 1), ("promote", 3)] == [
        (move.kind, move.version) for move in town.registry.history()
    ]


def test_a_promotion_whose_run_is_gone_is_missed(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """The second promotion expected weights that no journal brought into force."""
    shutil.rmtree(town.run(0).path)
    town.registry.path.unlink()
    town.registry.ledger.path.unlink()

    assert 2 == ask(town, "rebuild")
    assert "no journal and no ledger says how that came into force" in capsys.readouterr().err


def test_a_broken_journal_is_named_before_anything_is_replaced(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """What it would have told is not guessed."""
    before = town.registry.path.read_bytes()
    journal = town.run(0).journal
    journal.write_bytes(journal.read_bytes().replace(b"capture", b"capturE", 1))

    assert 2 == ask(town, "rebuild")
    assert f"{journal}: record" in capsys.readouterr().err
    assert before == town.registry.path.read_bytes()


def test_a_registry_in_use_is_not_replaced(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process is in a transaction: exit code 4, and everything is as it was."""
    before = town.registry.path.read_bytes()
    patient = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *words, **named: patient(*words, **{**named, "timeout": 0.01}))
    with closing(patient(town.registry.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert 4 == ask(town, "rebuild")
        assert 4 == ask(town, "rollback", "given", "--reason", "r")
    assert before == town.registry.path.read_bytes()
    assert not list(town.home.glob(".registry-*"))


@pytest.mark.parametrize("harm", ["missing", "damaged", "acting otherwise"])
def test_nothing_is_rolled_back_to_unfit_weights(town: Town, harm: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Weights that are gone, changed on disk, or that act otherwise than when they were stored."""
    champion, first = town.champion, town.registry.versions()[0].weights
    path = town.blobs.path(first)
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\x41")

    assert 2 == ask(town, "rollback", "given", "--reason", "queues grew")
    assert first[:12] in capsys.readouterr().err
    assert champion == town.champion
    assert 2 == len(town.registry.history())


def test_a_rollback_wants_a_reason(town: Town) -> None:
    """An empty one is refused, and so is a line that does not exist."""
    assert 2 == ask(town, "rollback", "given", "--reason", " ")
    assert 2 == ask(town, "rollback", "nobody", "--reason", "r")
    assert 2 == len(town.registry.history())


def test_a_candidate_that_is_damaged_before_it_is_promoted_moves_nothing_until_it_is_repaired(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blob is changed on disk between evidence and promotion: the visit stays open, the champion stays."""
    from townlet.policy.training.strategies.release import PromoteStrategy

    prepare, sound = PromoteStrategy.prepare, {}

    def harmed(self: PromoteStrategy, context: object) -> None:
        path = town.blobs.path(context.input("candidate"))  # type: ignore[attr-defined]
        sound[path] = path.read_bytes()
        path.write_bytes(sound[path][:-1] + b"\x7f")
        prepare(self, context)  # type: ignore[arg-type]

    roll_back(town)
    champion = town.champion
    monkeypatch.setattr(PromoteStrategy, "prepare", harmed)
    with pytest.raises(UnfitInputError, match="is damaged"):
        town.walk("straight")
    assert champion == town.champion

    monkeypatch.undo()
    for path, data in sound.items():
        path.write_bytes(data)
    assert "done" == town.facade("straight").resume().state
    assert champion != town.champion


def test_a_version_is_shown_by_alias_and_by_number(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """Both name the same record; what does not exist is told."""
    assert 0 == ask(town, "show", "given@champion", "--json")
    by_alias = json.loads(capsys.readouterr().out)
    assert 0 == ask(town, "show", "given@2", "--json")
    assert by_alias == json.loads(capsys.readouterr().out)
    assert town.champion == by_alias["weights"]
    for odd in ("given", "given@", "@champion", "given@9", "given@nobody", "other@1"):
        assert 2 == ask(town, "show", odd)


def test_a_run_elsewhere_counts(tmp_path: Path) -> None:
    """A run created outside the home tells its promotion too."""
    town = Town(tmp_path / "home")
    assert town.walk("slow", directory=tmp_path / "elsewhere").champion_moved
    before = without_times(town.registry.versions())
    town.registry.path.unlink()
    town.registry.ledger.path.unlink()

    assert 0 == ask(town, "rebuild", "--accept-loss")
    assert before == without_times(town.registry.versions())


def test_a_lost_ledger_costs_no_rollback_that_the_database_holds(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rollback is named and taken over with a yes; a promotion of no run is named and left out."""
    roll_back(town)
    champion = town.champion
    forge(
        town,
        "INSERT INTO moves SELECT 4, name, alias, 'promote', 2, 1, evidence, 'nobody', head, actor, reason, at "
        "FROM moves WHERE move = 2",
    )
    town.registry.ledger.path.unlink()

    assert 2 == ask(town, "history")
    assert 2 == ask(town, "rebuild")
    complaint = capsys.readouterr().err
    assert "move 3 of the database (rollback of 'champion' of 'given' by 'ada') to version 1" in complaint
    assert "stands in no ledger and no journal: it is left out" in complaint
    assert 0 == ask(town, "rebuild", "--accept-loss")
    assert champion == town.champion
    assert ["promote", "promote", "rollback"] == [move.kind for move in town.registry.history()]


def forge(town: Town, statement: str) -> None:
    """Run a statement on the database, as anyone may who can write the file."""
    with closing(sqlite3.connect(town.registry.path)) as connection:
        connection.execute(statement)
        connection.commit()
