"""Comparison of two policies, KPI by KPI."""

from typing import Literal

from attrs import frozen

from townlet.dto.codec import Record
from townlet.dto.metrics import named_episodes

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
    """Candidate's mean over the pairs; None without any. This and all numbers below are None where `problem` says why
    nothing is known."""
    baseline: float | None
    """Baseline's mean over the pairs."""
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
    worst: float | None = None
    """Difference of the pair that is worst for the candidate; None for a KPI without a better direction."""
    pairs: int
    """Number of pairs that were compared, of episodes in which both had exposure unless `missing` says otherwise."""
    candidate_missing: tuple[int, ...] = ()
    """Episodes, counted from 0, in which the baseline has exposure and the candidate has none."""
    baseline_missing: tuple[int, ...] = ()
    """Episodes in which the candidate has exposure and the baseline has none."""
    candidate_invalid: tuple[int, ...] = ()
    """Episodes in which the candidate's number is not valid: not finite, or of negative exposure."""
    baseline_invalid: tuple[int, ...] = ()
    """Episodes in which the baseline's number is not valid."""
    problem: str = ""
    """Why the comparison is not known, in words; empty where it is."""

    def reason(self) -> str:
        """Return in words which side lacks what in which episodes; empty where neither lacks anything."""
        parts = (
            ("the candidate has no valid number", self.candidate_invalid),
            ("the baseline has no valid number", self.baseline_invalid),
            ("the candidate alone has no exposure", self.candidate_missing),
            ("the baseline alone has no exposure", self.baseline_missing),
        )
        return " and ".join(f"{lack} in {len(each)} episodes ({named_episodes(each)})" for lack, each in parts if each)


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
    days: int | None
    """Length of an episode in days; None in an environment without days."""
    seed: int
    """Seed of the episodes."""
    confidence: float
    """Confidence of each one-sided bound."""
    missing: Literal["worst", "drop"] | None = None
    """What an episode counts as in which only one side has exposure; without it such a KPI is not known."""
    metrics: tuple[MetricComparison, ...]
    """One comparison per KPI, in the order of the environment's description."""
