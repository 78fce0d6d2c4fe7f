"""Versions never change, aliases move by compare-and-set, and every move stays in the history."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from townlet.dto.codec import structure
from townlet.dto.registry import AliasMove, Version
from townlet.errors import BadInputError, ChampionMovedError, EnvironmentFaultError
from townlet.store.registry import Registry

FACTS = {"environment": "e" * 64, "features": "hunger hygiene", "actions": "wait move"}
RACER = """
import sys
from pathlib import Path
from townlet.errors import ChampionMovedError
from townlet.store.registry import Registry
path, me = Path(sys.argv[1]), sys.argv[2]
sys.stdin.readline()
try:
    version = Registry(path).promote(
        "town", "champion", target=me, expected=None, evidence="ev", run=me, head="h", facts={}
    )
    sys.stdout.write(f"won {version.version}")
except ChampionMovedError as error:
    sys.stdout.write(f"told {error}")
"""


def _promote(
    registry: Registry, target: str, expected: str | None, run: str = "run-1", evidence: str = "ev"
) -> Version:
    return registry.promote(
        "town", "champion", target=target, expected=expected, evidence=evidence, run=run, head="head", facts=FACTS
    )


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """An empty registry."""
    return Registry(tmp_path / "home" / "registry.sqlite")


def test_a_registry_that_is_only_read_is_not_created(registry: Registry) -> None:
    """Questions to a missing file are answered with nothing, and nothing appears on disk."""
    assert registry.champion("town", "champion") is None
    assert () == registry.history()
    assert () == registry.versions()
    assert not registry.path.parent.exists()


def test_the_first_promotion_names_version_one(registry: Registry) -> None:
    """Everything given is kept, and the alias names the new version."""
    version = _promote(registry, "w1", None)

    assert version == registry.champion("town", "champion")
    assert (1, "w1", "ev", "run-1", "head", FACTS) == (
        version.version,
        version.weights,
        version.evidence,
        version.run,
        version.head,
        version.facts,
    )
    assert registry.champion("town", "other") is None
    assert registry.champion("other", "champion") is None


def test_promotion_is_refused_where_the_alias_names_something_else(registry: Registry) -> None:
    """The refusal says what is in force, and neither a version nor a move is left behind."""
    _promote(registry, "w1", None)

    with pytest.raises(ChampionMovedError, match="names the weights w1, expected nothing"):
        _promote(registry, "w2", None, run="run-2")

    assert ["w1"] == [version.weights for version in registry.versions()]
    assert 1 == len(registry.history())


def test_a_promotion_repeated_by_its_run_happens_once(registry: Registry) -> None:
    """After a crash between the move and its record, the same promotion answers the same version."""
    first = _promote(registry, "w1", None)

    assert first == _promote(registry, "w1", None)
    assert 1 == len(registry.history())


def test_only_the_same_run_and_evidence_may_repeat(registry: Registry) -> None:
    """Equal weights from another run, or on other evidence, are another promotion and must name the champion."""
    _promote(registry, "w1", None)

    with pytest.raises(ChampionMovedError):
        _promote(registry, "w1", None, run="run-2")
    with pytest.raises(ChampionMovedError):
        _promote(registry, "w1", None, evidence="other")
    assert 2 == _promote(registry, "w1", "w1", run="run-2").version


def test_history_tells_every_move(registry: Registry) -> None:
    """Moves come oldest first, each with what it replaced and what it stands on."""
    _promote(registry, "w1", None)
    _promote(registry, "w2", "w1", run="run-2", evidence="ev-2")
    registry.rollback("town", "champion", actor="ada", reason="queues grew")

    told = [(m.move, m.kind, m.weights, m.previous, m.evidence, m.actor, m.reason) for m in registry.history()]
    assert [
        (1, "promote", "w1", None, "ev", "run run-1", "promoted by its run"),
        (2, "promote", "w2", "w1", "ev-2", "run run-2", "promoted by its run"),
        (3, "rollback", "w1", "w2", None, "ada", "queues grew"),
    ] == told
    assert registry.history("town", "champion") == registry.history()
    assert () == registry.history("other")


def test_rolling_back_walks_down_the_promotions(registry: Registry) -> None:
    """Two rollbacks go two promotions back, never up again; at the bottom it is refused."""
    _promote(registry, "w1", None)
    _promote(registry, "w2", "w1")
    _promote(registry, "w3", "w2")

    assert "w2" == registry.rollback("town", "champion", actor="ada", reason="r").weights
    assert "w1" == registry.rollback("town", "champion", actor="ada", reason="r").weights
    with pytest.raises(BadInputError, match="only version 1 was ever in force"):
        registry.rollback("town", "champion", actor="ada", reason="r")
    assert "w4" == _promote(registry, "w4", "w1").weights


def test_records_of_the_registry_survive_their_dump(registry: Registry) -> None:
    """What the command line prints as JSON reads back as the same record."""
    version = _promote(registry, "w1", None)
    (move,) = registry.history()

    assert version == structure(version.model_dump(), Version)
    assert move == structure(move.model_dump(), AliasMove)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE versions SET weights = 'x'",
        "DELETE FROM versions",
        "UPDATE moves SET actor = 'x'",
        "DELETE FROM moves",
    ],
)
def test_the_file_itself_refuses_changes(registry: Registry, statement: str) -> None:
    """Versions and history are immutable for every program that opens the file, not for this class alone."""
    _promote(registry, "w1", None)

    with closing(sqlite3.connect(registry.path)) as connection:
        with pytest.raises(sqlite3.IntegrityError, match="immutable"):
            connection.execute(statement)
        connection.rollback()


def test_of_two_processes_one_wins_and_one_is_told(tmp_path: Path) -> None:
    """Both saw no champion; exactly one promotion happens, and the loser learns who won."""
    path = tmp_path / "registry.sqlite"
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("ada", "bob")
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    answers = {name: racer.communicate() for name, racer in zip(("ada", "bob"), racers, strict=True)}

    champion = Registry(path).champion("town", "champion")
    assert champion is not None
    winner, loser = ("ada", "bob") if champion.weights == "ada" else ("bob", "ada")
    assert ("won 1", "") == answers[winner]
    assert f"names the weights {winner}, expected nothing" in answers[loser][0]
    assert 1 == len(Registry(path).history())


def test_a_registry_held_by_another_process_is_told(registry: Registry) -> None:
    """A transaction that does not end in time is a fault that leaves a run as it is, to be resumed."""
    _promote(registry, "w1", None)
    with closing(sqlite3.connect(registry.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        impatient = Registry(registry.path, patience=0.01)
        with pytest.raises(EnvironmentFaultError, match="locked"):
            impatient.champion("town", "champion")
        with pytest.raises(EnvironmentFaultError, match="locked"):
            _promote(impatient, "w2", "w1")


def test_a_file_that_is_no_registry_is_told(tmp_path: Path) -> None:
    """Text, a directory, another program's database and a later schema get one sentence each."""
    text = tmp_path / "text"
    text.write_text("not a database, but long enough to be taken for the header of one " * 20)
    foreign = tmp_path / "foreign"
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE shopping (item TEXT)")
    later = Registry(tmp_path / "later")
    _promote(later, "w1", None)
    with closing(sqlite3.connect(later.path)) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(BadInputError, match="not a sound registry"):
        Registry(text).champion("town", "champion")
    with pytest.raises(EnvironmentFaultError, match="cannot be used now"):
        Registry(tmp_path).versions()
    with pytest.raises(BadInputError, match="another program"):
        _promote(Registry(foreign), "w1", None)
    with pytest.raises(BadInputError, match="schema version 99, expected 1"):
        later.history()


