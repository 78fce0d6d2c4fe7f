"""Versions never change, aliases move by compare-and-set, and every move stays in the history."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from promoting import FACTS, promote

from townlet.dto.codec import structure
from townlet.dto.registry import AliasMove, Version
from townlet.errors import BadInputError, ChampionMovedError
from townlet.store.registry.registry import Registry


def test_the_first_promotion_names_version_one(registry: Registry) -> None:
    """Everything given is kept, and the alias names the new version."""
    version = promote(registry, "w1", None)

    assert version == registry.champion("town", "champion")
    assert (1, "w1", "ev", "run-1", "head", FACTS) == (
        version.version,
        version.weights,
        version.evidence,
        version.run,
        version.head,
        version.metadata,
    )
    assert registry.champion("town", "other") is None
    assert registry.champion("other", "champion") is None


def test_promotion_is_refused_where_the_alias_names_something_else(registry: Registry) -> None:
    """The refusal says what is in force, and neither a version nor a move is left behind."""
    promote(registry, "w1", None)

    with pytest.raises(ChampionMovedError, match="names the weights w1, expected nothing"):
        promote(registry, "w2", None, run="run-2")

    assert ["w1"] == [version.weights for version in registry.versions()]
    assert 1 == len(registry.history())


def test_a_promotion_repeated_by_its_run_happens_once(registry: Registry) -> None:
    """After a crash between the move and its record, the same promotion answers the same version."""
    first = promote(registry, "w1", None)

    assert first == promote(registry, "w1", None)
    assert 1 == len(registry.history())


def test_only_the_same_run_and_evidence_may_repeat(registry: Registry) -> None:
    """Equal weights from another run, or on other evidence, are another promotion and must name the champion."""
    promote(registry, "w1", None)

    with pytest.raises(ChampionMovedError):
        promote(registry, "w1", None, run="run-2")
    with pytest.raises(ChampionMovedError):
        promote(registry, "w1", None, evidence="other")
    assert 2 == promote(registry, "w1", "w1", run="run-2").version


def test_history_tells_every_move(registry: Registry) -> None:
    """Moves come oldest first, each with what it replaced and what it stands on."""
    promote(registry, "w1", None)
    promote(registry, "w2", "w1", run="run-2", evidence="ev-2")
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
    promote(registry, "w1", None)
    promote(registry, "w2", "w1")
    promote(registry, "w3", "w2")

    assert "w2" == registry.rollback("town", "champion", actor="ada", reason="r").weights
    assert "w1" == registry.rollback("town", "champion", actor="ada", reason="r").weights
    with pytest.raises(BadInputError, match="only version 1 was ever in force"):
        registry.rollback("town", "champion", actor="ada", reason="r")
    assert "w4" == promote(registry, "w4", "w1").weights


def test_records_of_the_registry_survive_their_dump(registry: Registry) -> None:
    """What the command line prints as JSON reads back as the same record."""
    version = promote(registry, "w1", None)
    (move,) = registry.history()

    assert version == structure(version.model_dump(), Version)
    assert move == structure(move.model_dump(), AliasMove)


def test_nothing_moves_to_weights_that_are_not_proven(registry: Registry) -> None:
    """Promotion and rollback ask first; a refusal leaves neither version nor move nor ledger line."""

    def verify(digest: str) -> None:
        if digest == "rotten":
            raise BadInputError("the weights do not act as they did")

    promote(registry, "rotten", None)
    promote(registry, "w2", "rotten")
    wary = Registry(registry.path, verify=verify)

    with pytest.raises(BadInputError, match="do not act"):
        promote(wary, "rotten", "w2", run="run-2")
    with pytest.raises(BadInputError, match="do not act"):
        wary.rollback("town", "champion", actor="ada", reason="r")
    assert (
        ["rotten", "w2"]
        == [move.weights for move in registry.history()]
        == [entry.version.weights for entry in registry.ledger.read()]
    )


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
            promote(self.registry, weights, expected, run=f"run-{self.count}")
            self.standing.append(weights)
        else:
            with pytest.raises(ChampionMovedError):
                promote(self.registry, weights, expected, run=f"run-{self.count}")

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
