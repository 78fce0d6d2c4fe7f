"""The test of a mean of paired differences: Student's and Hall's bounds, and Welch's where there are no pairs."""

import math
from collections.abc import Sequence

from attrs import evolve

from townlet.confidence.skewness import skewness, wider_bounds, wider_p_value
from townlet.dto.guards import Relation
from townlet.estimate import ROUNDING, bounds, common_value, pair_sizes, unpaired_bounds, unpaired_p_value
from townlet.machine.guards.baseline_margin import BaselineMargin
from townlet.machine.guards.paired_comparison import PairedComparison, Tested

__all__ = ["mean_test"]


def mean_test(comparison: PairedComparison, look: int, pairs: Sequence[tuple[float, float]]) -> Tested:
    """Return the bounds of the mean difference at a look, counted from 1, over the pairs that are compared."""
    margin, mean = comparison.margin, math.fsum(b for _, b in pairs) / len(pairs)
    distance, tolerance = margin.distance(mean)
    contrasts, limit = _contrasts(margin, pairs, mean, distance, tolerance)
    alpha, own, other = comparison.errors.each[look - 1], list[float](), list[float]()
    if comparison.unpaired:
        # Whatever moved into the contrasts belongs to the baseline: they are two samples again.
        own = [margin.sign * x for x, _ in pairs]
        other = [value - contrast for value, contrast in zip(own, contrasts, strict=True)]
        low, high = unpaired_bounds(own, other, alpha)
        equal = low if low == high else None
    else:
        equal = _common_contrast(margin, contrasts, pairs, limit)
        test = bounds if margin.rule < 3 else wider_bounds
        low, high = test(contrasts, alpha) if equal is None else (equal, equal)
    tested = Tested(
        value=math.fsum(x - b for x, b in pairs) / len(pairs),
        baseline=mean,
        low=low,
        high=high,
        limit=limit,
        tolerance=tolerance,
        equal=equal is not None,
    )
    if margin.rule > 2 and equal is None:
        p_value = _p_value(comparison, look, contrasts, (own, other), limit)
        tested = evolve(tested, p_value=p_value, skewness=None if comparison.unpaired else skewness(contrasts))
    if margin.rule < 4:
        return tested
    # The contrasts hold a relative margin; reports show bounds of the difference, and the margin as its limit.
    shift = margin.limit(distance) - limit
    return evolve(tested, low=low + shift, high=high + shift, limit=limit + shift)


def _p_value(
    comparison: PairedComparison,
    look: int,
    contrasts: list[float],
    samples: tuple[list[float], list[float]],
    limit: float,
) -> float:
    """Return the stage-wise p-value of what the guard asserts: that the mean contrast is above, or below, its limit."""
    if comparison.margin.guard.relation == Relation.WORSE_BY:
        contrasts, limit, samples = [-contrast for contrast in contrasts], -limit, (samples[1], samples[0])
    nominal = unpaired_p_value(*samples, limit) if comparison.unpaired else wider_p_value(contrasts, limit)
    return comparison.errors.p_value(nominal, look)


def _common_contrast(
    margin: BaselineMargin, contrasts: Sequence[float], pairs: Sequence[tuple[float, float]], limit: float
) -> float | None:
    """Return the number that all contrasts are equal to, the limit where it can be that; None where they differ."""
    if margin.rule > 1:
        return common_value(contrasts, pair_sizes([x for x, _ in pairs], [b for _, b in pairs]), limit)
    largest = max(abs(contrast) for contrast in contrasts)
    if max(contrasts) - min(contrasts) > ROUNDING * largest:
        return None
    return math.fsum(contrasts) / len(contrasts)


def _contrasts(
    margin: BaselineMargin, pairs: Sequence[tuple[float, float]], mean: float, distance: float, tolerance: str
) -> tuple[list[float], float]:
    """Return the oriented differences and their limit; a relative margin moves into the differences.

    σ·(xᵢ − bᵢ) ± r·sign(b̄)·bᵢ against 0, so that the noise of the baseline counts too (σ the orientation, b̄ the
    baseline's mean; + for `not_worse_than` and `worse_by`, − for `better_by`).
    """
    differences = [margin.sign * (x - b) for x, b in pairs]
    limit, relative = margin.limit(distance), margin.guard.margin.relative
    if tolerance != "relative" or relative is None:
        return differences, limit
    share = math.copysign(relative, mean) * (-1.0 if limit > 0 else 1.0)
    return [difference + share * b for difference, (_, b) in zip(differences, pairs, strict=True)], 0.0
