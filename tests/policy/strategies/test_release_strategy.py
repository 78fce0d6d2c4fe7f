"""Without torch: weights made in numpy walk capture → evaluate → promote, and worse ones → rollback → hold."""

import hashlib
from pathlib import Path

import pytest
from ridge_weights import promote_weights, ridge

from townlet.dto.policy import EvaluationResult
from townlet.errors import BadInputError
from townlet.store.registry.registry import Registry


def test_good_weights_from_outside_are_promoted(tmp_path: Path) -> None:
    """A ridge fit of the straight walker beats the random teacher."""
    summary = promote_weights(tmp_path, ridge("straight"))
    assert ["capture", "evaluate", "promote"] == [stage.state for stage in summary.stages]
    assert summary.champion_moved
    champion = Registry(tmp_path / "home" / "registry.sqlite").champion("given", "champion")
    assert champion is not None
    assert hashlib.sha256(ridge("straight")).hexdigest() == champion.weights


def test_worse_weights_are_rolled_back_and_the_run_holds_where_there_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    """No champion yet: the rollback has no target, so an operator is asked."""
    summary = promote_weights(tmp_path, ridge("astray"))
    assert ["capture", "evaluate"] == [stage.state for stage in summary.stages if stage.result.duration >= 0][:2]
    assert ("hold", False) == (summary.state, summary.champion_moved)
    assert "nothing to roll back to" in summary.reason


def test_worse_weights_are_rolled_back_to_the_champion(tmp_path: Path) -> None:
    """After a promotion the rollback proves the champion's weights."""
    good = promote_weights(tmp_path, ridge("straight"))
    summary = promote_weights(tmp_path, ridge("astray"))
    assert ["capture", "evaluate", "rollback"] == [stage.state for stage in summary.stages]
    assert "hold" == summary.state
    assert good.weights == summary.stages[-1].result.weights
    champion = Registry(tmp_path / "home" / "registry.sqlite").champion("given", "champion")
    assert champion is not None
    assert good.weights == champion.weights


def test_a_candidate_equal_to_the_champion_is_not_promoted(tmp_path: Path) -> None:
    """All differences are zero, which is not better."""
    promote_weights(tmp_path, ridge("straight"))
    summary = promote_weights(tmp_path, ridge("straight"))
    assert summary.champion_moved is False
    (evaluation,) = (stage.result for stage in summary.stages if stage.state == "evaluate")
    assert isinstance(evaluation, EvaluationResult)


@pytest.mark.parametrize(
    ("data", "scenario", "message"),
    [
        (b"not weights", "plain", "w.safetensors: not a safetensors file"),
        (ridge("straight"), "narrow", "weights for 6 features, but corridor/narrow has 5"),
    ],
)
def test_unfit_weights_leave_nothing_behind(tmp_path: Path, data: bytes, scenario: str, message: str) -> None:
    """Unreadable or of another width: refused before the run directory exists."""
    with pytest.raises(BadInputError, match=message):
        promote_weights(tmp_path, data, scenario)
    assert not (tmp_path / "home").exists()
