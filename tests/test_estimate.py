"""The estimates agree with scipy's distributions and with small cases worked by hand."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as some
from scipy import stats

from townlet.estimate import bounds, detectable_difference, iqm, paired, pass_chance, probability_of_improvement

FLOATS = some.floats(-1e3, 1e3)


def test_paired_differences_have_the_textbook_mean_and_deviation() -> None:
    """1, 2, 3, 4 have mean 2.5 and variance 5/3."""
    seen = paired([1.0, 2.0, 3.0, 4.0])
    assert (seen.mean, seen.n, seen.degenerate) == (2.5, 4, False)
    assert seen.sd == pytest.approx(math.sqrt(5 / 3))


def test_equal_differences_are_flagged_even_when_rounding_parts_them() -> None:
    """X + 0.1 − x is not the same float for every x, but it is the same difference."""
    seen = paired([(x + 0.1) - x for x in (0.3, 1.7, 5.0, 11.1)])
    assert seen.degenerate
    assert seen.sd == 0.0


def test_no_differences_and_nan_are_refused() -> None:
    """A mean of nothing is not a number, and NaN never passes silently."""
    with pytest.raises(ValueError, match="at least 1"):
        paired([])
    with pytest.raises(ValueError, match="finite"):
        paired([1.0, math.nan])


@given(some.lists(FLOATS, min_size=3, max_size=40), some.sampled_from([0.05, 0.01, 0.0025]))
def test_bounds_are_the_t_interval_of_scipy(differences: list[float], alpha: float) -> None:
    """A one-sided pair at α is the two-sided interval at 1 − 2α."""
    assume(not paired(differences).degenerate and stats.sem(differences) > 0)  # scipy's own spread may underflow
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
