"""Paired episodes with the margin they are compared with, and what a test of them finds at a look."""

import math
from collections.abc import Sequence

from attrs import frozen

from townlet.dto.guards import PairedComparisonSpec
from townlet.machine.guards.baseline_margin import BaselineMargin
from townlet.machine.guards.episodes import StoredEpisodes

__all__ = ["LookResult", "PairedComparison", "Samples"]


@frozen(kw_only=True)
class Samples:
    """What a test of a mean compares."""

    values: Sequence[float]
    """The candidate's values."""
    baselines: Sequence[float]
    """The baseline's values, as many where they are pairs."""
    explained: Sequence[float]
    """What explains each pair, for a control variate."""


@frozen(kw_only=True)
class PairedComparison(StoredEpisodes):
    """Paired episodes of the candidate and one baseline, with the margin they are compared with."""

    margin: BaselineMargin
    """The margin."""
    limits: tuple[float | None, float | None] = (None, None)
    """Least and largest value that the metric can have, where there are such."""
    sums: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    """Events of the candidate and of the baseline in each episode, for a guard that counts them."""
    exposures: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    """What they are divided by."""
    control: tuple[float, ...] = ()
    """What explains the further episodes of a control variate: the baseline's values, or a covariate."""
    covariates: tuple[float, ...] = ()
    """The covariate of each episode; empty where the baseline's own value explains a pair."""
    coefficient: float | None = None
    """β of the control variate; none where the evidence has none."""

    @property
    def missing(self) -> str | None:
        """What an episode counts as in which only one side has exposure."""
        return self.margin.guard.missing if isinstance(self.margin.guard, PairedComparisonSpec) else None

    @property
    def has_control(self) -> bool:
        """Whether further episodes of the baseline take out of each pair what its own episode explains."""
        return self.coefficient is not None and not self.unpaired and not self.counts_events

    @property
    def counts_events(self) -> bool:
        """Whether the events of both sides decide, and not the mean difference."""
        return isinstance(self.margin.guard, PairedComparisonSpec) and self.margin.guard.test == "count"

    def sides(self, episodes: int) -> tuple[tuple[float | None, ...], tuple[float | None, ...]]:
        """Return the first values of both sides; beside each of the candidate's a recorded baseline has its mean."""
        baseline = self.baseline[:episodes]
        if self.recorded:
            values = [value for value in self.baseline if value is not None]
            baseline = (math.fsum(values) / len(values),) * episodes
        return self.candidate[:episodes], baseline

    def samples(self, pairs: Sequence[tuple[float, float]], kept: Sequence[int]) -> Samples:
        """Return what is compared of the pairs in the episodes `kept`; of a recorded baseline all its episodes."""
        values, baselines = [x for x, _ in pairs], [b for _, b in pairs]
        explained = [self.covariates[i] for i in kept] if self.covariates else baselines
        if self.recorded:
            baselines = [value for value in self.baseline if value is not None]
        return Samples(values=values, baselines=baselines, explained=explained)

    def as_measured(self, low: float, high: float) -> tuple[float, float]:
        """Return oriented bounds as bounds of candidate − baseline."""
        return (low, high) if self.margin.sign > 0 else (-high, -low)


@frozen(kw_only=True)
class LookResult:
    """What a test found at a look, in the metric's better direction."""

    value: float
    """The candidate's mean or rate, less the baseline's; as measured, not oriented."""
    baseline: float
    """The baseline's mean or rate, as measured."""
    low: float
    """Lower bound."""
    high: float
    """Upper bound."""
    limit: float
    """What the bounds are compared with."""
    tolerance: str
    """Where the limit comes from."""
    p_value: float | None = None
    """Stage-wise p-value; none where all differences are equal."""
    skewness: float | None = None
    """Skewness of what was tested; none where there are no pairs, or they are equal."""
    equal: bool = False
    """True where all differences are the same, so that only the last look decides."""
    events: str = ""
    """The events of both sides in words, where they were counted."""
