"""The test of a guard on events: bounds of the difference of two rates from the events themselves.

``docs/reference/evidence.md`` shows the formulas. A mean of episodes that hold 0 events, or 1, is far from normal;
given how many events there were, which side had them is a coin with a known weight.
"""

import math
from collections.abc import Callable, Sequence

from attrs import frozen

from townlet.confidence.counts import EventCounts, event_counts, rate_difference_bounds, rate_ratio_bounds
from townlet.dto.guards import Verdict
from townlet.machine.guards.paired_comparison import LookResult, PairedComparison

__all__ = ["EventRates", "count_test", "event_problem", "least_error"]

_STEPS, _LEAST_LOG = 50, math.log(1e-30)
"""Halvings of the interval in which the logarithm of a p-value is searched, and its lower end."""


@frozen(kw_only=True)
class EventRates:
    """Events and exposures of both sides, summed over the episodes of a look."""

    counts: EventCounts
    """Events of both sides, and what they are divided by."""

    @classmethod
    def of(
        cls, own: Sequence[float], other: Sequence[float], exposure: Sequence[float], other_exposure: Sequence[float]
    ) -> "EventRates":
        """Return the sums over episodes, with how much the events of an episode come together."""
        return cls(counts=event_counts([int(x) for x in own], [int(x) for x in other], exposure, other_exposure))

    @property
    def phrase(self) -> str:
        """The events of both sides in words, and how many of them come together."""
        together = max(self.counts.dispersion, self.counts.total_dispersion)
        clusters = f", {together:.3g} at a time" if together > 1.05 else ""
        return f"{self.counts.events} events against {self.counts.baseline_events}{clusters}"

    @property
    def candidate(self) -> float:
        """The candidate's rate."""
        return self.counts.events / self.counts.exposure

    @property
    def baseline(self) -> float:
        """The baseline's rate."""
        return self.counts.baseline_events / self.counts.baseline_exposure

    def bounds(self, alpha: float) -> tuple[float, float]:
        """Return one-sided bounds of λ − μ, each at confidence of at least 1 − `alpha`."""
        return rate_difference_bounds(self.counts, alpha)

    def ratio_bounds(self, alpha: float) -> tuple[float, float]:
        """Return (ρ − 1)·μ̂ at the one-sided bounds of the ratio ρ, to be compared with a share of μ̂, or with 0.

        Where the baseline has no event there is no such share, and where the error is tiny the ratio may have no upper
        bound: those of λ − μ take their place.
        """
        difference = self.bounds(alpha)
        if not self.baseline:
            return difference
        low, high = rate_ratio_bounds(self.counts, alpha)
        return (low - 1) * self.baseline, (high - 1) * self.baseline if math.isfinite(high) else difference[1]


def least_error(passes: Callable[[float], bool]) -> float:
    """Return the p-value of an exact test: the least error at which it passes, by bisection; 1 where none up to ½ does.

    `passes` tells whether the bound at an error is on the right side of the limit; it is monotone. The bisection is one
    of logarithms, so that small p-values have as many digits as large ones.
    """
    low, high = _LEAST_LOG, math.log(0.5)
    if not passes(0.5):
        return 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if passes(math.exp(middle)) else (middle, high)
    return math.exp(high)


def event_problem(comparison: PairedComparison, episodes: int) -> str:
    """Return why the sums of the first episodes are no numbers of events; empty where they are."""
    for name, sums in zip(("the candidate", comparison.margin.baseline_name), comparison.sums, strict=True):
        if len(sums) < episodes:
            return f"the evidence has no events of {name}"
        for episode, events in enumerate(sums[:episodes]):
            if events < 0 or events != math.floor(events):
                return (
                    f"{name} has {events:.4g} events in episode {episode}, expected a whole number of at least 0; "
                    "leave `test: count` out"
                )
    return ""


def count_test(comparison: PairedComparison, look: int) -> LookResult:
    """Return the bounds of the difference of the rates at a look, counted from 1, over the episodes of both sides."""
    margin, episodes = comparison.margin, comparison.looks[look - 1]
    both = [i for i in range(episodes) if comparison.candidate[i] is not None and comparison.baseline[i] is not None]
    (own, other), (exposure, other_exposure) = (
        [[each[i] for i in both] for each in columns] for columns in (comparison.sums, comparison.exposures)
    )
    rates = EventRates.of(own, other, exposure, other_exposure)
    distance, tolerance = margin.distance(rates.baseline)
    # Which of two tolerances applies is read from the data, so each has half of the error.
    limit, two = margin.limit(distance), margin.guard.margin.relative is not None

    def oriented(alpha: float) -> tuple[float, float]:
        # On which side of 0 the difference lies the ratio says alone, and with less noise: the total cancels.
        bounds = rates.ratio_bounds if tolerance == "relative" or limit == 0 else rates.bounds
        return comparison.as_measured(*bounds(alpha / 2 if two else alpha))

    low, high = oriented(comparison.errors.exact[look - 1])
    p_value = least_error(lambda alpha: margin.decide(*oriented(alpha), limit) == Verdict.PASS)
    return LookResult(
        value=rates.candidate - rates.baseline,
        baseline=rates.baseline,
        low=low,
        high=high,
        limit=limit,
        tolerance=tolerance,
        p_value=comparison.errors.exact_p_value(p_value, look),
        events=rates.phrase,
    )
