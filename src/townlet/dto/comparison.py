"""Two policies side by side, metric by metric."""

from attrs import frozen

from townlet.dto.codec import Record

__all__ = ["ComparisonResult", "MetricComparison"]


@frozen(kw_only=True)
class MetricComparison(Record):
    """One KPI of both policies over the same episodes."""

    metric: str
    """Name of the KPI."""
    unit: str
    """Its unit."""
    direction: str
    """Which way it improves: higher, lower or none."""
    candidate: float | None
    """Mean over the episodes with exposure."""
    baseline: float | None
    """The same of the other policy."""
    difference: float | None
    """Mean paired difference, candidate − baseline."""
    low: float | None
    """Lower one-sided bound of the difference."""
    high: float | None
    """Upper one-sided bound of the difference."""
    candidate_iqm: float | None
    """Interquartile mean of the candidate's episodes."""
    baseline_iqm: float | None
    """Interquartile mean of the baseline's episodes."""
    probability_of_improvement: float | None
    """Chance that an episode of the candidate is better than one of the baseline, ties by half; greater, where the KPI
    has no better direction."""
    pairs: int
    """Episodes in which both had exposure."""


@frozen(kw_only=True)
class ComparisonResult(Record):
    """What two policies were worth over the same episodes."""

    scenario: str
    """Scenario that was played."""
    candidate: str
    """Weights digest, or ``teacher:NAME``."""
    baseline: str
    """Weights digest, or ``teacher:NAME``."""
    actions: str
    """``greedy`` or ``stochastic``."""
    episodes: int
    """Pairs."""
    days: int
    """Length of an episode."""
    seed: int
    """Keys the episodes."""
    confidence: float
    """Of each one-sided bound."""
    metrics: tuple[MetricComparison, ...]
    """In the order of the environment's description."""
