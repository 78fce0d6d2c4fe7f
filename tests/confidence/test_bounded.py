"""Bounds that assume only limits hold for ugly laws, over all looks where they bet, and are wider than t."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy import stats

from townlet.confidence.bounded import betting_bounds, empirical_bernstein_bounds
from townlet.estimate import bounds

SHARES = some.lists(some.floats(0, 1), min_size=2, max_size=60)
ALPHAS = some.sampled_from([0.05, 0.0083, 0.001])
Method = Callable[..., tuple[float, float]]
METHODS = pytest.mark.parametrize("method", [empirical_bernstein_bounds, betting_bounds])


def test_the_empirical_bernstein_bound_is_that_of_the_paper() -> None:
    """100 values, half of them 0 and half 1: s² = 25/99."""
    logarithm = math.log(2 / 0.05)
    width = math.sqrt(2 * 25 / 99 * logarithm / 100) + 7 * logarithm / (3 * 99)
    assert empirical_bernstein_bounds([0.0, 1.0] * 50, 0.05) == pytest.approx((0.5 - width, 0.5 + width))


def test_the_capital_of_the_bet_is_at_its_limit_at_the_bound() -> None:
    """The stakes of the paper, written out episode by episode; just below the bound the capital reaches 1 ÷ α."""
    values, alpha = [0.9, 0.8, 1.0, 0.7, 0.95, 0.85] * 6, 0.05
    low, _ = betting_bounds(values, alpha)

    def most(m: float) -> float:
        capital, best, mean, spread = 1.0, 1.0, 0.5, 0.25
        for i, x in enumerate(values, start=1):
            stake = math.sqrt(2 * math.log(1 / alpha) / (spread * i * math.log(1 + i)))
            capital *= 1 + min(stake, 0.5 / m) * (x - m)
            best = max(best, capital)
            mean = (0.5 + sum(values[:i])) / (i + 1)
            spread = (spread * i + (x - mean) ** 2) / (i + 1)
        return best

    assert 0.4 < low < 0.85
    assert most(low - 1e-6) >= 1 / alpha > most(low + 1e-6)


@METHODS
@given(values=SHARES, alpha=ALPHAS)
def test_bounds_stay_within_the_limits_and_are_mirrored(method: Method, values: list[float], alpha: float) -> None:
    """Successes and failures have the same doubt, and no share is above 1."""
    low, high = method(values, alpha)
    assert 0.0 <= low <= high <= 1.0
    assert method([1 - x for x in values], alpha) == pytest.approx((1 - high, 1 - low), abs=1e-9)


@METHODS
@given(values=SHARES, alpha=ALPHAS)
def test_other_limits_only_rescale(method: Method, values: list[float], alpha: float) -> None:
    """Differences of shares lie between −1 and 1."""
    low, high = method(values, alpha)
    scaled = method([2 * x - 1 for x in values], alpha, -1.0, 1.0)
    assert scaled == pytest.approx((2 * low - 1, 2 * high - 1), abs=1e-6)


@given(values=some.lists(some.floats(0, 1), min_size=3, max_size=60), alpha=ALPHAS)
def test_more_episodes_never_widen_the_bounds_of_a_bet(values: list[float], alpha: float) -> None:
    """What was once excluded stays excluded, so looks need no division of the error."""
    before, after = betting_bounds(values[:-1], alpha), betting_bounds(values, alpha)
    assert before[0] <= after[0] + 1e-12
    assert after[1] <= before[1] + 1e-12


@METHODS
def test_bounds_hold_where_the_t_bound_does_not(method: Method) -> None:
    """Attendance collapses in 5 % of episodes: 13 % of samples of 40 hold none, and t errs in nearly all of these."""
    samples = np.where(np.random.default_rng(4).random((1000, 40)) < 0.05, 0.0, 0.97)
    samples += np.random.default_rng(5).uniform(-0.02, 0.02, samples.shape).clip(min=-samples)
    truth = 0.95 * 0.97 + 0.05 * 0.005
    lows = np.array([method(sample.tolist(), 0.05)[0] for sample in samples])
    student = np.array([bounds(sample.tolist(), 0.05)[0] for sample in samples])
    assert (lows > truth).sum() <= stats.binom.ppf(0.999, 1000, 0.05)
    assert (student > truth).sum() > 100


def test_betting_is_sharper_than_bernstein() -> None:
    """300 shares near 0.9, though the bet holds at every look and Bernstein's bound at one."""
    values = np.random.default_rng(6).beta(18, 2, 300).tolist()
    bet, bernstein, student = (
        method(values, 0.05)[0] for method in (betting_bounds, empirical_bernstein_bounds, bounds)
    )
    assert bernstein < bet < student


@METHODS
def test_values_outside_the_limits_are_refused(method: Method) -> None:
    """A bound that trusts its limits must check them; what is not a number is outside them."""
    for wrong in ([0.5, 1.2], [0.5, -0.1], [math.nan, 0.5]):
        with pytest.raises(ValueError, match=r"values from 0\.0 to 1\.0"):
            method(wrong, 0.05)
    with pytest.raises(ValueError, match="at least 2"):
        method([0.5], 0.05)
    with pytest.raises(ValueError, match="alpha"):
        method([0.5, 0.5], 0.7)
