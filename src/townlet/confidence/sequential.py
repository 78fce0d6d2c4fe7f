"""What a group-sequential test says after its looks: repeated bounds, a p-value, and its power beforehand.

C. Jennison and B. W. Turnbull (1989), "Interim analyses: the repeated confidence interval approach", Journal of the
Royal Statistical Society B 51; K. Fairbanks and R. Madsen (1982), "P values for tests using a repeated significance
test design", Biometrika 69 (the stage-wise ordering).
"""

import math
from collections.abc import Callable, Sequence

from attrs import frozen

from townlet.confidence.skewness import skewness_corrected_bounds
from townlet.confidence.spending import Spending, crossing_probabilities, nominal_levels

__all__ = [
    "LookBounds",
    "error_per_visit",
    "expected_episodes",
    "repeated_bounds",
    "sequential_detectable_difference",
    "sequential_power",
    "stagewise_p_value",
]

Bounds = Callable[[Sequence[float], float], tuple[float, float]]
"""The lower and the upper one-sided bound of a mean of differences at an error."""


@frozen(kw_only=True)
class LookBounds:
    """The bounds of the mean at one look; those of all looks hold together."""

    episodes: int
    """Episodes up to the look."""
    level: float
    """Significance level of the look's test."""
    low: float
    """Lower one-sided bound."""
    high: float
    """Upper one-sided bound."""


def repeated_bounds(
    differences: Sequence[float],
    looks: Sequence[int],
    alpha: float,
    spending: Spending,
    bounds: Bounds = skewness_corrected_bounds,
) -> tuple[LookBounds, ...]:
    """Return the bounds at each look that the differences reach, each side at confidence 1 − `alpha` over all looks.

    The chance that any look's lower bound is above the true mean is `alpha`, and so for the upper bounds, whether and
    why the test stopped. A look whose level is 0 in floating point has no bounds: −∞ and ∞.
    """
    rows = []
    for look, level in zip(looks, nominal_levels(alpha, looks, spending), strict=True):
        if look > len(differences):
            break
        low, high = bounds(differences[:look], level) if level > 0 else (-math.inf, math.inf)
        rows.append(LookBounds(episodes=look, level=level, low=low, high=high))
    return tuple(rows)


def stagewise_p_value(p_value: float, taken: int, looks: Sequence[int], levels: Sequence[float]) -> float:
    """Return the p-value of a test that ended at look `taken`, counted from 1, with the p-value of that look alone.

    p = P(an earlier look passes) + P(none does, and this look's statistic is at least what was seen), under H₀. A
    result is more extreme the earlier its look, and within a look the larger its statistic. It is uniform under H₀, and
    at most the error that is spent up to the look exactly where that look passes.
    """
    if not 1 <= taken <= len(looks):
        raise ValueError(f"expected a look from 1 to {len(looks)}, found {taken}")
    return math.fsum(crossing_probabilities(looks[:taken], [*levels[: taken - 1], p_value]))


def sequential_power(looks: Sequence[int], levels: Sequence[float], difference: float) -> float:
    """Return the chance that some look passes where the truth is `difference` standard deviations inside the limit.

    By the normal distribution: the t test finds it more rarely, at 32 pairs and a level of 0.01 by up to 0.04.
    """
    return math.fsum(crossing_probabilities(looks, levels, difference))


def expected_episodes(looks: Sequence[int], levels: Sequence[float], difference: float) -> float:
    """Return the mean number of episodes of a test that stops at its first look that passes; arguments as above."""
    chances = crossing_probabilities(looks, levels, difference)
    return looks[-1] - math.fsum((looks[-1] - look) * chance for look, chance in zip(looks, chances, strict=True))


def sequential_detectable_difference(looks: Sequence[int], levels: Sequence[float], power: float) -> float:
    """Return the true difference, in standard deviations, that the looks find with `power`, by bisection."""
    if not math.fsum(crossing_probabilities(looks, levels)) < power < 1:
        raise ValueError(f"expected a power between the error and 1, found {power}")
    low, high = 0.0, 1.0
    while sequential_power(looks, levels, high) < power:
        low, high = high, 2 * high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if sequential_power(looks, levels, middle) < power else (low, middle)
    return high


def error_per_visit(alpha: float, shares: Sequence[float], visits: int) -> tuple[float, ...]:
    """Return the error of each visit, by a declared sequence of shares: shareᵥ·`alpha`.

    By the union bound a run errs with chance `alpha` at most, whatever a visit's result has to do with those before.
    ValueError where the shares are fewer than the visits, one is not above 0, or they are more than 1 together.
    """
    if len(shares) < visits:
        raise ValueError(f"expected a share of the error for each of {visits} visits, found {len(shares)}")
    if not all(share > 0 for share in shares) or math.fsum(shares) > 1 + 1e-9:
        raise ValueError(f"expected shares above 0 that are at most 1 together, found {list(shares)}")
    return tuple(share * alpha for share in shares[:visits])
