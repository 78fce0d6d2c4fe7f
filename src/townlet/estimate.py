"""Statistics of a sample: paired differences, one-sided t bounds, the division of the error, and power.

Pure floats in and out; the distributions are scipy's. Sums are exactly rounded (`math.fsum`), so the order of the
episodes never changes a verdict.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from statistics import median

from attrs import frozen
from scipy.special import nctdtr, nctdtrinc, stdtr, stdtrit

__all__ = [
    "MIN_PAIRS",
    "Paired",
    "bounds",
    "common_value",
    "correlation",
    "detectable_difference",
    "error_per_look",
    "iqm",
    "missing_episodes",
    "pair_sizes",
    "paired",
    "paired_bounds",
    "pairing_gain",
    "pass_chance",
    "probability_of_improvement",
    "quantile",
    "undetected_rate",
    "unpaired_bounds",
    "unpaired_p_value",
    "worst_case_pairs",
]

MIN_PAIRS = 20
"""Fewer pairs than this decide nothing: the mean of so few skewed differences is not close to normal."""

ROUNDING = 1e-9
"""Share of a value that is taken for its rounding.

A sum of k terms of one sign carries a relative error of at most (k − 1)·2⁻⁵³ (Higham, Accuracy and Stability of
Numerical Algorithms, § 4.2), so this allows for k up to 9·10⁶ terms in an episode's value.
"""


@frozen(kw_only=True)
class Paired:
    """The first two moments of paired differences."""

    mean: float
    """Mean difference."""
    sd: float
    """Standard deviation with n − 1 in the denominator; 0 where there is one pair."""
    n: int
    """Pairs."""


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
    variance = math.fsum((difference - mean) ** 2 for difference in differences) / max(n - 1, 1)
    return Paired(mean=mean, sd=math.sqrt(variance), n=n)


def common_value(differences: Sequence[float], sizes: Sequence[float], expected: float) -> float | None:
    """Return the one number that all differences are equal to up to rounding; None where there is none.

    dᵢ is known to ± `ROUNDING`·sizeᵢ only, `sizes` as `pair_sizes` returns them, and these intervals must share a
    number. That number is `expected` where it is in all of them, else the mean.
    """
    _finite(differences, "differences", 1)
    low = max(difference - ROUNDING * size for difference, size in zip(differences, sizes, strict=True))
    high = min(difference + ROUNDING * size for difference, size in zip(differences, sizes, strict=True))
    if low > high:
        return None
    return expected if low <= expected <= high else math.fsum(differences) / len(differences)


def pair_sizes(values: Sequence[float], baselines: Sequence[float]) -> list[float]:
    """Return the size of each pair: max(|valueᵢ|, |baselineᵢ|), and at least the median of these.

    The median is for sums that cancel out in some episodes: their rounding is that of the terms, not of the sum.
    """
    own = [max(abs(value), abs(baseline)) for value, baseline in zip(values, baselines, strict=True)]
    typical = median(own)
    return [max(size, typical) for size in own]


def paired_bounds(values: Sequence[float], baselines: Sequence[float], alpha: float) -> tuple[float, float]:
    """Return the one-sided t bounds of the mean of valueᵢ − baselineᵢ; without width where all are equal.

    Differences that are only rounding are 0: 0.1 + 0.2 is not above 0.3. ValueError as in `bounds`.
    """
    differences = [value - baseline for value, baseline in zip(values, baselines, strict=True)]
    _finite(differences, "differences", 2)
    equal = common_value(differences, pair_sizes(values, baselines), 0.0)
    return bounds(differences, alpha) if equal is None else (equal, equal)


def correlation(values: Sequence[float], baselines: Sequence[float]) -> float | None:
    """Return Pearson's correlation of pairs; None where a side varies by rounding alone. ValueError as in `bounds`."""
    own, other = _two_samples(values, baselines)
    if any(side.sd <= ROUNDING * abs(side.mean) for side in (own, other)):
        return None
    scaled = ((x - own.mean) / own.sd * ((b - other.mean) / other.sd) for x, b in zip(values, baselines, strict=True))
    return min(1.0, max(-1.0, math.fsum(scaled) / (own.n - 1)))


def pairing_gain(values: Sequence[float], baselines: Sequence[float]) -> float:
    """Return how many times the episodes a comparison without pairs needs for an interval of the same width.

    (s²ₓ + s²_b) ÷ s²_d, the variance of the difference of two means without and with pairs. It is above 1 where the
    correlation is above 0, and ∞ where all differences are equal. ValueError as in `bounds`.
    """
    own, other = _two_samples(values, baselines)
    differences = [x - b for x, b in zip(values, baselines, strict=True)]
    if own.sd == other.sd == 0:
        return 1.0
    if common_value(differences, pair_sizes(values, baselines), 0.0) is not None:
        return math.inf
    return (math.hypot(own.sd, other.sd) / paired(differences).sd) ** 2


