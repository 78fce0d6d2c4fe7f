"""Checks of guards: each metric exists and has a direction where one is needed, and its baseline measures it too."""

from collections.abc import Iterator

from townlet.dto.codec import Problem
from townlet.dto.evidence import RECORDED_METRICS
from townlet.dto.fields import DIRECTION, Direction
from townlet.dto.guards import (
    ComparisonSpec,
    EvidenceGuardSpec,
    GuardSpec,
    MetricGuardSpec,
    PairedComparisonSpec,
    TailSpec,
    VisitCountSpec,
)
from townlet.dto.metric_name import MetricName
from townlet.dto.policy import statistics
from townlet.machine.schedule.partial import PartialSchedule, PartialState, unknown_name

__all__ = ["check_guards"]

Path = tuple[str, ...]


def check_guards(partial: PartialSchedule) -> Iterator[Problem]:
    """Yield the guards that could never be evaluated."""
    for name, guard in partial.guards.items():
        if guard is not None:
            yield from _check_guard(partial, guard, ("guards", name))


def _check_guard(partial: PartialSchedule, guard: GuardSpec, path: Path) -> Iterator[Problem]:
    match guard:
        case VisitCountSpec():
            yield from _check_visit_count(partial, guard, path)
        case MetricGuardSpec():
            yield from _check_metric_guard(partial, guard, path)
        case _:
            yield Problem(path, f"guards of kind {type(guard).__name__} have no check")


def _check_visit_count(partial: PartialSchedule, guard: VisitCountSpec, path: Path) -> Iterator[Problem]:
    if guard.visits_to not in partial.states:
        yield unknown_name("state", guard.visits_to, partial.states, (*path, "visits_to"))
    if guard.below < 1:
        yield Problem((*path, "below"), f"expected at least 1, found {guard.below}: it could never hold")


def _check_metric_guard(partial: PartialSchedule, guard: MetricGuardSpec, path: Path) -> Iterator[Problem]:
    metric = MetricName.parse(guard.metric)
    if metric is None:
        yield Problem((*path, "metric"), f"expected STATE.NAME or STATE[SCENARIO].NAME, found {guard.metric!r}")
    elif metric.state not in partial.states:
        yield unknown_name("state", metric.state, partial.states, (*path, "metric"))
    else:
        yield from _check_metric(partial, guard, metric, path)
    if isinstance(guard, EvidenceGuardSpec) and guard.evidence not in partial.evidence:
        yield unknown_name("evidence", guard.evidence, partial.evidence, (*path, "evidence"))
    if isinstance(guard, TailSpec) and guard.baseline is None and guard.without_baseline == "skip":
        yield Problem(
            (*path, "without_baseline"),
            f"{guard.tag} has no baseline that could be missing; leave without_baseline out",
        )
    if guard.baseline is not None:
        tag = guard.relation if isinstance(guard, ComparisonSpec) else "share_worse"
        yield from _check_baseline(partial, guard, guard.baseline, metric, (*path, tag, "baseline"))


def _check_metric(
    partial: PartialSchedule, guard: MetricGuardSpec, metric: MetricName, path: Path
) -> Iterator[Problem]:
    """Yield where the state does not give the metric, or not in the way the guard needs it."""
    state, metric_path = partial.states[metric.state], (*path, "metric")
    directions = _directions(partial, state, metric.scenario)
    if state.strategy is None or directions is None:
        return
    if metric.name not in directions:
        yield unknown_name(f"metric of {metric.state}", metric.name, directions, metric_path)
        return
    if guard.baseline is not None and directions[metric.name] == Direction.NONE:
        yield Problem(
            metric_path,
            f"{metric.name!r} has no better direction, so nothing can be better or worse; expected at_least, at_most, "
            "between, share_below or share_above",
        )
    statistic = metric.name in statistics(state.strategy.result)
    yield from _check_scenario(partial, metric, state.gathers, metric_path, statistic=statistic)
    if not isinstance(guard, EvidenceGuardSpec) or guard.evidence not in partial.evidence:
        return
    if statistic or not state.strategy.measures:
        yield Problem(
            metric_path,
            f"{metric.state}.{metric.name} is a statistic of one visit, not measured in paired episodes; "
            "leave evidence out",
        )
    elif state.gathers in partial.evidence and state.gathers != guard.evidence:
        yield Problem((*path, "evidence"), f"state {metric.state!r} gathers {state.gathers!r}, not {guard.evidence!r}")
    elif isinstance(guard, PairedComparisonSpec) and guard.test == "count":
        yield from _check_count(partial, guard, metric, path)