def test_nothing_moves_to_weights_that_are_not_proven(registry: Registry) -> None:
    """Promotion and rollback ask first; a refusal leaves neither version nor move nor ledger line."""

    def prove(digest: str) -> None:
        if digest == "rotten":
            raise BadInputError("the weights do not act as they did")

    _promote(registry, "rotten", None)
    _promote(registry, "w2", "rotten")
    wary = Registry(registry.path, prove=prove)

    with pytest.raises(BadInputError, match="do not act"):
        _promote(wary, "rotten", "w2", run="run-2")
    with pytest.raises(BadInputError, match="do not act"):
        wary.rollback("town", "champion", actor="ada", reason="r")
    assert (
        ["rotten", "w2"]
        == [move.weights for move in registry.history()]
        == [booking.version.weights for booking in registry.ledger.read()]
    )


def test_a_read_only_registry_is_read_and_refuses_to_move() -> None:
    """One sentence, nothing changed."""
    with TemporaryDirectory() as directory:
        registry = Registry(Path(directory) / "registry.sqlite")
        _promote(registry, "w1", None)
        before = registry.ledger.path.read_bytes()
        Path(directory).chmod(0o555)
        for file in Path(directory).iterdir():
            file.chmod(0o444)
        asked = [sys.executable, "-c", READ_ONLY, str(registry.path)]
        done = subprocess.run(asked, capture_output=True, text=True, check=False)
        Path(directory).chmod(0o755)

        assert ("w1 ResourceFaultError", "") == (done.stdout.strip(), done.stderr)
        assert before == registry.ledger.path.read_bytes()


