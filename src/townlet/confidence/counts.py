"""Rates of rare events: exact conditional tests of a candidate's and a baseline's counts.

J. Przyborowski and H. Wilenski (1940), "Homogeneity of results in testing samples from Poisson series", Biometrika 31.
Events that occur one by one at rates λ of the candidate and μ of the baseline: given their total N = x + y, the
candidate's x is binomial with share π = ρe ÷ (ρe + f), ρ = λ ÷ μ, e and f the exposures. Episodes may differ in how
dangerous they are, in the same way for both sides; π stays the same. Events with a common cause (a whole world dies)
are fewer events than they seem to be: `event_counts` measures by how much, and bounds and p-values divide by it.
`sign_flip_p_value` and shares of episodes (`tails.py`) take the episode as their unit, and need no such factor.
"""

import math
from collections.abc import Sequence

import numpy as np
from attrs import frozen
from scipy.special import betaincc, gammainccinv, gammaincinv

from townlet.confidence.tails import share_bounds

__all__ = [
    "EventCounts",
    "dispersion",
    "event_counts",
    "higher_rate_p_value",
    "lower_rate_p_value",
    "rate_bounds",
    "rate_difference_bounds",
    "rate_ratio_bounds",
    "sign_flip_p_value",
    "total_dispersion",
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
    dispersion: float = 1.0
    """Variance of the candidate's share of the events, by that of independent events; at least 1."""
    total_dispersion: float = 1.0
    """The same for the events of both sides together."""

    def __attrs_post_init__(self) -> None:
        for events, exposure in ((self.events, self.exposure), (self.baseline_events, self.baseline_exposure)):
            if events < 0 or not 0 < exposure < math.inf:
                raise ValueError(
                    f"expected no fewer than 0 events over an exposure above 0, found {events} over {exposure}"
                )
        if not (1 <= self.dispersion < math.inf and 1 <= self.total_dispersion < math.inf):
            raise ValueError(f"expected dispersions of 1 or more, found {self.dispersion} and {self.total_dispersion}")

    @property
    def total(self) -> int:
        """Return the events of both sides."""
        return self.events + self.baseline_events

    @property
    def independent(self) -> tuple[float, float]:
        """Return how many independent events the candidate's and the baseline's say as much as."""
        return self.events / self.dispersion, self.baseline_events / self.dispersion


def event_counts(
    events: Sequence[int],
    baseline_events: Sequence[int],
    exposures: Sequence[float],
    baseline_exposures: Sequence[float],
) -> EventCounts:
    """Return the sums of events and exposures over episodes, with the dispersions that the episodes show."""
    return EventCounts(
        events=sum(events),
        exposure=math.fsum(exposures),
        baseline_events=sum(baseline_events),
        baseline_exposure=math.fsum(baseline_exposures),
        dispersion=dispersion(events, baseline_events, exposures, baseline_exposures),
        total_dispersion=total_dispersion(events, baseline_events, exposures, baseline_exposures),
    )


def dispersion(
    events: Sequence[int],
    baseline_events: Sequence[int],
    exposures: Sequence[float],
    baseline_exposures: Sequence[float],
) -> float:
    """Return by how much clusters raise the variance of the candidate's events, given each episode's total; 1 or more.

    φ̂ = Σ(xᵢ − Nᵢπᵢ)² ÷ ΣNᵢπᵢ(1 − πᵢ), Nᵢ = xᵢ + yᵢ, πᵢ = eᵢ ÷ (eᵢ + fᵢ): at equal rates, not at those that were seen.
    Where all wipe-outs are the baseline's, the ratio that was seen, 0, explains them and shows no cluster. Sums are
    divided, not quotients averaged: single deaths beside a wipe-out would hide it. k deaths that always come together
    give k.
    """
    columns = events, baseline_events, exposures, baseline_exposures
    x, y, e, f = (np.asarray(column, dtype=np.float64) for column in columns)
    share = np.divide(e, e + f, out=np.zeros_like(e), where=e + f > 0)
    expected = float(((x + y) * share * (1 - share)).sum())
    return max(1.0, float(((x - (x + y) * share) ** 2).sum()) / expected) if expected > 0 else 1.0


def total_dispersion(
    events: Sequence[int],
    baseline_events: Sequence[int],
    exposures: Sequence[float],
    baseline_exposures: Sequence[float],
) -> float:
    """Return by how much more the events of both sides vary than independent ones of one rate would; 1 or more.

    Σ(Nᵢ − Nwᵢ)² ÷ (N(1 − Σwᵢ²)), wᵢ the episode's share of all exposure: variance by mean, where these are equal.
    """
    totals = np.asarray(events, dtype=np.float64) + np.asarray(baseline_events)
    exposure = np.asarray(exposures, dtype=np.float64) + np.asarray(baseline_exposures)
    if not exposure.sum() > 0:
        return 1.0
    weights, total = exposure / exposure.sum(), float(totals.sum())
    expected = total * (1 - float((weights**2).sum()))
    return max(1.0, float(((totals - total * weights) ** 2).sum()) / expected) if expected > 0 else 1.0


def rate_ratio_bounds(counts: EventCounts, alpha: float) -> tuple[float, float]:
    """Return the lower and the upper one-sided bound of λ ÷ μ, each at confidence 1 − `alpha`.

    Clopper-Pearson bounds of π in ρ = π ÷ (1 − π) · f ÷ e, events divided by their dispersion; exact where that is 1.
    Without events the ratio can be anything: 0 and ∞.
    """
    return _ratio(counts, _share_bounds(counts, alpha))


def lower_rate_p_value(counts: EventCounts, ratio: float) -> float:
    """Return the p-value of λ ≥ `ratio`·μ against a lower rate: P(Bin(N, π₀) ≤ x); 1 without events."""
    return _tail(*counts.independent, _share(counts, ratio))


def higher_rate_p_value(counts: EventCounts, ratio: float) -> float:
    """Return the p-value of λ ≤ `ratio`·μ against a higher rate: P(Bin(N, π₀) ≥ x); 1 without events."""
    events, others = counts.independent
    return _tail(others, events, 1 - _share(counts, ratio))


def rate_bounds(events: float, exposure: float, alpha: float) -> tuple[float, float]:
    """Return the lower and the upper one-sided bound of one rate, each at confidence 1 − `alpha` (Garwood 1936).

    Without events the upper bound is −ln α ÷ exposure.
    """
    low = float(gammaincinv(events, alpha)) if events else 0.0
    return low / exposure, float(gammainccinv(events + 1, alpha)) / exposure


def rate_difference_bounds(counts: EventCounts, alpha: float) -> tuple[float, float]:
    """Return the lower and the upper one-sided bound of λ − μ, each at confidence of at least 1 − `alpha`.

    λ − μ = θ·(π ÷ e − (1 − π) ÷ f), θ the expected total: half of `alpha` bounds π given the total, half bounds θ by
    the total, and the worst θ for that π is taken, each with its own dispersion. It never errs more often than `alpha`
    where events are independent, and is wider than need be: for a difference there is no total to condition on that
    removes μ.
    """
    low_share, high_share = _share_bounds(counts, alpha / 2)
    totals = rate_bounds(counts.total / counts.total_dispersion, 1 / counts.total_dispersion, alpha / 2)
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


def _tail(events: float, others: float, share: float) -> float:
    """Return P(Bin(events + others, share) ≤ events), by the beta integral that counts without a whole number have."""
    return float(betaincc(events + 1, others, share)) if others > 0 else 1.0


def _share_bounds(counts: EventCounts, alpha: float) -> tuple[float, float]:
    events, others = counts.independent
    return share_bounds(events, events + others, alpha)


def _share(counts: EventCounts, ratio: float) -> float:
    if not 0 < ratio < math.inf:
        raise ValueError(f"expected a ratio of rates above 0, found {ratio}")
    return ratio * counts.exposure / (ratio * counts.exposure + counts.baseline_exposure)


def _ratio(counts: EventCounts, shares: tuple[float, float]) -> tuple[float, float]:
    scale = counts.baseline_exposure / counts.exposure
    low, high = (scale * share / (1 - share) if share < 1 else math.inf for share in shares)
    return low, high
