"""Tests of counts are exact: they keep their error for every rate, and say nothing where nothing happened."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as some
from scipy import stats

from townlet.confidence.counts import (
    EventCounts,
    dispersion,
    event_counts,
    higher_rate_p_value,
    lower_rate_p_value,
    rate_bounds,
    rate_difference_bounds,
    rate_ratio_bounds,
    sign_flip_p_value,
    total_dispersion,
)

ALPHAS = some.sampled_from([0.05, 0.0083, 0.001])
COUNTS = some.builds(
    EventCounts,
    events=some.integers(0, 60),
    exposure=some.floats(0.1, 100),
    baseline_events=some.integers(0, 60),
    baseline_exposure=some.floats(0.1, 100),
)


def counts(events: int, baseline_events: int, exposure: float = 1.0, baseline_exposure: float = 1.0) -> EventCounts:
    """Return counts over exposures that are 1 unless stated."""
    return EventCounts(
        events=events,
        exposure=exposure,
        baseline_events=baseline_events,
        baseline_exposure=baseline_exposure,
    )


@given(COUNTS, some.floats(0.1, 10))
def test_the_p_values_are_scipy_s_binomial_test(seen: EventCounts, ratio: float) -> None:
    """Given their total, the candidate's events are binomial with the share that ratio and exposures give it."""
    assume(seen.total > 0)
    share = ratio * seen.exposure / (ratio * seen.exposure + seen.baseline_exposure)
    for p, side in ((lower_rate_p_value(seen, ratio), "less"), (higher_rate_p_value(seen, ratio), "greater")):
        assert p == pytest.approx(stats.binomtest(seen.events, seen.total, share, alternative=side).pvalue, rel=1e-6)


@given(COUNTS, ALPHAS, some.floats(0.05, 20))
def test_a_ratio_is_rejected_exactly_where_it_is_outside_its_bound(
    seen: EventCounts, alpha: float, ratio: float
) -> None:
    """Bound and p-value are two views of one test."""
    low, high = rate_ratio_bounds(seen, alpha)
    below, above = lower_rate_p_value(seen, ratio), higher_rate_p_value(seen, ratio)
    assume(not math.isclose(below, alpha, rel_tol=1e-6) and not math.isclose(above, alpha, rel_tol=1e-6))
    assert (below < alpha) == (high < ratio)
    assert (above < alpha) == (low > ratio)


@given(COUNTS, ALPHAS)
def test_swapping_the_sides_inverts_the_ratio_and_turns_the_difference(seen: EventCounts, alpha: float) -> None:
    """The test has no favourite."""
    turned = counts(seen.baseline_events, seen.events, seen.baseline_exposure, seen.exposure)
    low, high = rate_ratio_bounds(seen, alpha)
    other_low, other_high = rate_ratio_bounds(turned, alpha)
    assert (1 / high if high else math.inf, 1 / low if low else math.inf) == pytest.approx((other_low, other_high))
    least, most = rate_difference_bounds(seen, alpha)
    assert rate_difference_bounds(turned, alpha) == pytest.approx((-most, -least))


@given(COUNTS, ALPHAS)
def test_the_bounds_enclose_the_rates_that_were_seen(seen: EventCounts, alpha: float) -> None:
    """Rates, their ratio and their difference lie between their bounds."""
    rate, base = seen.events / seen.exposure, seen.baseline_events / seen.baseline_exposure
    low, high = rate_bounds(seen.events, seen.exposure, alpha)
    assert low <= rate <= high
    low, high = rate_difference_bounds(seen, alpha)
    assert low <= rate - base <= high
    if base:
        low, high = rate_ratio_bounds(seen, alpha)
        assert low <= rate / base * (1 + 1e-9)
        assert rate / base <= high * (1 + 1e-9)


@pytest.mark.parametrize(("rate", "base"), [(0.5, 0.5), (3.0, 3.0), (0.2, 4.0), (6.0, 1.0)])
def test_no_bound_errs_more_often_than_declared(rate: float, base: float) -> None:
    """All pairs of Poisson counts up to 40, weighted by their chances: exact, no simulation."""
    alpha, exposure = 0.05, 2.0
    errors = [0.0] * 4
    for x, y in product(range(40), repeat=2):
        chance = float(stats.poisson.pmf(x, rate * exposure) * stats.poisson.pmf(y, base))
        if chance < 1e-12:
            continue
        seen = counts(x, y, exposure, 1.0)
        ratios, differences = rate_ratio_bounds(seen, alpha), rate_difference_bounds(seen, alpha)
        missed = (
            ratios[0] > rate / base,
            ratios[1] < rate / base,
            differences[0] > rate - base,
            differences[1] < rate - base,
        )
        errors = [error + chance * miss for error, miss in zip(errors, missed, strict=True)]
    assert all(error <= alpha for error in errors)


def test_without_events_nothing_is_said_of_the_ratio() -> None:
    """Zero deaths against zero prove no ratio, but they bound the difference: the rule of three for half of α."""
    nothing = counts(0, 0, 50.0, 50.0)
    assert (0.0, math.inf) == rate_ratio_bounds(nothing, 0.05)
    assert (1.0, 1.0) == (lower_rate_p_value(nothing, 1.0), higher_rate_p_value(nothing, 1.0))
    bound = -math.log(0.025) / 50
    assert rate_difference_bounds(nothing, 0.05) == pytest.approx((-bound, bound))
    assert rate_bounds(0, 50.0, 0.05) == pytest.approx((0.0, -math.log(0.05) / 50))


