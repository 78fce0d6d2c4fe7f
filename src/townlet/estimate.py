"""Statistics of a sample: paired differences, one-sided t bounds, the division of the error, and power.

Pure floats in and out; the distributions are scipy's. Sums are exactly rounded (`math.fsum`), so the order of the
episodes never changes a verdict.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from attrs import frozen
from scipy.special import nctdtr, nctdtrinc, stdtrit

__all__ = [
    "MIN_PAIRS",
    "Paired",
    "bounds",
    "detectable_difference",
    "error_per_look",
    "iqm",
    "paired",
    "pass_chance",
    "probability_of_improvement",
]

MIN_PAIRS = 20
"""Fewer pairs than this decide nothing: the mean of so few skewed differences is not close to normal."""

_ROUNDING = 1e-9
"""Differences that agree to this share of the largest count as equal: what is left is the rounding of subtraction."""


@frozen(kw_only=True)
class Paired:
    """The first two moments of paired differences."""

    mean: float
    """Mean difference."""
    sd: float
    """Standard deviation with n − 1 in the denominator; 0 where there is one pair or all are equal."""
    n: int
    """Pairs."""
    degenerate: bool
    """True where all differences are equal: an interval around them would have no width and mean nothing."""


def _finite(values: Sequence[float], what: str, least: int) -> None:
    if len(values) < least:
        raise ValueError(f"expected at least {least} {what}, found {len(values)}")
    if not all(math.isfinite(value) for value in values):
        raise ValueError(f"expected finite {what}")


def paired(differences: Sequence[float]) -> Paired:
    """Return mean, standard deviation and number of paired differences; ValueError for none or a non-finite one."""
    _finite(differences, "differences", 1)
    n = len(differences)
    mean = math.fsum(differences) / n
    largest = max(abs(difference) for difference in differences)
    if max(differences) - min(differences) <= _ROUNDING * largest:
        return Paired(mean=mean, sd=0.0, n=n, degenerate=True)
    variance = math.fsum((difference - mean) ** 2 for difference in differences) / (n - 1)
    return Paired(mean=mean, sd=math.sqrt(variance), n=n, degenerate=False)


def bounds(differences: Sequence[float], alpha: float) -> tuple[float, float]:
    """Return the lower and the upper one-sided t bound of the mean, each at confidence 1 − `alpha`.

    mean ∓ t(1 − α, n − 1) · sd ÷ √n. ValueError for fewer than two differences or an `alpha` outside (0, ½].
    """
    _finite(differences, "differences", 2)
    sample = paired(differences)
    half_width = _quantile(sample.n, alpha) * sample.sd / math.sqrt(sample.n)
    return sample.mean - half_width, sample.mean + half_width


def error_per_look(confidence: float, looks: int, visits: int) -> float:
    """Return the error α that one look in one visit may make, so that a whole run keeps its confidence.

    α = (1 − confidence) ÷ (looks · visits), by the union bound (Bonferroni).
    """
    return (1 - confidence) / (looks * visits)


def _quantile(pairs: int, alpha: float) -> float:
    if pairs < 2:
        raise ValueError(f"expected at least 2 pairs, found {pairs}")
    if not 0 < alpha <= 0.5:
        raise ValueError(f"expected alpha above 0 and at most 0.5, found {alpha}")
    return float(-stdtrit(pairs - 1, alpha))


def iqm(values: Sequence[float]) -> float:
    """Return the interquartile mean: the mean of the middle half, the values at its ends weighted by their share."""
    _finite(values, "values", 1)
    ordered = sorted(values)
    low, high = len(ordered) / 4, 3 * len(ordered) / 4
    weights = [max(0.0, min(i + 1, high) - max(i, low)) for i in range(len(ordered))]
    return math.fsum(w * v for w, v in zip(weights, ordered, strict=True)) / math.fsum(weights)


def probability_of_improvement(candidate: Sequence[float], baseline: Sequence[float]) -> float:
    """Return the share of all (candidate, baseline) couples in which the candidate is higher; ties count half.

    P(X > Y) + ½ P(X = Y), as in Agarwal et al. 2021, "Deep RL at the edge of the statistical precipice".
    """
    _finite(candidate, "candidate values", 1)
    _finite(baseline, "baseline values", 1)
    ordered = sorted(baseline)  # each x needs two searches: the couples need not be counted one by one
    twice = sum(bisect_left(ordered, x) + bisect_right(ordered, x) for x in candidate)
    return twice / (2 * len(candidate) * len(baseline))


def detectable_difference(pairs: int, alpha: float, power: float) -> float:
    """Return the true mean difference, in standard deviations, that a one-sided test at `alpha` finds with `power`.

    Solves P(T > t(1 − α, n − 1)) = power for the noncentrality δ·√n of T.
    """
    if not alpha < power < 1:
        raise ValueError(f"expected a power between alpha and 1, found {power}")
    return float(nctdtrinc(pairs - 1, 1 - power, _quantile(pairs, alpha))) / math.sqrt(pairs)


def pass_chance(pairs: int, alpha: float, margin: float) -> float:
    """Return the chance that one look passes where the truth lies `margin` standard deviations inside the limit.

    An equal policy has margin 0 for ``better_by: 0`` (it passes with chance α), and tolerance ÷ sd for
    `not_worse_than`.
    """
    return 1.0 - float(nctdtr(pairs - 1, margin * math.sqrt(pairs), _quantile(pairs, alpha)))
