"""What a first run cannot compare: there is no champion yet, and nothing takes its place."""

from collections.abc import Iterator

from townlet.dto.conditions import AllOf, AnyOf, When
from townlet.dto.evidence import RECORDED_METRICS
from townlet.dto.guards import ComparisonSpec, EvidenceGuardSpec, TailSpec
from townlet.dto.metric_name import MetricName
from townlet.dto.schedule import BaselineSpec, ScheduleSpec

__all__ = ["missing_comparisons"]


def missing_comparisons(schedule: ScheduleSpec) -> Iterator[str]:
    """Yield a sentence for each guard, and each edge, that needs a champion before there is one."""
    unknown = set()
    for name, guard in schedule.guards.items():
        if not isinstance(guard, ComparisonSpec | TailSpec) or guard.baseline is None:
            continue
        lack = _lack(schedule, guard, guard.baseline)
        if not lack:
            continue
        answer = "it is skipped" if guard.without_baseline == "skip" else "it cannot pass"
        unknown |= set() if guard.without_baseline == "skip" else {name}
        yield f"{name}: compared with {guard.baseline}; in a first run {lack}: {answer}"
    for name, state in schedule.states.items():
        for edge in state.next:
            if _needs_one(AllOf(all=edge.when), unknown):
                yield (
                    f"{name} → {edge.to}: a first run holds before this edge; give the baseline an otherwise:, or let "
                    "a first policy be judged by fixed limits (at_least, at_most) and promoted with: {unproven: true}"
                )


def _lack(schedule: ScheduleSpec, guard: ComparisonSpec | TailSpec, name: str) -> str:
    """Return why neither a baseline nor what takes its place serves a guard in a first run; empty where one does."""
    passed: set[str] = set()
    baseline: BaselineSpec | None = schedule.baselines.get(name)
    while baseline is not None and baseline.alias is not None:
        passed.add(name)
        name = baseline.otherwise or ""
        if not name:
            return "there is no champion and nothing takes its place"
        baseline = None if name in passed else schedule.baselines.get(name)
    metric = MetricName.parse(guard.metric)
    if passed and baseline is not None and baseline.data is not None and metric is not None:
        if metric.name not in RECORDED_METRICS:
            return f"a data set takes its place, which does not tell {metric.name}"
        if not isinstance(guard, EvidenceGuardSpec):
            return "a data set takes its place, which is compared with evidence alone"
        if isinstance(guard, TailSpec):
            return "a data set takes its place, and no two episodes are the same one"
    return ""


def _needs_one(when: When, unknown: set[str]) -> bool:
    """Tell whether a condition is unknown whatever the other guards say: an unknown part makes the whole unknown."""
    if isinstance(when, str):
        return when in unknown
    if isinstance(when, AllOf | AnyOf):
        return any(_needs_one(part, unknown) for part in (when.all if isinstance(when, AllOf) else when.any))
    return _needs_one(when.not_, unknown)
