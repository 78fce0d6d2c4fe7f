"""Rates of rare events: exact conditional tests of a candidate's and a baseline's counts.

J. Przyborowski and H. Wilenski (1940), "Homogeneity of results in testing samples from Poisson series", Biometrika 31.
Events that occur one by one at rates λ of the candidate and μ of the baseline: given their total N = x + y, the
candidate's x is binomial with share π = ρe ÷ (ρe + f), ρ = λ ÷ μ, e and f the exposures. Episodes may differ in how
dangerous they are, in the same way for both sides; π stays the same. Events with a common cause (a whole world dies)
are not covered: `sign_flip_p_value` and shares of episodes (`tails.py`) take the episode as their unit.
"""

import math
from collections.abc import Sequence

import numpy as np
from attrs import frozen
from scipy.special import bdtr, gammainccinv, gammaincinv

from townlet.confidence.tails import share_bounds

__all__ = [
    "EventCounts",
    "higher_rate_p_value",
    "lower_rate_p_value",
    "rate_bounds",
    "rate_difference_bounds",
    "rate_ratio_bounds",
    "sign_flip_p_value",
]


@frozen(kw_only=True)
class EventCounts:
    """Events of a candidate and of a baseline over the same episodes; ValueError for negative ones."""

    events: int
    """Events of the candidate."""
    exposure: float
    """What its rate is divided by, above 0."""
    baseline_events: int
    """Events of the baseline."""
    baseline_exposure: float
    """What its rate is divided by, above 0."""

    def __attrs_post_init__(self) -> None:
        for events, exposure in ((self.events, self.exposure), (self.baseline_events, self.baseline_exposure)):
            if events < 0 or not 0 < exposure < math.inf:
                raise ValueError(
                    f"expected no fewer than 0 events over an exposure above 0, found {events} over {exposure}"
                )

    @property
    def total(self) -> int:
        """Return the events of both sides."""
        return self.events + self.baseline_events


def rate_ratio_bounds(counts: EventCounts, alpha: float) -> tuple[float, float]:
    """Return the lower and the upper one-sided bound of λ ÷ μ, each at confidence 1 − `alpha`, exactly.

    Clopper-Pearson bounds of π in ρ = π ÷ (1 − π) · f ÷ e. Without events the ratio can be anything: 0 and ∞.
    """
    return _ratio(counts, share_bounds(counts.events, counts.total, alpha))


def lower_rate_p_value(counts: EventCounts, ratio: float) -> float:
    """Return the p-value of λ ≥ `ratio`·μ against a lower rate: P(Bin(N, π₀) ≤ x); 1 without events."""
    return float(bdtr(counts.events, counts.total, _share(counts, ratio)))


def higher_rate_p_value(counts: EventCounts, ratio: float) -> float:
    """Return the p-value of λ ≤ `ratio`·μ against a higher rate: P(Bin(N, π₀) ≥ x); 1 without events."""
    return float(bdtr(counts.baseline_events, counts.total, 1 - _share(counts, ratio)))


def rate_bounds(events: int, exposure: float, alpha: float) -> tuple[float, float]:
    """Return the lower and the upper one-sided bound of one rate, each at confidence 1 − `alpha` (Garwood 1936).

    Without events the upper bound is −ln α ÷ exposure.
    """
    low = float(gammaincinv(events, alpha)) if events else 0.0
    return low / exposure, float(gammainccinv(events + 1, alpha)) / exposure


def rate_difference_bounds(counts: EventCounts, alpha: float) -> tuple[float, float]:
    """Return the lower and the upper one-sided bound of λ − μ, each at confidence of at least 1 − `alpha`.

    λ − μ = θ·(π ÷ e − (1 − π) ÷ f), θ the expected total: half of `alpha` bounds π given the total, half bounds θ by
    the total, and the worst θ for that π is taken. It never errs more often than `alpha`, and is wider
    than need be: for a difference there is no total to condition on that removes μ.
    """
    low_share, high_share = share_bounds(counts.events, counts.total, alpha / 2)
    totals = rate_bounds(counts.total, 1.0, alpha / 2)
    low, high = (share / counts.exposure - (1 - share) / counts.baseline_exposure for share in (low_share, high_share))
    return low * totals[low < 0], high * totals[high > 0]


def sign_flip_p_value(differences: Sequence[int]) -> float:
    """Return the exact p-value of a candidate no better than the baseline, against fewer events, episode by episode.

    Under H₀ either side may have had either of the two counts of an episode, independently of other episodes: the signs
    of the differences xᵢ − bᵢ are fair coins, and P(Σ±|dᵢ| ≤ Σdᵢ) is counted. Events of one episode may have any common
    cause. Needs equal exposures. 1 where no episode differs.
    """
    chances = np.ones(1)
    for size in (abs(difference) for difference in differences if difference):
        # Index j of `chances` stands for the sum 2j − Σ|dᵢ| that the first episodes can have.
        longer = np.zeros(len(chances) + size)
        longer[: len(chances)] += chances / 2
        longer[size:] += chances / 2
        chances = longer
    total = sum(abs(difference) for difference in differences)
    return float(min(1.0, chances[: (sum(differences) + total) // 2 + 1].sum()))


def _share(counts: EventCounts, ratio: float) -> float:
    if not 0 < ratio < math.inf:
        raise ValueError(f"expected a ratio of rates above 0, found {ratio}")
    return ratio * counts.exposure / (ratio * counts.exposure + counts.baseline_exposure)


def _ratio(counts: EventCounts, shares: tuple[float, float]) -> tuple[float, float]:
    scale = counts.baseline_exposure / counts.exposure
    low, high = (scale * share / (1 - share) if share < 1 else math.inf for share in shares)
    return low, high
