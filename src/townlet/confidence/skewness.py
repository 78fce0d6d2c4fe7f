"""Bounds of a mean that are corrected for skewness: Hall's transformation of the t statistic.

P. Hall (1992), "On the removal of skewness by transformation", Journal of the Royal Statistical Society B 54, 221-228.
Derived in ``docs/reference/evidence.md``.
"""

import math
from collections.abc import Sequence

from scipy.special import stdtr

from townlet.estimate import Paired, bounds, paired, quantile, unpaired_bounds, unpaired_p_value

__all__ = [
    "corrected_statistic",
    "skewness",
    "skewness_corrected_bounds",
    "skewness_corrected_p_value",
    "statistic_at",
    "student_p_value",
    "unpaired_skewness_corrected_bounds",
    "wider_bounds",
    "wider_p_value",
    "wider_unpaired_bounds",
    "wider_unpaired_p_value",
]


def corrected_statistic(t: float, r: float) -> float:
    """Return the t statistic with its skewness removed, where the estimate's own skewness is `r`.

    g(T) = T + rT²/3 + r²T³/27 + r/6 = ((1 + rT/3)³ − 1)/r + r/6; increasing in T, and T itself for r = 0.
    """
    return t + r * t**2 / 3 + r**2 * t**3 / 27 + r / 6


def statistic_at(level: float, r: float) -> float:
    """Return the t statistic whose `corrected_statistic` is this quantile.

    With y = quantile − r/6 and u = ∛(1 + ry): T = 3(u − 1)/r = y ÷ ((u² + u + 1)/3), which needs no case for r = 0.
    """
    y = level - r / 6
    u = math.cbrt(1 + r * y)
    return y / ((u**2 + u + 1) / 3)


def skewness(values: Sequence[float]) -> float:
    """Return the sample skewness γ̂ = m₃ ÷ m₂^(3/2), mₖ = Σ(xᵢ − x̄)ᵏ ÷ n; 0 where all values are equal.

    |γ̂| is at most (n − 2) ÷ √(n − 1). ValueError for no value or one that is not finite.
    """
    mean = paired(values).mean
    deviations = [value - mean for value in values]
    largest = max(abs(deviation) for deviation in deviations)
    if largest == 0:
        return 0.0
    # In units of the largest deviation no power under- or overflows.
    scaled = [deviation / largest for deviation in deviations]
    second, third = (math.fsum(x**k for x in scaled) / len(scaled) for k in (2, 3))
    return float(third / second**1.5)


def skewness_corrected_bounds(differences: Sequence[float], alpha: float) -> tuple[float, float]:
    """Return the lower and the upper one-sided bound of the mean, each at confidence 1 − `alpha`.

    d̄ − g⁻¹(q)·s ÷ √n and d̄ − g⁻¹(−q)·s ÷ √n, q = t(1 − α, n − 1), g with r = γ̂ ÷ √n; without width where all
    differences are equal. ValueError for fewer than two differences or an `alpha` outside (0, ½].
    """
    sample, q = paired(differences), quantile(len(differences), alpha)
    error = sample.sd / math.sqrt(sample.n)
    return _around(sample.mean, error, q, skewness(differences) / math.sqrt(sample.n))


def skewness_corrected_p_value(differences: Sequence[float], limit: float) -> float:
    """Return the one-sided p-value of a mean at or below `limit`: P(t(n − 1) ≥ g(T)), T = √n·(d̄ − limit) ÷ s.

    It is at most α exactly where the lower bound at α is at least `limit`. Where all differences are equal, it is 0
    above the limit, else 1. ValueError for fewer than two differences.
    """
    return _p_value(differences, limit, skewness(differences) / math.sqrt(len(differences)))


def student_p_value(differences: Sequence[float], limit: float) -> float:
    """Return the one-sided p-value of a mean at or below `limit` by Student's t, otherwise as above."""
    return _p_value(differences, limit, 0.0)


