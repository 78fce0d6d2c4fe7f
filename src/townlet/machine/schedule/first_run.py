"""What a first run cannot compare: there is no champion yet, and nothing takes its place."""

from collections.abc import Iterator

from townlet.dto.conditions import AllOf, AnyOf, When
from townlet.dto.guards import ComparisonSpec, TailSpec
from townlet.dto.schedule import BaselineSpec, ScheduleSpec

__all__ = ["missing_comparisons"]


def missing_comparisons(schedule: ScheduleSpec) -> Iterator[str]:
    """Yield a sentence for each guard, and each edge, that needs a champion before there is one."""
    unknown = set()
    for name, guard in schedule.guards.items():
        if not isinstance(guard, ComparisonSpec | TailSpec) or not _needs_champion(schedule, guard.baseline or ""):
            continue
        answer = "it is skipped" if guard.without_baseline == "skip" else "it cannot pass"
        unknown |= set() if guard.without_baseline == "skip" else {name}
        yield (
            f"{name}: compared with {guard.baseline}; in a first run there is no champion and nothing takes its "
            f"place: {answer}"
        )
    for name, state in schedule.states.items():
        for edge in state.next:
            if _needs_one(AllOf(all=edge.when), unknown):
                yield (
                    f"{name} → {edge.to}: a first run holds before this edge; give the baseline an otherwise:, or let "
                    "a first policy be judged by fixed limits (at_least, at_most) and promoted with: {unproven: true}"
                )


def _needs_champion(schedule: ScheduleSpec, name: str) -> bool:
    """Tell whether a baseline, and each that takes its place, is an alias of the registry."""
    passed: set[str] = set()
    baseline: BaselineSpec | None = schedule.baselines.get(name)
    while baseline is not None and baseline.alias is not None:
        passed.add(name)
        name = baseline.otherwise or ""
        if not name:
            return True
        baseline = None if name in passed else schedule.baselines.get(name)
    return False


def _needs_one(when: When, unknown: set[str]) -> bool:
    """Tell whether a condition is unknown whatever the other guards say: an unknown part makes the whole unknown."""
    if isinstance(when, str):
        return when in unknown
    if isinstance(when, AllOf | AnyOf):
        return any(_needs_one(part, unknown) for part in (when.all if isinstance(when, AllOf) else when.any))
    return _needs_one(when.not_, unknown)
