"""Bootstrap intervals over runs and episodes."""

import numpy as np
import pytest

from townlet.confidence.bootstrap import improvement, interquartile_mean
from townlet.estimate import iqm, probability_of_improvement
from townlet.rng import seed_sequence


def _runs(count: int, episodes: int, key: str) -> list[np.ndarray]:
    rng = np.random.default_rng(seed_sequence(5, key))
    return [effect + rng.normal(0, 1, episodes) for effect in rng.normal(0, 3, count)]


def test_the_statistics_are_those_of_all_episodes() -> None:
    """Both agree with the exact functions, ties and quarter weights included; the interval is around them."""
    runs = [np.array([1.0, 2.0, 2.0, 5.0, 9.0]), np.array([2.0, 3.0])]
    others = [np.array([2.0, 4.0, 1.0])]
    every = [float(value) for run in runs for value in run]
    found = interquartile_mean(runs, 0.05, "key")
    assert pytest.approx(iqm(every)) == found.value
    assert found.low <= found.value <= found.high
    chance = improvement(runs, others, 0.05, "key")
    assert pytest.approx(probability_of_improvement(every, [2.0, 4.0, 1.0])) == chance.value


def test_the_draws_depend_on_the_key_alone() -> None:
    """One key, one interval; another key draws others."""
    runs = _runs(3, 20, "draws")
    assert interquartile_mean(runs, 0.05, "a") == interquartile_mean(runs, 0.05, "a")
    assert interquartile_mean(runs, 0.05, "a").low != interquartile_mean(runs, 0.05, "b").low


def test_five_runs_are_drawn_whole_and_four_are_strata() -> None:
    """Runs differ three times as much as their episodes: only where runs are drawn does the interval show it."""
    five = _runs(5, 30, "strata")
    whole, strata = interquartile_mean(five, 0.05, "a"), interquartile_mean(five[:4], 0.05, "a")
    assert whole.high - whole.low > 3 * (strata.high - strata.low)


def test_the_interval_over_five_runs_is_too_narrow_and_the_page_says_so() -> None:
    """Of 200 replications of five normal runs, about 87 % of the 95 % intervals hold the truth, not 95 %."""
    held = 0
    for place in range(200):
        runs = _runs(5, 8, f"coverage {place}")
        found = interquartile_mean(runs, 0.05, "a")
        held += found.low <= 0 <= found.high
    assert 0.78 < held / 200 < 0.93


def test_a_run_without_episodes_is_refused() -> None:
    """Nothing can be drawn from it."""
    with pytest.raises(ValueError, match="at least one episode in each run"):
        interquartile_mean([np.array([1.0]), np.array([])], 0.05, "a")
