"""Bounds of the mean of a bounded quantity that assume nothing but its limits, as a check beside the t bound.

A. Maurer and M. Pontil (2009), "Empirical Bernstein bounds and sample-variance penalization", COLT; I. Waudby-Smith and
A. Ramdas (2024), "Estimating means of bounded random variables by betting", Journal of the Royal Statistical Society
B 86. Both hold for every law within the limits and every number of episodes, and are wider than t bounds.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from townlet.estimate import paired

__all__ = [
    "betting_bounds",
    "empirical_bernstein_bounds",
]

_LARGEST_BET = 0.5
"""Share of its capital that a bet may lose."""
_STEPS = 60
"""Halvings of the interval in which a bound is searched."""


def empirical_bernstein_bounds(
    values: Sequence[float], alpha: float, low: float = 0.0, high: float = 1.0
) -> tuple[float, float]:
    """Return the lower and the upper one-sided bound of the mean, each at confidence 1 − `alpha` at one look.

    x̄ ∓ (√(2s²·ln(2 ÷ α) ÷ n) + 7·ln(2 ÷ α) ÷ (3(n − 1))) for values in [0, 1], cut at the limits (theorem 4).
    ValueError for fewer than two values or one outside the limits.
    """
    scaled = _scaled(values, alpha, low, high)
    sample, logarithm = paired(scaled.tolist()), math.log(2 / alpha)
    width = math.sqrt(2 * sample.sd**2 * logarithm / sample.n) + 7 * logarithm / (3 * (sample.n - 1))
    return _unscaled(max(0.0, sample.mean - width), min(1.0, sample.mean + width), low, high)


def betting_bounds(values: Sequence[float], alpha: float, low: float = 0.0, high: float = 1.0) -> tuple[float, float]:
    """Return the lower and the upper one-sided bound of the mean, each at confidence 1 − `alpha` at all looks together.

    Who bets in each episode on values above m, with stakes that only earlier episodes decide, has the capital
    K(m) = ∏(1 + λᵢ(xᵢ − m)). Where the mean is m, it reaches 1 ÷ α with chance `alpha` at most, ever (Ville 1939): the
    lower bound is the least m at which it did not. The upper bound is that of high + low − x. The bounds depend on the
    order of the episodes, and never get wider with more of them. ValueError as in `empirical_bernstein_bounds`.
    """
    scaled = _scaled(values, alpha, low, high)
    return _unscaled(_lower(scaled, alpha), 1 - _lower(1 - scaled, alpha), low, high)


def _lower(x: NDArray[np.float64], alpha: float) -> float:
    """Return the least m at which the capital stayed below 1 ÷ α; the capital falls with m, so by bisection."""
    stakes, needed = _stakes(x, alpha), -math.log(alpha)
    excluded, included = 0.0, 1.0
    for _ in range(_STEPS):
        m = (excluded + included) / 2
        capital = np.log1p(np.minimum(stakes, _LARGEST_BET / m) * (x - m)).cumsum()
        excluded, included = (m, included) if capital.max() >= needed else (excluded, m)
    return excluded


def _stakes(x: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """Return the stake of each episode, from the episodes before it: √(2·ln(1 ÷ α) ÷ (σ̂²·i·ln(1 + i))).

    σ̂² is the variance about the running means, both begun with one imagined value (½ and ¼), as in § 3.1 and 4.2.
    """
    i = np.arange(1, len(x) + 1)
    means = (0.5 + x.cumsum()) / (i + 1)
    variances = (0.25 + ((x - means) ** 2).cumsum()) / (i + 1)
    before = np.concatenate(([0.25], variances[:-1]))
    stakes: NDArray[np.float64] = np.sqrt(-2 * math.log(alpha) / (before * i * np.log1p(i)))
    return stakes


def _scaled(values: Sequence[float], alpha: float, low: float, high: float) -> NDArray[np.float64]:
    """Return the values [n] moved into [0, 1]."""
    if not 0 < alpha <= 0.5:
        raise ValueError(f"expected alpha above 0 and at most 0.5, found {alpha}")
    if len(values) < 2:
        raise ValueError(f"expected at least 2 values, found {len(values)}")
    if not all(low <= value <= high for value in values):
        raise ValueError(f"expected values from {low} to {high}, found {min(values)} to {max(values)}")
    return (np.asarray(values, dtype=np.float64) - low) / (high - low)


def _unscaled(lower: float, upper: float, low: float, high: float) -> tuple[float, float]:
    return low + (high - low) * lower, low + (high - low) * upper
