"""The estimates agree with scipy's distributions and with small cases worked by hand."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as some
from scipy import stats

from townlet.estimate import (
    bounds,
    common_value,
    correlation,
    detectable_difference,
    iqm,
    pair_sizes,
    paired,
    paired_bounds,
    pairing_gain,
    pass_chance,
    probability_of_improvement,
    undetected_rate,
    worst_case_pairs,
)

FLOATS = some.floats(-1e3, 1e3)


def test_paired_differences_have_the_textbook_mean_and_deviation() -> None:
    """1, 2, 3, 4 have mean 2.5 and variance 5/3."""
    seen = paired([1.0, 2.0, 3.0, 4.0])
    assert (seen.mean, seen.n) == (2.5, 4)
    assert seen.sd == pytest.approx(math.sqrt(5 / 3))


def test_no_differences_and_nan_are_refused() -> None:
    """A mean of nothing is not a number, and NaN never passes silently."""
    with pytest.raises(ValueError, match="at least 1"):
        paired([])
    with pytest.raises(ValueError, match="finite"):
        paired([1.0, math.nan])


@given(some.lists(FLOATS, min_size=3, max_size=40), some.sampled_from([0.05, 0.01, 0.0025]))
def test_bounds_are_the_t_interval_of_scipy(differences: list[float], alpha: float) -> None:
    """A one-sided pair at α is the two-sided interval at 1 − 2α."""
    assume(stats.sem(differences) > 0)  # scipy's own spread may underflow
    low, high = stats.t.interval(1 - 2 * alpha, len(differences) - 1, stats.tmean(differences), stats.sem(differences))
    assert bounds(differences, alpha) == pytest.approx((low, high), rel=1e-6, abs=1e-6)


@given(some.lists(FLOATS, min_size=2, max_size=30))
def test_the_order_of_episodes_never_changes_a_bound(differences: list[float]) -> None:
    """Sums are exactly rounded."""
    turned = sorted(differences)
    assert bounds(differences, 0.05) == bounds(turned, 0.05)


def test_the_interquartile_mean_drops_the_outer_quarters() -> None:
    """Of eight values the middle four count; of six, the second and fifth count half."""
    assert iqm([100.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -100.0]) == 3.5
    assert iqm([0.0, 2.0, 4.0, 6.0, 8.0, 100.0]) == pytest.approx((0.5 * 2 + 4 + 6 + 0.5 * 8) / 3)


def test_the_probability_of_improvement_counts_couples_and_halves_ties() -> None:
    """Couples of {1, 2} against {1, 0}: one tie, three wins."""
    assert probability_of_improvement([1.0, 2.0], [1.0, 0.0]) == 3.5 / 4


@pytest.mark.parametrize(("pairs", "alpha"), [(20, 0.05), (50, 0.00625), (100, 0.00625)])
def test_the_detectable_difference_is_found_with_the_power_it_names(pairs: int, alpha: float) -> None:
    """The noncentral t distribution confirms it."""
    difference = detectable_difference(pairs, alpha, 0.8)
    critical = stats.t.isf(alpha, pairs - 1)
    assert stats.nct.sf(critical, pairs - 1, difference * math.sqrt(pairs)) == pytest.approx(0.8, abs=1e-6)
    assert pass_chance(pairs, alpha, difference) == pytest.approx(0.8, abs=1e-6)


def test_an_equal_policy_passes_a_plain_comparison_with_chance_alpha() -> None:
    """At margin 0 the noncentral t is the t."""
    assert pass_chance(40, 0.01, 0.0) == pytest.approx(0.01)


def test_alpha_and_power_out_of_range_are_refused() -> None:
    """Neither 0 nor more than a half is a one-sided level."""
    with pytest.raises(ValueError, match="alpha"):
        bounds([1.0, 2.0], 0.0)
    with pytest.raises(ValueError, match="power"):
        detectable_difference(20, 0.05, 1.0)


@given(some.lists(some.tuples(some.floats(1e-6, 1e9), some.integers(-3, 3)), min_size=2, max_size=40), some.booleans())
def test_differences_of_rounding_are_no_differences(values: list[tuple[float, int]], negative: bool) -> None:
    """Values that are a few units in the last place apart are equal, whatever their size and sign."""
    baselines = [-value if negative else value for value, _ in values]
    candidates = [baseline + steps * math.ulp(baseline) for baseline, (_, steps) in zip(baselines, values, strict=True)]
    assert (0.0, 0.0) == paired_bounds(candidates, baselines, 0.05)


@given(some.lists(some.floats(1, 1e6), min_size=2, max_size=40), some.floats(0.01, 10))
def test_a_difference_that_all_pairs_share_is_found_through_rounding(baselines: list[float], shift: float) -> None:
    """X + 0.1 − x is not the same float for every x, but it is the same difference."""
    differences = [(baseline + shift) - baseline for baseline in baselines]
    found = common_value(differences, pair_sizes([b + shift for b in baselines], baselines), 0.0)
    assert found is not None
    assert found == pytest.approx(shift, abs=2e-9 * (max(baselines) + shift))


def test_sums_that_cancel_out_are_equal_up_to_the_rounding_of_their_terms() -> None:
    """0.1 + 0.2 − 0.3 in one episode of many is not more than 0."""
    values, baselines = [0.1 + 0.2 - 0.3, 1.0, 2.0, -1.5], [0.0, 1.0, 2.0, -1.5]
    assert (0.0, 0.0) == paired_bounds(values, baselines, 0.05)


def test_one_large_value_does_not_make_small_differences_equal() -> None:
    """Each pair is judged by its own size."""
    assert common_value([0.4, 0.6, 0.0], pair_sizes([1.4, 1.6, 1e12], [1.0, 1.0, 1e12]), 0.0) is None


def test_missing_values_are_filled_in_against_the_candidate() -> None:
    """The worst for the candidate, the best for the baseline; an episode that nobody has is no pair."""
    values, baselines = [1.0, None, 3.0, None], [2.0, 5.0, None, None]
    assert [(1.0, 2.0), (1.0, 5.0), (3.0, 5.0)] == worst_case_pairs(values, baselines, 1.0)
    assert [(1.0, 2.0), (5.0, 5.0), (3.0, 1.0)] == worst_case_pairs(values, baselines, -1.0)


def test_the_undetected_rate_is_the_rule_of_three() -> None:
    """An event with this rate stays out of all episodes in one of twenty samples."""
    assert (1 - undetected_rate(100)) ** 100 == pytest.approx(0.05)
    assert undetected_rate(1000) == pytest.approx(3 / 1000, rel=0.01)


@given(some.lists(some.tuples(FLOATS, FLOATS), min_size=3, max_size=40))
def test_pairing_gains_episodes_exactly_where_the_correlation_is_positive(pairs: list[tuple[float, float]]) -> None:
    """s²_d = s²ₓ + s²_b − 2ρ·sₓ·s_b, so the gain is 1 ÷ (1 − 2ρ·sₓ·s_b ÷ (s²ₓ + s²_b))."""
    values, baselines = [x for x, _ in pairs], [b for _, b in pairs]
    own, other, rho = paired(values), paired(baselines), correlation(values, baselines)
    assume(min(own.sd, other.sd) > 1e-3)
    assert rho == pytest.approx(stats.pearsonr(values, baselines).statistic, abs=1e-6)
    gain, share = pairing_gain(values, baselines), 2 * rho * own.sd * other.sd / (own.sd**2 + other.sd**2)
    if share < 1 - 1e-6:
        assert gain == pytest.approx(1 / (1 - share), rel=1e-3)
    assert (gain > 1) == (rho > 0) or abs(share) < 1e-6


def test_pairs_that_differ_by_the_same_need_no_further_episodes() -> None:
    """Without pairs no number of episodes gives an interval without width; where nothing varies there is no gain."""
    assert math.inf == pairing_gain([1.0, 2.0, 3.0], [0.5, 1.5, 2.5])
    assert math.inf == pairing_gain([0.1 + 0.2, 1.3, 2.0], [0.3, 1.3, 2.0])
    assert 1.0 == pairing_gain([1.0, 1.0], [2.0, 2.0])
    assert correlation([1.0, 1.0], [2.0, 3.0]) is None
    assert correlation([0.1 + 0.2, 0.3], [2.0, 3.0]) is None
