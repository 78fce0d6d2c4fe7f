"""`compare` treats an episode in which only one side has exposure as a guard does: as evidence, not as a gap."""

from typing import Any

import numpy as np
import pytest
from attrs import evolve
from corridor import Corridor, CorridorProvider, Walker
from numpy.typing import NDArray

from townlet.dto.boundary import ObservationBatchDTO, StepResult
from townlet.dto.comparison import ComparisonResult, MetricComparison
from townlet.policy.evaluation.comparison import NamedPolicy, compare
from townlet.ports import Tallies

RESTING = (3, 17)
"""Episodes in which the resting candidate leaves no exposure behind."""


class Gone(Corridor):
    """The return has no exposure in two episodes if both agents only ever rest in them."""

    metric, lost = 0, 0.0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.moved = np.zeros(self.worlds, np.bool_)

    def step(self, actions: NDArray[np.int64]) -> StepResult:
        """Walk one step."""
        self.moved |= (actions != 0).any((1, 2))
        return super().step(actions)

    def tallies(self) -> Tallies:
        """Return sums and exposures."""
        tallies = super().tallies()
        exposures = tallies.exposures.copy()
        exposures[self.metric, ~self.moved & np.isin(self.world_ids, RESTING)] = self.lost
        return evolve(tallies, exposures=exposures)


class Invalid(Gone):
    """No valid number instead."""

    lost = np.nan


class Resting(Walker):
    """Walks straight, but rests for ever in some worlds."""

    def act(self, observations: ObservationBatchDTO) -> NDArray[np.int64]:
        """Return actions."""
        actions = super().act(observations)
        actions[list(RESTING)] = 0
        return actions


def compared(kind: type[Corridor], missing: Any = None, *, swapped: bool = False) -> ComparisonResult:
    """Return the comparison of the resting walker with one who rests every third hour, over 40 episodes."""
    resting, lazy = (
        NamedPolicy(name="teacher:resting", policy=Resting("straight")),
        NamedPolicy(name="teacher:lazy", policy=Walker("lazy")),
    )
    candidate, baseline = (lazy, resting) if swapped else (resting, lazy)
    return compare(
        CorridorProvider(kind),
        "plain",
        candidate,
        baseline,
        episodes=40,
        days=1,
        seed=0,
        confidence=0.975,
        actions="greedy",
        missing=missing,
    )


def numbers(row: MetricComparison) -> set[float | None]:
    """Return what a comparison measured."""
    return {row.candidate, row.baseline, row.difference, row.low, row.high, row.probability_of_improvement}


@pytest.mark.parametrize("swapped", [False, True])
def test_a_kpi_that_one_side_lacks_in_some_episodes_is_not_known(*, swapped: bool) -> None:
    """The episodes are named; the other KPIs are known."""
    side = "baseline" if swapped else "candidate"
    row, *others = compared(Gone, swapped=swapped).metrics

    assert {None} == numbers(row)
    assert f"the {side} alone has no exposure in 2 episodes (3, 17)" == row.problem
    assert (RESTING, ()) == (row.candidate_missing, row.baseline_missing)[:: -1 if swapped else 1]
    assert 38 == row.pairs
    assert all(not other.problem and None not in numbers(other) for other in others)


def test_what_such_episodes_count_as_can_be_stated() -> None:
    """Dropped, the resting walker looks better than it is; at the worst of all values less so."""
    dropped, worst = compared(Gone, "drop").metrics[0], compared(Gone, "worst").metrics[0]

    assert (38, 40) == (dropped.pairs, worst.pairs)
    assert None not in numbers(dropped) | numbers(worst)
    assert dropped.difference is not None
    assert worst.difference is not None
    assert worst.difference < dropped.difference
    assert RESTING == worst.candidate_missing


@pytest.mark.parametrize("missing", [None, "worst", "drop"])
def test_an_invalid_number_leaves_a_kpi_unknown_whatever_is_stated(missing: str | None) -> None:
    """It is no missing exposure: the environment is wrong."""
    row, *others = compared(Invalid, missing).metrics

    assert {None} == numbers(row)
    assert "the candidate has no valid number in 2 episodes (3, 17)" == row.problem
    assert all(not other.problem for other in others)


def test_episodes_that_neither_side_has_exposure_in_are_left_out() -> None:
    """They tell nothing about either."""
    resting = NamedPolicy(name="teacher:resting", policy=Resting("straight"))
    result = compare(
        CorridorProvider(Gone),
        "plain",
        resting,
        resting,
        episodes=40,
        days=1,
        seed=0,
        confidence=0.975,
        actions="greedy",
    )
    assert (38, 0.0, "") == (result.metrics[0].pairs, result.metrics[0].difference, result.metrics[0].problem)