def test_events_on_one_side_only_bound_one_side_only() -> None:
    """5 deaths of the baseline and none of the candidate: its share is below 1 − 0.05^(1 ÷ 5) with confidence 95 %."""
    low, high = rate_ratio_bounds(counts(0, 5), 0.05)
    share = 1 - 0.05 ** (1 / 5)
    assert (0.0, share / (1 - share)) == pytest.approx((low, high))
    assert math.inf == rate_ratio_bounds(counts(5, 0), 0.05)[1]


def test_few_events_can_decide_where_many_episodes_have_none() -> None:
    """3 events against 18 over equal exposure: less than half the baseline's rate at 95 %."""
    assert lower_rate_p_value(counts(3, 18), 0.5) < 0.05
    assert lower_rate_p_value(counts(3, 18), 0.4) > 0.05


@given(some.lists(some.integers(-4, 4), max_size=8))
def test_flipped_signs_are_counted_one_by_one(differences: list[int]) -> None:
    """All 2ⁿ ways to swap the sides of the episodes, listed."""
    sums = [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in product((-1, 1), repeat=len(differences))
    ]
    expected = sum(total <= sum(differences) for total in sums) / len(sums)
    assert sign_flip_p_value(differences) == pytest.approx(expected)


def test_one_episode_in_which_all_die_is_one_event() -> None:
    """20 deaths in one of the baseline's episodes: 20 independent events would prove it worse, one episode does not."""
    assert lower_rate_p_value(counts(0, 20), 1.0) < 1e-5
    assert 0.5 == sign_flip_p_value([0] * 39 + [-20])


EPISODES = some.lists(some.tuples(some.integers(0, 9), some.integers(0, 9)), min_size=1, max_size=12)


@given(some.integers(1, 9), some.lists(some.booleans(), min_size=2, max_size=30))
def test_deaths_that_come_together_are_as_many_as_their_causes(together: int, sides: list[bool]) -> None:
    """K deaths in each wipe-out, all on one side or the other: dispersion k, and one independent event each."""
    own, other = [together * side for side in sides], [together * (not side) for side in sides]
    ones = [1.0] * len(sides)
    seen = event_counts(own, other, ones, ones)
    assert seen.dispersion == pytest.approx(together)
    assert seen.independent == pytest.approx((sum(sides), len(sides) - sum(sides)))
    one_by_one = counts(sum(sides), len(sides) - sum(sides), len(sides), len(sides))
    assert rate_ratio_bounds(seen, 0.05) == pytest.approx(rate_ratio_bounds(one_by_one, 0.05))
    assert lower_rate_p_value(seen, 1.5) == pytest.approx(lower_rate_p_value(one_by_one, 1.5))


def test_wipe_outs_of_the_baseline_alone_are_seen_as_clusters() -> None:
    """Two wipe-outs of 8 against none prove nothing: chance 1 in 4 that both are the same side's."""
    ones = [1.0] * 40
    seen = event_counts([0] * 40, [8, 8] + [0] * 38, ones, ones)
    assert (8.0, 8.0) == pytest.approx((seen.dispersion, seen.total_dispersion), rel=0.1)
    assert lower_rate_p_value(seen, 1.0) == pytest.approx(0.25)


def test_single_deaths_do_not_hide_a_wipe_out() -> None:
    """8 deaths at once beside 8 single ones: 64 + 8 squares over 16 events, not the mean of one 8 and eight ones."""
    own, other = [8, *[1, 0] * 4], [0, *[0, 1] * 4]
    assert dispersion(own, other, [1.0] * 9, [1.0] * 9) == pytest.approx((64 + 8) / 16)


@given(EPISODES)
def test_dispersion_has_no_favourite_and_widens_every_bound(episodes: list[tuple[int, int]]) -> None:
    """Swapped sides have the same; both factors are 1 at least."""
    own, other = zip(*episodes, strict=True)
    exposures = [1.0 + i for i in range(len(own))]
    twice = [2 * exposure for exposure in exposures]
    here = dispersion(own, other, exposures, twice)
    assert here == pytest.approx(dispersion(other, own, twice, exposures))
    assert min(here, total_dispersion(own, other, exposures, twice)) >= 1
    wide, plain = event_counts(own, other, exposures, twice), counts(sum(own), sum(other), sum(exposures), sum(twice))
    for of in (rate_ratio_bounds, rate_difference_bounds):
        (low, high), (plain_low, plain_high) = of(wide, 0.01), of(plain, 0.01)
        assert low <= plain_low + 1e-9
        assert high >= plain_high * (1 - 1e-9) - 1e-9


def test_events_that_occur_one_by_one_have_dispersion_of_about_1() -> None:
    """Poisson counts in episodes of unlike danger: the share is not dispersed, the total is."""
    source = np.random.default_rng(1)
    danger = source.gamma(2.0, 2.0, 4000)
    own, other = source.poisson(danger).tolist(), source.poisson(3 * danger).tolist()
    ones, thrice = [1.0] * 4000, [3.0] * 4000
    assert dispersion(own, other, ones, thrice) == pytest.approx(1.0, abs=0.1)
    assert total_dispersion(own, other, ones, thrice) == pytest.approx(1 + 4 * 2.0, rel=0.1)
    assert (1.0, 1.0) == (dispersion([0], [0], [1.0], [1.0]), total_dispersion([3], [4], [0.0], [0.0]))


def test_counts_and_ratios_that_are_none_are_refused() -> None:
    """A rate needs an exposure, and a ratio of 0 is no limit."""
    with pytest.raises(ValueError, match="0 events"):
        counts(-1, 0)
    for exposure in (0.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="exposure above 0"):
            counts(1, 1, exposure)
    with pytest.raises(ValueError, match="dispersions of 1 or more"):
        EventCounts(events=1, exposure=1.0, baseline_events=1, baseline_exposure=1.0, dispersion=0.5)
    with pytest.raises(ValueError, match="ratio of rates above 0"):
        lower_rate_p_value(counts(1, 1), 0.0)
