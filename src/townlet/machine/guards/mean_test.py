"""The test of a mean of paired differences: Student's and Hall's bounds, and Welch's where there are no pairs."""

import math
from collections.abc import Sequence

from attrs import evolve

from townlet.confidence.skewness import (
    skewness,
    wider_bounds,
    wider_p_value,
    wider_unpaired_bounds,
    wider_unpaired_p_value,
)
from townlet.dto.guards import Relation
from townlet.estimate import ROUNDING, bounds, common_value, pair_sizes, unpaired_bounds, unpaired_p_value
from townlet.machine.guards.baseline_margin import BaselineMargin
from townlet.machine.guards.paired_comparison import LookResult, PairedComparison, Samples

__all__ = ["mean_test", "relative_share"]


def mean_test(comparison: PairedComparison, look: int, samples: Samples) -> LookResult:
    """Return the bounds of the mean difference at a look, counted from 1: over pairs, or of two samples.

    All looks share the episodes of a recorded baseline. Their statistics have more in common than the levels assume, so
    the error is smaller.
    """
    margin, mean = comparison.margin, math.fsum(samples.baselines) / len(samples.baselines)
    distance, tolerance = margin.distance(mean)
    limit = margin.limit(distance)
    share = relative_share(margin, mean, limit) if tolerance == "relative" else 0.0
    contrast_limit = 0.0 if tolerance == "relative" else limit
    alpha = comparison.errors.each[look - 1]
    contrasts, sides = _contrasts(comparison, samples, share)
    two_samples = comparison.unpaired or comparison.has_control
    equal = None if comparison.unpaired else _common_contrast(margin, contrasts, samples, contrast_limit)
    if equal is not None:
        low = high = equal
    elif two_samples:
        test = unpaired_bounds if margin.rule < 4 else wider_unpaired_bounds
        low, high = test(*sides, alpha)
        equal = low if low == high else None
    else:
        low, high = (bounds if margin.rule < 3 else wider_bounds)(contrasts, alpha)
    tested = LookResult(
        value=_difference(comparison, samples, mean, equal=equal is not None),
        baseline=mean,
        low=low,
        high=high,
        limit=contrast_limit,
        tolerance=tolerance,
        equal=equal is not None,
    )
    if margin.rule > 2 and equal is None:
        p_value = _p_value(comparison, look, contrasts, sides if two_samples else None, contrast_limit)
        tested = evolve(tested, p_value=p_value, skewness=None if two_samples else skewness(contrasts))
    if margin.rule < 4:
        return tested
    # The contrasts hold a relative margin; reports show bounds of the difference, and the margin as its limit.
    shift = limit - contrast_limit
    return evolve(tested, low=low + shift, high=high + shift, limit=contrast_limit + shift)


def _p_value(
    comparison: PairedComparison,
    look: int,
    contrasts: list[float],
    sides: tuple[list[float], list[float]] | None,
    limit: float,
) -> float:
    """Return the stage-wise p-value of what the guard asserts: that the mean contrast is above, or below, its limit."""
    asserts_worse = comparison.margin.guard.relation == Relation.WORSE_BY
    limit = -limit if asserts_worse else limit
    if sides is None:
        nominal = wider_p_value([-contrast for contrast in contrasts] if asserts_worse else contrasts, limit)
    else:
        test = unpaired_p_value if comparison.margin.rule < 4 else wider_unpaired_p_value
        nominal = test(*(sides[::-1] if asserts_worse else sides), limit)
    return comparison.errors.p_value(nominal, look)


def _difference(comparison: PairedComparison, samples: Samples, mean: float, *, equal: bool) -> float:
    """Return the mean difference as measured, less what a control variate explains of it, where there is anything."""
    if comparison.recorded:
        return math.fsum(samples.values) / len(samples.values) - mean
    pairs = zip(samples.values, samples.baselines, strict=True)
    difference = math.fsum(x - b for x, b in pairs) / len(samples.values)
    if not comparison.has_control or equal:
        return difference
    explained, further = (math.fsum(each) / len(each) for each in (samples.explained, comparison.control))
    return difference - (comparison.coefficient or 0.0) * (explained - further)


def _common_contrast(
    margin: BaselineMargin, contrasts: Sequence[float], samples: Samples, limit: float
) -> float | None:
    """Return the number that all contrasts are equal to, the limit where it can be that; None where they differ."""
    if margin.rule > 1:
        return common_value(contrasts, pair_sizes(samples.values, samples.baselines), limit)
    largest = max(abs(contrast) for contrast in contrasts)
    if max(contrasts) - min(contrasts) > ROUNDING * largest:
        return None
    return math.fsum(contrasts) / len(contrasts)


def relative_share(margin: BaselineMargin, mean: float, limit: float) -> float:
    """Return which share of the baseline's value a relative margin adds to a difference."""
    return math.copysign(margin.guard.margin.relative or 0.0, mean) * (-1.0 if limit > 0 else 1.0)


def _contrasts(
    comparison: PairedComparison, samples: Samples, share: float
) -> tuple[list[float], tuple[list[float], list[float]]]:
    """Return the oriented differences of pairs, and both sides as samples whose means differ by their mean.

    A relative margin moves into the differences: σ·(xᵢ − bᵢ) ± r·sign(b̄)·bᵢ against 0, so that the noise of the
    baseline counts too (σ the orientation, b̄ the baseline's mean; + for `not_worse_than` and `worse_by`, − for
    `better_by`). Whatever moves there belongs to the baseline's sample. Of a recorded baseline there are no pairs. A
    control variate makes samples of dᵢ − σβcᵢ and −σβc′ⱼ, cᵢ what explains a pair and c′ⱼ the same in further episodes
    (Lavenberg and Welch 1981, with the coefficient frozen beforehand).
    """
    sign = comparison.margin.sign
    own = [sign * x for x in samples.values]
    if comparison.recorded:
        return [], (own, [sign * b - share * b for b in samples.baselines])
    pairs = zip(samples.values, samples.baselines, strict=True)
    contrasts = [sign * (x - b) + share * b for x, b in pairs]
    if comparison.has_control:
        weight = sign * (comparison.coefficient or 0.0)
        controlled = [contrast - weight * c for contrast, c in zip(contrasts, samples.explained, strict=True)]
        return contrasts, (controlled, [-weight * c for c in comparison.control])
    return contrasts, (own, [value - contrast for value, contrast in zip(own, contrasts, strict=True)])
