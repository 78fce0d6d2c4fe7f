"""Comparison of two policies, KPI by KPI."""

from attrs import frozen

from townlet.dto.codec import Record

__all__ = ["ComparisonResult", "MetricComparison"]


@frozen(kw_only=True)
class MetricComparison(Record):
    """Comparison of one KPI over the same episodes of both policies."""

    metric: str
    """Name of the KPI."""
    unit: str
    """Unit of the KPI."""
    direction: str
    """Direction in which the KPI improves: higher, lower or none."""
    candidate: float | None
    """Candidate's mean over the episodes with exposure; None without any."""
    baseline: float | None
    """Baseline's mean over these episodes."""
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
    """Probability that an episode of the candidate is better than one of the baseline, ties count half; that its value
    is greater, if the KPI has no direction."""
    pairs: int
    """Number of episodes in which both had exposure."""


@frozen(kw_only=True)
class ComparisonResult(Record):
    """Comparison of two policies over the same episodes."""

    scenario: str
    """Scenario of the episodes."""
    candidate: str
    """Weights digest, or ``teacher:NAME``."""
    baseline: str
    """Weights digest, or ``teacher:NAME``."""
    actions: str
    """``greedy`` or ``stochastic``."""
    episodes: int
    """Number of pairs of episodes."""
    days: int
    """Length of an episode in days."""
    seed: int
    """Seed of the episodes."""
    confidence: float
    """Confidence of each one-sided bound."""
    metrics: tuple[MetricComparison, ...]
    """One comparison per KPI, in the order of the environment's description."""
