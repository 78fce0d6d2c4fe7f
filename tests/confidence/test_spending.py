"""Boundaries of group-sequential tests: published ones, the multivariate normal, and what each rule promises."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy import stats

from townlet.confidence.spending import (
    Spending,
    crossing_probabilities,
    looks_are_valid,
    nominal_levels,
    spent_at_looks,
    spent_error,
)

FIVE = (20, 40, 60, 80, 100)
RULES: tuple[Spending, ...] = ("obrien_fleming", "pocock", "bonferroni")
LOOKS = some.lists(some.integers(20, 400), min_size=1, max_size=6, unique=True).map(sorted)
ALPHAS = some.sampled_from([0.05, 0.025, 0.05 / 3, 0.001])


def boundaries(levels: tuple[float, ...]) -> list[float]:
    """Return the standard normal values whose upper tails are these levels."""
    return [float(stats.norm.isf(level)) for level in levels]


def stays_within(z: list[float], looks: tuple[int, ...], lower: list[float] | None = None) -> float:
    """Return the chance that Z₁ … Z_K stay below z (and above `lower`): scipy's integral in K dimensions (Genz)."""
    n = np.array(looks, dtype=float)
    covariance = np.sqrt(np.minimum.outer(n, n) / np.maximum.outer(n, n))
    law = stats.multivariate_normal(cov=covariance, seed=7, abseps=1e-7, maxpts=400_000)
    return float(law.cdf(z, lower_limit=lower))


@pytest.mark.parametrize(
    ("rule", "published"),
    [
        ("obrien_fleming", [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]),
        ("pocock", [2.4380, 2.4268, 2.4101, 2.3966, 2.3859]),
    ],
)
def test_five_equal_looks_have_the_published_boundaries(rule: Spending, published: list[float]) -> None:
    """Lan and DeMets, one-sided 2.5 %; the published ones come from coarser grids and are off by up to 1.2e-4."""
    assert boundaries(nominal_levels(0.025, FIVE, rule)) == pytest.approx(published, abs=1.5e-4)


@pytest.mark.parametrize("rule", ["obrien_fleming", "pocock"])
@pytest.mark.parametrize("looks", [FIVE, (32, 96), (50, 60, 200), (400, 401)])
def test_the_error_spent_up_to_each_look_is_that_of_the_multivariate_normal(
    rule: Spending, looks: tuple[int, ...]
) -> None:
    """An integral without recursion finds the error that the rule allows, at equal, unequal and close looks."""
    z = boundaries(nominal_levels(0.025, looks, rule))
    for k in range(2, len(looks) + 1):
        spent = spent_error(0.025, looks[k - 1] / looks[-1], rule)
        assert 1 - stays_within(z[:k], looks[:k]) == pytest.approx(spent, abs=3e-6)


@pytest.mark.parametrize(
    ("constants", "shape"),
    [
        ({2: 2.178, 3: 2.289, 4: 2.361, 5: 2.413}, 0.5),
        ({2: 1.977, 3: 2.004, 4: 2.024, 5: 2.040}, 0.0),
    ],
    ids=["Pocock", "O'Brien-Fleming"],
)
def test_the_classical_tests_have_the_error_of_jennison_s_and_turnbull_s_tables(
    constants: dict[int, float], shape: float
) -> None:
    """Tables 2.1 and 2.3, two-sided 5 %: zₖ = C·(K ÷ k)^(½ − shape). Both sides hardly ever pass in one test."""
    for count, constant in constants.items():
        looks = tuple(range(1, count + 1))
        z = [constant * (count / look) ** (0.5 - shape) for look in looks]
        assert 1 - stays_within(z, looks, [-limit for limit in z]) == pytest.approx(0.05, abs=1e-4)
        levels = [float(stats.norm.sf(limit)) for limit in z]
        assert math.fsum(crossing_probabilities(looks, levels)) == pytest.approx(0.025, abs=5e-5)


def test_a_simulation_passes_as_often_as_the_recursion_says() -> None:
    """200,000 tests with a true difference of 0.1 standard deviations, look by look."""
    looks = (32, 64, 96)
    levels = nominal_levels(0.05, looks, "pocock")
    steps = np.random.default_rng(11).normal(0.1 * 32, math.sqrt(32), (200_000, 3))
    passes = steps.cumsum(axis=1) / np.sqrt(looks) >= boundaries(levels)
    first = [int((passes[:, k] & ~passes[:, :k].any(axis=1)).sum()) for k in range(3)]
    for seen, chance in zip(first, crossing_probabilities(looks, levels, 0.1), strict=True):
        assert stats.binomtest(seen, 200_000, chance).pvalue > 1e-3