def _check_count(
    partial: PartialSchedule, guard: PairedComparisonSpec, metric: MetricName, path: Path
) -> Iterator[Problem]:
    """Yield where events cannot be counted: the metric is none, or an episode may stand for unknown events."""
    measured = partial.environment.metrics if partial.environment else ()
    if not next((spec.is_count for spec in measured if spec.name == metric.name), True):
        counts = ", ".join(spec.name for spec in measured if spec.is_count) or "none of this environment"
        yield Problem(
            (*path, "test"),
            f"{metric.name!r} is not declared as a number of events ({counts} are); leave test out, or declare the KPI "
            "with is_count: true",
        )
    if guard.missing == "worst":
        yield Problem(
            (*path, "missing"), "nobody knows how many events an episode without exposure stands for; expected drop"
        )


def _directions(partial: PartialSchedule, state: PartialState, scenario: str | None) -> dict[str, Direction] | None:
    """Return the better direction of every metric of a state, in a scenario of a suite only what it measures too.

    None where it cannot be known.
    """
    if state.strategy is None or (state.strategy.measures and partial.environment is None):
        return None
    own = {name: attribute.metadata[DIRECTION] for name, attribute in statistics(state.strategy.result).items()}
    measured = partial.environment.metrics if state.strategy.measures and partial.environment else ()
    suite = partial.suites.get(scenario) if scenario else None
    names = {metric.name for metric in (measured if suite is None else suite.metrics)}
    return own | {metric.name: metric.direction for metric in measured if metric.name in names}


def _check_scenario(
    partial: PartialSchedule, metric: MetricName, gathered: str | None, path: tuple[str, ...], *, statistic: bool
) -> Iterator[Problem]:
    evidence = partial.evidence.get(gathered or "")
    if metric.scenario is not None and (statistic or gathered is None):
        yield Problem(
            path, f"state {metric.state!r} plays no scenarios for this; expected {metric.state}.{metric.name}"
        )
    elif evidence is None:
        return
    elif metric.scenario is not None and metric.scenario not in evidence.scenarios:
        yield unknown_name("scenario of the suite", metric.scenario, evidence.scenarios, path)
    elif metric.scenario is None and evidence.scenarios and not statistic:
        example = f"'{metric.state}[{evidence.scenarios[0]}].{metric.name}'"
        yield Problem(path, f"{metric.state!r} plays a suite; say which scenario is meant, such as {example}")


def _check_baseline(
    partial: PartialSchedule, guard: MetricGuardSpec, name: str, metric: MetricName | None, path: Path
) -> Iterator[Problem]:
    """Yield where a comparison could never be made: the baseline does not have the metric, or no episodes."""
    if name not in partial.baselines:
        yield unknown_name("baseline", name, partial.baselines, path)
        return
    state, baseline = partial.states.get(metric.state) if metric else None, partial.baselines[name]
    if metric is None or state is None or state.strategy is None or baseline is None:
        return
    statistic = metric.name in statistics(state.strategy.result)
    if baseline.data is not None:
        yield from _check_data(guard, metric, path)
    elif name == "accepted":
        if isinstance(guard, EvidenceGuardSpec) or not statistic:
            yield Problem(
                path,
                "'accepted' remembers the best training statistic of earlier visits and has no episodes; "
                "expected an alias, a policy or 'parent'",
            )
        elif baseline.of is not None and baseline.of != metric.state:
            yield Problem(path, f"'accepted' is of {baseline.of!r} and has no statistic of {metric.state!r}")
    elif statistic:
        yield Problem(
            path,
            f"{metric.state}.{metric.name} is a training statistic, which baseline {name!r} does "
            "not have; expected 'accepted'",
        )


def _check_data(guard: MetricGuardSpec, metric: MetricName, path: Path) -> Iterator[Problem]:
    """Yield where recorded episodes do not say what a guard asks: they have returns and lengths, and no pairs."""
    if metric.scenario is not None:
        yield Problem(path, "recorded episodes belong to one scenario, and a suite's metrics are compared in each")
    elif metric.name not in RECORDED_METRICS:
        yield Problem(path, f"recorded episodes tell {' and '.join(RECORDED_METRICS)}, and no {metric.name}")
    elif not isinstance(guard, PairedComparisonSpec) or guard.test == "count":
        yield Problem(
            path,
            "recorded episodes are compared by their mean, with confidence; expected not_worse_than, better_by or "
            "worse_by with evidence",
        )
