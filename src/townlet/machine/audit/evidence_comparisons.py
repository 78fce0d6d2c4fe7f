"""Compare the candidate with each baseline in every KPI of stored evidence: means, difference, interval, episodes."""

from collections.abc import Iterator

from attrs import frozen

from townlet.dto.evidence import CANDIDATE, EvidenceTable, PairedMetric
from townlet.estimate import missing_episodes, paired_bounds, unpaired_bounds

__all__ = ["ALPHA", "KpiComparison", "compare_kpis"]

ALPHA = 0.025
"""Error on each side of an interval: all of them are two-sided 95 % intervals, each of one comparison alone."""


@frozen(kw_only=True)
class KpiComparison:
    """One KPI of the candidate and of one baseline over the same episodes."""

    metric: str
    """The KPI's row in the evidence: ``NAME``, or ``[SCENARIO].NAME`` in a suite."""
    baseline: str
    """Name of the baseline."""
    policy: str
    """What it stands for: a weights digest, or ``teacher:NAME``."""
    values: tuple[float | None, ...]
    """The candidate's value of each episode; none where it had no exposure."""
    baseline_values: tuple[float | None, ...]
    """The baseline's."""
    is_paired: bool
    """Whether episode i of both is the same episode."""
    is_known: bool
    """False where a number is not valid, or a pair lacks exposure on one side."""
    low: float | None = None
    """Lower end of the interval of the difference; none for fewer than two episodes, and where nothing is known."""
    high: float | None = None
    """Upper end."""

    @property
    def own(self) -> list[float]:
        """The candidate's values in episodes with exposure."""
        return [value for value in self.values if value is not None]

    @property
    def other(self) -> list[float]:
        """The baseline's values in episodes with exposure."""
        return [value for value in self.baseline_values if value is not None]

    @property
    def both(self) -> int:
        """Episodes in which both sides have exposure."""
        return len(self.differences)

    @property
    def differences(self) -> dict[int, float]:
        """Candidate − baseline by episode, where both have exposure."""
        pairs = enumerate(zip(self.values, self.baseline_values, strict=False))
        return {episode: x - b for episode, (x, b) in pairs if x is not None and b is not None}

    @property
    def means(self) -> tuple[float, float] | None:
        """The candidate's mean and the baseline's; none where there is no interval."""
        if self.low is None:
            return None
        return sum(self.own) / len(self.own), sum(self.other) / len(self.other)


def compare_kpis(evidence: EvidenceTable) -> Iterator[KpiComparison]:
    """Yield each KPI against each baseline that tells it, in the order of the evidence."""
    for row in evidence.metrics:
        for name in evidence.baselines:
            if name in row.values:  # a data set does not tell every metric
                yield _compare(evidence, row, name)


def _compare(evidence: EvidenceTable, row: PairedMetric, baseline: str) -> KpiComparison:
    candidates, others = row.values[CANDIDATE], row.values[baseline]
    unpaired, recorded = evidence.is_unpaired(baseline), evidence.is_recorded(baseline)
    is_one_sided = not recorded and bool(missing_episodes(candidates, others) or missing_episodes(others, candidates))
    is_known = not row.invalid and not is_one_sided
    own, other = ([value for value in side if value is not None] for side in (candidates, others))
    low, high = None, None
    if is_known and min(len(own), len(other)) >= 2:
        low, high = (unpaired_bounds if unpaired else paired_bounds)(own, other, ALPHA)
    return KpiComparison(
        metric=row.metric,
        baseline=baseline,
        policy=evidence.baselines[baseline],
        values=candidates,
        baseline_values=others,
        is_paired=not unpaired,
        is_known=is_known,
        low=low,
        high=high,
    )
