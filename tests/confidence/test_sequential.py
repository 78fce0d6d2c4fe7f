"""A group-sequential test reports bounds that hold at all looks, one p-value, and its power beforehand."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy import stats

from townlet.confidence.sequential import (
    error_per_visit,
    expected_episodes,
    repeated_bounds,
    sequential_detectable_difference,
    sequential_power,
    stagewise_p_value,
)
from townlet.confidence.skewness import skewness_corrected_bounds, skewness_corrected_p_value
from townlet.confidence.spending import Spending, nominal_levels, spent_error
from townlet.estimate import bounds, detectable_difference

LOOKS = (32, 64, 96)
RULES: tuple[Spending, ...] = ("obrien_fleming", "pocock", "bonferroni")


def test_bounds_at_each_look_are_the_corrected_bounds_at_its_level() -> None:
    """The first look uses the first 32 differences at its own level; looks that are not reached have no row."""
    differences = np.random.default_rng(1).normal(0.3, 1.0, 64).tolist()
    rows = repeated_bounds(differences, LOOKS, 0.05, "pocock")
    levels = nominal_levels(0.05, LOOKS, "pocock")
    assert [32, 64] == [row.episodes for row in rows]
    assert [
        skewness_corrected_bounds(differences[:look], level) for look, level in zip(LOOKS[:2], levels[:2], strict=True)
    ] == [(row.low, row.high) for row in rows]
    assert levels[:2] == tuple(row.level for row in rows)


def test_repeated_bounds_can_be_student_s() -> None:
    """The bounds of one look are passed in."""
    differences = np.random.default_rng(2).exponential(1.0, 32).tolist()
    (row,) = repeated_bounds(differences, [32], 0.05, "obrien_fleming", bounds)
    assert bounds(differences, 0.05) == pytest.approx((row.low, row.high))


def test_a_look_without_error_has_no_bounds() -> None:
    """Level 0 excludes nothing."""
    first, _ = repeated_bounds([1.0, 2.0, 4.0] * 20, (3, 60), 1e-300, "obrien_fleming")
    assert (0.0, -math.inf, math.inf) == (first.level, first.low, first.high)


def test_repeated_bounds_cover_the_truth_at_all_looks_together() -> None:
    """Of 4,000 normal sequences 5 % have a lower bound above their mean at any of the three looks."""
    samples = np.random.default_rng(5).standard_normal((4000, 96)).tolist()
    missed = sum(any(row.low > 0 for row in repeated_bounds(each, LOOKS, 0.05, "pocock")) for each in samples)
    assert stats.binomtest(missed, 4000, 0.05).pvalue > 1e-3


@given(some.integers(1, 3), some.floats(1e-6, 1 - 1e-6), some.sampled_from(["obrien_fleming", "pocock"]))
def test_a_look_passes_where_its_p_value_is_at_most_the_error_spent(taken: int, p: float, rule: Spending) -> None:
    """The p-value over all looks and the level of one look give the same verdict."""
    levels = nominal_levels(0.05, LOOKS, rule)
    over_all = stagewise_p_value(p, taken, LOOKS, levels)
    spent = spent_error(0.05, LOOKS[taken - 1] / LOOKS[-1], rule)
    if not math.isclose(p, levels[taken - 1], rel_tol=1e-6):
        assert (over_all < spent) == (p < levels[taken - 1])


@given(some.sampled_from(RULES), some.floats(1e-6, 0.999))
def test_an_earlier_look_is_the_more_extreme_result(rule: Spending, p: float) -> None:
    """A pass at one look has a smaller p-value than any result at the next."""
    levels = nominal_levels(0.05, LOOKS, rule)
    for earlier in (1, 2):
        passed = stagewise_p_value(levels[earlier - 1] * 0.999, earlier, LOOKS, levels)
        assert passed < stagewise_p_value(p, earlier + 1, LOOKS, levels)


def test_p_values_are_uniform_where_nothing_is_to_be_found() -> None:
    """3,000 tests of equal policies, each ended by its first look that passes or its last."""
    levels = nominal_levels(0.05, LOOKS, "pocock")
    sums = np.random.default_rng(8).normal(0.0, math.sqrt(32), (3000, 3)).cumsum(axis=1)
    tails = stats.norm.sf(sums / np.sqrt(LOOKS))
    passes = tails <= levels
    taken = np.where(passes.any(axis=1), passes.argmax(axis=1), 2)
    chosen = [(k, tails[i, k]) for i, k in enumerate(taken)]
    values = [stagewise_p_value(float(p), int(k) + 1, LOOKS, levels) for k, p in chosen]
    assert stats.kstest(values, "uniform").pvalue > 1e-3


def test_one_look_has_its_own_p_value() -> None:
    """Nothing came before it."""
    assert stagewise_p_value(0.0123, 1, [50], [0.05]) == pytest.approx(0.0123)
    with pytest.raises(ValueError, match="a look from 1 to 1"):
        stagewise_p_value(0.5, 2, [50], [0.05])


@given(some.lists(some.integers(-50, 50), min_size=3, max_size=40), some.integers(-60, 60), some.floats(1e-4, 0.5))
def test_the_p_value_and_the_lower_bound_agree(differences: list[int], limit: int, alpha: float) -> None:
    """The p-value is at most α exactly where the lower bound is at least the limit."""
    values = [float(x) for x in differences]
    p, (low, _) = skewness_corrected_p_value(values, limit), skewness_corrected_bounds(values, alpha)
    if not math.isclose(p, alpha, rel_tol=1e-6) and len(set(values)) > 1:
        assert (p < alpha) == (low > limit)


def test_equal_differences_are_above_the_limit_or_not() -> None:
    """Without variance there is no chance in it."""
    assert (0.0, 1.0, 1.0) == tuple(skewness_corrected_p_value([2.0] * 20, limit) for limit in (1.0, 2.0, 3.0))
    with pytest.raises(ValueError, match="at least 2"):
        skewness_corrected_p_value([1.0], 0.0)


def test_sharing_the_error_between_looks_finds_more() -> None:
    """At 0.2 standard deviations, looks of 32 and 96 and an error of 0.05 ÷ 3, by the normal distribution."""
    power = {rule: sequential_power((32, 96), nominal_levels(0.05 / 3, (32, 96), rule), 0.2) for rule in RULES}
    assert power["obrien_fleming"] == pytest.approx(0.433, abs=5e-4)
    assert power["bonferroni"] == pytest.approx(0.358, abs=5e-4)
    assert power["bonferroni"] < power["pocock"] < power["obrien_fleming"]


@given(some.sampled_from(RULES), some.floats(0.1, 0.99))
def test_the_detectable_difference_is_found_with_its_power(rule: Spending, power: float) -> None:
    """One is the inverse of the other."""
    levels = nominal_levels(0.05, LOOKS, rule)
    difference = sequential_detectable_difference(LOOKS, levels, power)
    assert sequential_power(LOOKS, levels, difference) == pytest.approx(power, abs=1e-6)


def test_one_long_look_detects_what_the_t_test_does() -> None:
    """At 2,000 pairs t is normal."""
    assert sequential_detectable_difference([2000], [0.01], 0.8) == pytest.approx(
        detectable_difference(2000, 0.01, 0.8), rel=2e-3
    )


def test_an_impossible_power_is_refused() -> None:
    """Below the error every difference is found often enough; certainty is never reached."""
    for power in (0.04, 1.0):
        with pytest.raises(ValueError, match="a power between"):
            sequential_detectable_difference(LOOKS, nominal_levels(0.05, LOOKS, "pocock"), power)


def test_a_large_difference_saves_episodes() -> None:
    """Without one a test nearly always needs all its looks; with a very large one only the first."""
    levels = nominal_levels(0.05, LOOKS, "pocock")
    used = [expected_episodes(LOOKS, levels, difference) for difference in (0.0, 0.3, 0.6, 3.0)]
    assert all(less > more for less, more in pairwise(used))
    assert 93 < used[0] < 96
    assert used[-1] == pytest.approx(32)


def test_each_visit_has_its_declared_share_of_the_error() -> None:
    """Half of 5 % at the first visit, a quarter at the next; shares of visits that cannot be are left over."""
    assert (0.025, 0.0125, 0.0125) == pytest.approx(error_per_visit(0.05, [0.5, 0.25, 0.25], 3))
    assert (0.025,) == pytest.approx(error_per_visit(0.05, [0.5, 0.25], 1))


@given(some.lists(some.integers(1, 1000), min_size=1, max_size=8), some.floats(1e-6, 0.5))
def test_no_sequence_of_shares_spends_more_than_the_error(weights: list[int], alpha: float) -> None:
    """However the error is divided, it is never exceeded."""
    shares = [weight / sum(weights) for weight in weights]
    assert math.fsum(error_per_visit(alpha, shares, len(shares))) <= alpha * (1 + 1e-9)


@pytest.mark.parametrize(
    ("shares", "visits", "reason"),
    [
        ([0.5], 2, "for each of 2 visits, found 1"),
        ([0.6, 0.5], 2, "at most 1 together"),
        ([1.0, 0.0], 2, "above 0"),
        ([math.nan], 1, "above 0"),
    ],
)
def test_shares_that_do_not_divide_the_error_are_refused(shares: list[float], visits: int, reason: str) -> None:
    """A visit without a share could never decide, and more than 1 is more than there is."""
    with pytest.raises(ValueError, match=reason):
        error_per_visit(0.05, shares, visits)