def wider_bounds(differences: Sequence[float], alpha: float) -> tuple[float, float]:
    """Return the lower of Student's and the corrected lower bound, and the higher of the two upper ones.

    Where tails are heavy and skewness is none, γ̂ is noise of the very outliers that move the mean, and the correction
    alone errs 1.6 times as often as declared (``docs/benchmarks/gate.md``). It may widen a bound, never narrow it.
    """
    (low, high), (other_low, other_high) = bounds(differences, alpha), skewness_corrected_bounds(differences, alpha)
    return min(low, other_low), max(high, other_high)


def wider_p_value(differences: Sequence[float], limit: float) -> float:
    """Return the larger of Student's and the corrected p-value: at most α where the lower of `wider_bounds` passes."""
    return max(student_p_value(differences, limit), skewness_corrected_p_value(differences, limit))


def unpaired_skewness_corrected_bounds(
    values: Sequence[float], baselines: Sequence[float], alpha: float
) -> tuple[float, float]:
    """Return the one-sided bounds of the difference of two means whose episodes are not pairs.

    As `skewness_corrected_bounds` about x̄ − b̄ with variance v = s²ₓ÷n + s²_b÷m, Satterthwaite's degrees of freedom,
    and r = (μ₃ₓ÷n² − μ₃_b÷m²) ÷ v^(3/2), the skewness of x̄ − b̄. ValueError as in `skewness_corrected_bounds`.
    """
    difference, error, freedom, r = _unpaired(values, baselines)
    return _around(difference, error, quantile(freedom + 1, alpha), r) if error else (difference, difference)


def wider_unpaired_bounds(values: Sequence[float], baselines: Sequence[float], alpha: float) -> tuple[float, float]:
    """Return the lower of Welch's and the corrected lower bound, and the higher of the two upper ones."""
    welch, corrected = (
        bounds(values, baselines, alpha) for bounds in (unpaired_bounds, unpaired_skewness_corrected_bounds)
    )
    return min(welch[0], corrected[0]), max(welch[1], corrected[1])


def wider_unpaired_p_value(values: Sequence[float], baselines: Sequence[float], limit: float) -> float:
    """Return the larger of Welch's and the corrected p-value of a difference of means of at most `limit`."""
    difference, error, freedom, r = _unpaired(values, baselines)
    if not error:
        return float(difference <= limit)
    corrected = stdtr(freedom, -corrected_statistic((difference - limit) / error, r))
    return max(unpaired_p_value(values, baselines, limit), float(corrected))


def _unpaired(values: Sequence[float], baselines: Sequence[float]) -> tuple[float, float, float, float]:
    """Return the difference of two means, its standard error, its degrees of freedom and its skewness."""
    sides = [(paired(each), skewness(each)) for each in (values, baselines)]
    for sample, _ in sides:
        quantile(sample.n, 0.5)  # refuses fewer than two values
    errors = [sample.sd / math.sqrt(sample.n) for sample, _ in sides]
    difference, error = sides[0][0].mean - sides[1][0].mean, math.hypot(*errors)
    if error == 0:
        return difference, 0.0, math.inf, 0.0
    parts = [each / error for each in errors]
    freedom = 1 / sum(part**4 / (sample.n - 1) for part, (sample, _) in zip(parts, sides, strict=True))
    own, other = (part**3 * _of_mean(*side) for part, side in zip(parts, sides, strict=True))
    return difference, error, freedom, own - other


def _p_value(differences: Sequence[float], limit: float, r: float) -> float:
    sample = paired(differences)
    if sample.n < 2:
        raise ValueError(f"expected at least 2 differences, found {sample.n}")
    if sample.sd == 0:
        return float(sample.mean <= limit)
    t = (sample.mean - limit) / (sample.sd / math.sqrt(sample.n))
    return float(stdtr(sample.n - 1, -corrected_statistic(t, r)))


def _of_mean(sample: Paired, gamma: float) -> float:
    return gamma / math.sqrt(sample.n)


def _around(mean: float, error: float, q: float, r: float) -> tuple[float, float]:
    return mean - statistic_at(q, r) * error, mean - statistic_at(-q, r) * error
