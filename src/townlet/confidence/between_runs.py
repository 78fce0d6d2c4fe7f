"""The spread between runs that differ in their seed only, beside the error of evaluation within each run.

One-way random effects: run i has the true gain γᵢ ~ (μ, σ²) and measures gᵢ = γᵢ + eᵢ, where eᵢ has the standard error
sᵢ of the run's own episodes. So E[sd²(g)] = σ² + mean(sᵢ²): what the errors do not explain is the spread that training
again brings (DerSimonian and Laird 1986, "Meta-analysis in clinical trials", with equal weights).
"""

import math
from collections.abc import Sequence

from attrs import frozen

from townlet.confidence.tails import share_bounds
from townlet.estimate import paired, quantile

__all__ = ["LEAST_RUNS", "Spread", "share_interval", "spread"]

LEAST_RUNS = 5
"""Fewer finished runs than this say something of their own weights, and nothing of the recipe."""


@frozen(kw_only=True)
class Spread:
    """Gains of several runs: their mean, and where their differences come from."""

    runs: int
    """n, runs."""
    mean: float
    """Mean of the runs' gains."""
    sd: float
    """Standard deviation between the runs, n − 1 in the denominator."""
    within: float
    """Standard error of a run's own gain: the root of the mean square."""
    noise_share: float | None
    """Share of the variance between runs that the errors within runs explain, at most 1; None where nothing varies."""
    retraining_sd: float
    """Standard deviation that is left for training again: the root of max(0, sd² − within²)."""
    low: float
    """Lower end of the two-sided interval of the mean over recipes' runs."""
    high: float
    """Upper end."""


def spread(gains: Sequence[float], errors: Sequence[float], alpha: float) -> Spread:
    """Return the spread of the runs' gains; the interval is mean ∓ t(1 − α/2, n − 1) · sd ÷ √n.

    The run is the unit: episodes of one run say nothing of the next. ValueError for fewer than two runs.
    """
    if len(gains) < 2:
        raise ValueError(f"expected at least 2 runs, found {len(gains)}")
    if len(errors) != len(gains):
        raise ValueError(f"expected {len(gains)} errors, found {len(errors)}")
    between = paired(gains)
    within = math.fsum(error**2 for error in errors) / len(errors)
    variance = between.sd**2
    half_width = quantile(between.n, alpha / 2) * between.sd / math.sqrt(between.n)
    return Spread(
        runs=between.n,
        mean=between.mean,
        sd=between.sd,
        within=math.sqrt(within),
        noise_share=min(1.0, within / variance) if variance else None,
        retraining_sd=math.sqrt(max(0.0, variance - within)),
        low=between.mean - half_width,
        high=between.mean + half_width,
    )


def share_interval(count: int, runs: int, alpha: float) -> tuple[float, float]:
    """Return the exact two-sided interval of a share of runs, each end at α/2 (Clopper and Pearson 1934)."""
    return share_bounds(count, runs, alpha / 2)
