"""Shares of bad episodes have exact bounds, and the episodes that exclude a share are known beforehand."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as some
from scipy import stats

from townlet.confidence.spending import Spending, spent_at_looks
from townlet.confidence.tails import (
    episodes_beyond,
    episodes_worse,
    excluded_shares,
    least_episodes,
    share_bounds,
    share_bounds_at_looks,
)
from townlet.estimate import undetected_rate

ALPHAS = some.sampled_from([0.05, 0.0083, 0.001])
RULES: tuple[Spending, ...] = ("obrien_fleming", "pocock", "bonferroni")
SEEN = some.integers(1, 200).flatmap(lambda n: some.tuples(some.integers(0, n), some.just(n)))


@given(SEEN, ALPHAS)
def test_the_bounds_are_scipy_s_exact_interval(seen: tuple[int, int], alpha: float) -> None:
    """Two one-sided bounds at α are the two-sided interval at 1 − 2α."""
    interval = stats.binomtest(*seen).proportion_ci(1 - 2 * alpha, method="exact")
    assert share_bounds(*seen, alpha) == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-9)


@given(SEEN, ALPHAS)
def test_good_and_bad_episodes_have_mirrored_bounds(seen: tuple[int, int], alpha: float) -> None:
    """The share of good ones is 1 − that of bad ones."""
    (bad, episodes), (low, high) = seen, share_bounds(*seen, alpha)
    assert share_bounds(episodes - bad, episodes, alpha) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize("share", [0.01, 0.05, 0.3])
def test_no_bound_errs_more_often_than_declared(share: float) -> None:
    """Summed over all counts of 60 episodes."""
    chances = stats.binom.pmf(range(61), 60, share)
    bounds = [share_bounds(bad, 60, 0.05) for bad in range(61)]
    assert sum(chance for chance, (_, high) in zip(chances, bounds, strict=True) if high < share) <= 0.05
    assert sum(chance for chance, (low, _) in zip(chances, bounds, strict=True) if low > share) <= 0.05


@pytest.mark.parametrize("rule", RULES)
def test_bounds_over_looks_keep_the_error_together(rule: Spending) -> None:
    """Of all results of looks at 20 and 60 episodes, at most 5 % have an upper bound below the truth."""
    share, missed = 0.1, 0.0
    first, later = stats.binom(20, share), stats.binom(40, share)
    for early in range(21):
        for late in range(41):
            bad = [True] * early + [False] * (20 - early) + [True] * late + [False] * (40 - late)
            if any(row.high < share for row in share_bounds_at_looks(bad, (20, 60), 0.05, rule)):
                missed += float(first.pmf(early) * later.pmf(late))
    assert missed <= 0.05


def test_a_look_counts_the_episodes_up_to_it() -> None:
    """One bad episode among the first 20, two among 60; a look that is not reached has no row."""
    bad = [False] * 19 + [True] * 2 + [False] * 59
    rows = share_bounds_at_looks(bad, (20, 60, 100), 0.05, "pocock")
    levels = spent_at_looks(0.05, (20, 60, 100), "pocock")
    assert [(20, 1, levels[0]), (60, 2, levels[1])] == [(row.episodes, row.bad, row.level) for row in rows]
    assert [share_bounds(1, 20, levels[0]), share_bounds(2, 60, levels[1])] == [(row.low, row.high) for row in rows]


@given(some.floats(0.001, 0.9), some.floats(0.001, 0.5))
def test_the_fewest_episodes_without_a_bad_one_follow_from_logarithms(share: float, alpha: float) -> None:
    """⌈log α ÷ log(1 − p)⌉, and `undetected_rate` is its inverse."""
    quotient = math.log(alpha) / math.log1p(-share)
    assume(abs(quotient - round(quotient)) > 1e-6)
    episodes = least_episodes(share, alpha)
    assert math.ceil(quotient) == episodes
    assert undetected_rate(episodes, alpha) <= share < undetected_rate(episodes - 1, alpha) if episodes > 1 else True


@given(some.floats(0.005, 0.5), ALPHAS, some.integers(0, 5))
def test_one_episode_less_does_not_exclude_the_share(share: float, alpha: float, bad: int) -> None:
    """The upper bound is at most the share at this number of episodes, and above it just before."""
    episodes = least_episodes(share, alpha, bad)
    assert share_bounds(bad, episodes, alpha)[1] <= share * (1 + 1e-9)
    assert share_bounds(bad, max(episodes - 1, bad), alpha)[1] > share * (1 - 1e-9)


def test_59_episodes_exclude_one_in_twenty() -> None:
    """The rule of three: 3 ÷ 5 % is 60; with one bad episode it takes 93."""
    assert 59 == least_episodes(0.05, 0.05)
    assert 93 == least_episodes(0.05, 0.05, bad=1)
    assert 299 == least_episodes(0.01, 0.05)


@given(some.sampled_from(RULES), ALPHAS)
def test_a_look_excludes_the_share_of_its_own_error(rule: Spending, alpha: float) -> None:
    """It is the upper bound where no episode is bad."""
    rows = share_bounds_at_looks([False] * 96, (32, 96), alpha, rule)
    assert excluded_shares((32, 96), alpha, rule) == pytest.approx(tuple(row.high for row in rows))


def test_a_look_without_error_excludes_nothing() -> None:
    """At 1 of 50,000 episodes nothing is spent."""
    assert 1.0 == excluded_shares((1, 50_000), 0.05, "obrien_fleming")[0]
    assert (0.0, 1.0) == share_bounds(0, 1, 0.0)


def test_bad_episodes_are_those_beyond_a_limit_in_the_worse_direction() -> None:
    """At the limit is not beyond it; what is not a number is."""
    assert [True, False, False, True] == episodes_beyond([1.0, 2.0, 3.0, math.nan], 2.0, 1.0)
    assert [False, False, True, True] == episodes_beyond([1.0, 2.0, 3.0, math.nan], 2.0, -1.0)


def test_an_episode_is_compared_with_the_baseline_s_same_episode() -> None:
    """Worse by more than 2; exactly 2 is not more."""
    assert [True, False, False] == episodes_worse([1.0, 1.0, 9.0], [4.0, 3.0, 4.0], 2.0, 1.0)
    assert [False, False, True] == episodes_worse([1.0, 1.0, 9.0], [4.0, 3.0, 4.0], 2.0, -1.0)


def test_the_rounding_of_a_difference_does_not_make_it_worse() -> None:
    """1.1 − 1.0 is more than 0.1 in floating point, and no more than that."""
    assert [False, True] == episodes_worse([1.1, 1.11], [1.0, 1.0], 0.1, -1.0)
    assert [False, True] == episodes_worse([0.1, math.nan], [0.1 + 0.2 - 0.2, 1.0], 0.0, 1.0)


def test_without_episodes_the_share_can_be_anything() -> None:
    """No episode, no bound; more bad ones than episodes are refused, and so are shares and errors that are none."""
    assert (0.0, 1.0) == share_bounds(0, 0, 0.05)
    for bad, episodes in ((3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="bad episodes"):
            share_bounds(bad, episodes, 0.05)
    with pytest.raises(ValueError, match="alpha"):
        share_bounds(0, 1, 0.6)
    with pytest.raises(ValueError, match="a share above 0"):
        least_episodes(0.0, 0.05)
    with pytest.raises(ValueError, match="alpha"):
        least_episodes(0.5, 0.0)