READ_ONLY = """
import os, sys
from pathlib import Path
from townlet.errors import TownletError
from townlet.store.registry import Registry
if os.getuid() == 0:
    os.setuid(65534)  # root may write what is read-only
found = Registry(Path(sys.argv[1]), patience=0.1)
sys.stdout.write(found.champion("town", "champion").weights)
try:
    found.promote("town", "champion", target="w2", expected="w1", evidence=None, run="r", head="h", facts={})
except TownletError as error:
    sys.stdout.write(" " + type(error).__name__)
"""


class Moves(RuleBasedStateMachine):
    """Any mixture of promotions and rollbacks, against a plain list of what is in force."""

    def __init__(self) -> None:
        """Begin with an empty registry in memory of the test's own directory."""
        super().__init__()
        self.directory = TemporaryDirectory()
        self.registry = Registry(Path(self.directory.name) / "registry.sqlite")
        self.standing: list[str] = []
        self.count = 0

    @rule(weights=st.sampled_from("abc"), expected=st.sampled_from([None, "a", "b", "c"]))
    def promote(self, weights: str, expected: str | None) -> None:
        """Succeeds exactly where the expected weights are in force."""
        self.count += 1
        if expected == (self.standing[-1] if self.standing else None):
            _promote(self.registry, weights, expected, run=f"run-{self.count}")
            self.standing.append(weights)
        else:
            with pytest.raises(ChampionMovedError):
                _promote(self.registry, weights, expected, run=f"run-{self.count}")

    @rule()
    def roll_back(self) -> None:
        """Succeeds exactly where a promotion came before."""
        if len(self.standing) > 1:
            self.standing.pop()
            back = self.registry.rollback("town", "champion", actor="ada", reason="r")
            assert self.standing[-1] == back.weights
        else:
            with pytest.raises(BadInputError):
                self.registry.rollback("town", "champion", actor="ada", reason="r")

    @invariant()
    def the_champion_is_what_stands(self) -> None:
        """The alias names the top of the list."""
        champion = self.registry.champion("town", "champion")
        assert (self.standing[-1] if self.standing else None) == (champion.weights if champion else None)

    def teardown(self) -> None:
        """Remove the file."""
        self.directory.cleanup()


TestMoves = Moves.TestCase
TestMoves.settings = settings(max_examples=10, stateful_step_count=12, deadline=None)
