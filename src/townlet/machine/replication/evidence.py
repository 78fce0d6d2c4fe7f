"""What the last evidence of a run says of its candidate: the values per episode, and the gains over baselines."""

import json
import math
from collections.abc import Sequence

from attrs import frozen

from townlet.dto.codec import Record, structure
from townlet.dto.evidence import EvidenceTable, PairedMetric
from townlet.dto.guards import PairedComparisonSpec, Relation
from townlet.dto.metric_name import MetricName
from townlet.dto.schedule import ScheduleSpec
from townlet.estimate import paired
from townlet.machine.audit.snapshot import RunSnapshot
from townlet.store.blobs import BlobStore

__all__ = ["Gain", "GuardedKpi", "gain_of", "guarded_kpis", "known_values", "last_evidence"]


@frozen(kw_only=True)
class GuardedKpi:
    """A KPI that a schedule compares with a baseline over episodes."""

    metric: str
    """``NAME``, or ``[SCENARIO].NAME``, as evidence has it."""
    baseline: str
    """Name of the baseline."""


@frozen(kw_only=True)
class Gain(Record):
    """One KPI of a run's candidate beside a baseline's, over the episodes of its last evidence."""

    metric: str
    """Name of the KPI."""
    against: str
    """Name of the baseline."""
    candidate: float
    """Mean of the candidate's episodes."""
    baseline: float
    """Mean of the baseline's."""
    gain: float
    """Mean difference, candidate − baseline."""
    error: float
    """Standard error of it within this run."""
    pairs: int
    """Pairs of episodes."""
    left_out: int
    """Episodes in which either side has no value."""


def last_evidence(snapshot: RunSnapshot, blobs: BlobStore) -> EvidenceTable | None:
    """Return the evidence that a run gathered last; None where it gathered none."""
    digest = snapshot.state.evidence
    return None if digest is None else structure(json.loads(blobs.get(digest)), EvidenceTable)


def guarded_kpis(schedule: ScheduleSpec) -> tuple[GuardedKpi, ...]:
    """Return the KPIs that a schedule's guards compare over episodes; those that must become better come first."""
    guards = [guard for guard in schedule.guards.values() if isinstance(guard, PairedComparisonSpec)]
    guards.sort(key=lambda guard: guard.relation is not Relation.BETTER_BY)
    names = ((MetricName.parse(guard.metric), guard.margin.baseline) for guard in guards)
    return tuple(dict.fromkeys(GuardedKpi(metric=name.row, baseline=pin) for name, pin in names if name))


def known_values(row: PairedMetric, policy: str) -> list[float | None]:
    """Return a policy's value of each episode; None where it has none, everywhere where any number was not valid."""
    values = list(row.values[policy])
    return [None] * len(values) if row.invalid.get(policy) else values


def gain_of(table: EvidenceTable, kpi: GuardedKpi) -> Gain | None:
    """Return the gain of a table's candidate; None where fewer than two pairs have both values."""
    row = next((row for row in table.metrics if row.metric == kpi.metric), None)
    if row is None or kpi.baseline not in row.values:
        return None
    sides = known_values(row, "candidate"), known_values(row, kpi.baseline)
    if table.is_recorded(kpi.baseline):  # a data set has its own number of episodes
        candidates, baselines = ([value for value in side if value is not None] for side in sides)
    else:
        pairs = [(x, b) for x, b in zip(*sides, strict=True) if x is not None and b is not None]
        candidates, baselines = [x for x, _ in pairs], [b for _, b in pairs]
    if min(len(candidates), len(baselines)) < 2:
        return None
    own, other = paired(candidates), paired(baselines)
    return Gain(
        metric=kpi.metric,
        against=kpi.baseline,
        candidate=own.mean,
        baseline=other.mean,
        gain=own.mean - other.mean,
        error=_error(candidates, baselines, unpaired=table.is_unpaired(kpi.baseline)),
        pairs=len(candidates),
        left_out=len(sides[0]) - len(candidates),
    )


def _error(candidates: Sequence[float], baselines: Sequence[float], *, unpaired: bool) -> float:
    """Return the standard error of the difference of the means."""
    sides = [candidates, baselines] if unpaired else [[x - b for x, b in zip(candidates, baselines, strict=True)]]
    return math.sqrt(math.fsum(paired(side).sd ** 2 / len(side) for side in sides))