@given(LOOKS, ALPHAS, some.sampled_from(RULES))
def test_looks_together_keep_the_error(looks: list[int], alpha: float, rule: Spending) -> None:
    """All of α is spent by the spending functions; Bonferroni leaves what the looks share."""
    total = math.fsum(crossing_probabilities(looks, nominal_levels(alpha, looks, rule)))
    assert total <= alpha * (1 + 1e-6)
    if rule != "bonferroni" or len(looks) == 1:
        assert total == pytest.approx(alpha, rel=1e-6)


@given(LOOKS, ALPHAS, some.sampled_from(RULES))
def test_what_is_spent_at_the_looks_adds_up(looks: list[int], alpha: float, rule: Spending) -> None:
    """Exact tests divide the same error, without what the looks share, so no level is above the normal test's."""
    spent = spent_at_looks(alpha, looks, rule)
    assert math.fsum(spent) == pytest.approx(alpha)
    assert all(own <= level + 1e-8 for own, level in zip(spent, nominal_levels(alpha, looks, rule), strict=True))


@given(ALPHAS, some.floats(1e-3, 1), some.floats(1e-3, 1), some.sampled_from(RULES))
def test_spending_grows_to_all_of_the_error(alpha: float, one: float, other: float, rule: Spending) -> None:
    """Later there is never less spent, and at the end all is."""
    assert spent_error(alpha, min(one, other), rule) <= spent_error(alpha, max(one, other), rule)
    assert spent_error(alpha, 1.0, rule) == pytest.approx(alpha)


@given(some.integers(2, 8), some.integers(10, 50), ALPHAS)
def test_o_brien_and_fleming_s_rule_is_stricter_early(count: int, step: int, alpha: float) -> None:
    """At looks of equal distance its levels grow, and its last is nearer to α than Pocock's."""
    looks = [step * look for look in range(1, count + 1)]
    levels = nominal_levels(alpha, looks, "obrien_fleming")
    assert all(earlier <= later for earlier, later in pairwise(levels))
    assert nominal_levels(alpha, looks, "pocock")[-1] <= levels[-1] <= alpha


@given(ALPHAS, some.integers(20, 200), some.sampled_from(RULES))
def test_one_look_has_all_of_the_error(alpha: float, look: int, rule: Spending) -> None:
    """Without a second look there is nothing to divide."""
    assert nominal_levels(alpha, [look], rule) == pytest.approx((alpha,))


@given(LOOKS, ALPHAS, some.integers(2, 9), some.sampled_from(RULES))
def test_only_fractions_count(looks: list[int], alpha: float, factor: int, rule: Spending) -> None:
    """Twice the episodes at each look leave the levels as they are."""
    scaled = nominal_levels(alpha, [factor * look for look in looks], rule)
    assert scaled == pytest.approx(nominal_levels(alpha, looks, rule), rel=1e-6)


def test_a_look_too_early_for_any_error_gets_none() -> None:
    """At 1 of 50,000 episodes O'Brien's and Fleming's share is below the smallest number, and the last keeps α."""
    levels = nominal_levels(0.05, (1, 50_000), "obrien_fleming")
    assert levels[0] == 0.0
    assert levels[1] == pytest.approx(0.05)


def test_a_look_that_always_passes_leaves_nothing_to_later_ones() -> None:
    """Level 1 is passed by every statistic, level 0 by none."""
    assert (1.0, 0.0) == pytest.approx(crossing_probabilities((20, 40), (1.0, 0.5)))
    assert (0.0, 0.5) == pytest.approx(crossing_probabilities((20, 40), (0.0, 0.5)))


def test_looks_that_do_not_increase_are_refused() -> None:
    """So are none, and errors and fractions that are no shares."""
    assert looks_are_valid([1, 2])
    for looks in ([], [0, 20], [20, 20], [40, 20]):
        assert not looks_are_valid(looks)
        with pytest.raises(ValueError, match="each with more episodes"):
            nominal_levels(0.05, looks, "pocock")
    with pytest.raises(ValueError, match="alpha"):
        nominal_levels(0.6, [20], "bonferroni")
    with pytest.raises(ValueError, match="fraction"):
        spent_error(0.05, 1.5, "pocock")