def _two_samples(values: Sequence[float], baselines: Sequence[float]) -> tuple[Paired, Paired]:
    _finite(values, "values", 2)
    _finite(baselines, "baseline values", 2)
    return paired(values), paired(baselines)


def missing_episodes(values: Sequence[float | None], others: Sequence[float | None]) -> tuple[int, ...]:
    """Return the episodes in which only `others` have a value."""
    pairs = enumerate(zip(values, others, strict=True))
    return tuple(episode for episode, (value, other) in pairs if value is None and other is not None)


def worst_case_pairs(
    values: Sequence[float | None], baselines: Sequence[float | None], sign: float
) -> list[tuple[float, float]]:
    """Return the pairs in which either side has a value, with what is missing filled in against the candidate.

    A missing value of the candidate is the worst of all values there are, one of the baseline the best (worst-case
    imputation); `sign` is +1 where higher is better, −1 where lower is.
    """
    present = sorted((value for value in (*values, *baselines) if value is not None), key=lambda value: sign * value)
    return [
        (present[0] if value is None else value, present[-1] if baseline is None else baseline)
        for value, baseline in zip(values, baselines, strict=True)
        if value is not None or baseline is not None
    ]


def bounds(differences: Sequence[float], alpha: float) -> tuple[float, float]:
    """Return the lower and the upper one-sided t bound of the mean, each at confidence 1 − `alpha`.

    mean ∓ t(1 − α, n − 1) · sd ÷ √n. ValueError for fewer than two differences or an `alpha` outside (0, ½].
    """
    _finite(differences, "differences", 2)
    sample = paired(differences)
    half_width = quantile(sample.n, alpha) * sample.sd / math.sqrt(sample.n)
    return sample.mean - half_width, sample.mean + half_width


def unpaired_bounds(values: Sequence[float], baselines: Sequence[float], alpha: float) -> tuple[float, float]:
    """Return the one-sided t bounds of the difference of two means whose episodes are not pairs (Welch 1947).

    x̄ − b̄ ∓ t(1 − α, ν) · √(s²ₓ÷n + s²_b÷m), ν by Satterthwaite (1946). ValueError as in `bounds`.
    """
    difference, error, freedom = _welch(values, baselines)
    half_width = quantile(freedom + 1, alpha) * error if error else 0.0
    return difference - half_width, difference + half_width


def unpaired_p_value(values: Sequence[float], baselines: Sequence[float], limit: float) -> float:
    """Return the one-sided p-value of a difference of means of at most `limit`, as in `unpaired_bounds`.

    Where neither side varies it is 0 above the limit, else 1.
    """
    difference, error, freedom = _welch(values, baselines)
    return float(stdtr(freedom, (limit - difference) / error)) if error else float(difference <= limit)


def _welch(values: Sequence[float], baselines: Sequence[float]) -> tuple[float, float, float]:
    """Return the difference of two means, its standard error and its degrees of freedom."""
    own, other = _two_samples(values, baselines)
    parts = own.sd**2 / own.n, other.sd**2 / other.n
    variance = sum(parts)
    if variance == 0:
        return own.mean - other.mean, 0.0, math.inf
    freedom = variance**2 / (parts[0] ** 2 / (own.n - 1) + parts[1] ** 2 / (other.n - 1))
    return own.mean - other.mean, math.sqrt(variance), freedom


def error_per_look(confidence: float, looks: int, visits: int) -> float:
    """Return the error α that one look in one visit may make, so that a whole run keeps its confidence.

    α = (1 − confidence) ÷ (looks · visits), by the union bound (Bonferroni).
    """
    return (1 - confidence) / (looks * visits)


def quantile(pairs: float, alpha: float) -> float:
    """Return t(1 − `alpha`, `pairs` − 1); ValueError for fewer than 2 pairs or an `alpha` outside (0, ½]."""
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
    return float(nctdtrinc(pairs - 1, 1 - power, quantile(pairs, alpha))) / math.sqrt(pairs)


def pass_chance(pairs: int, alpha: float, margin: float) -> float:
    """Return the chance that one look passes where the truth lies `margin` standard deviations inside the limit.

    An equal policy has margin 0 for ``better_by: 0`` (it passes with chance α), and tolerance ÷ sd for
    `not_worse_than`.
    """
    return 1.0 - float(nctdtr(pairs - 1, margin * math.sqrt(pairs), quantile(pairs, alpha)))


def undetected_rate(episodes: int, chance: float = 0.05) -> float:
    """Return the rate at which an event stays out of all `episodes` with this chance: 1 − chance^(1 ÷ episodes).

    About 3 ÷ episodes for a chance of 5 % (the rule of three).
    """
    return -math.expm1(math.log(chance) / episodes)
