"""What guards ask must have an answer: metrics that exist, with a direction, measured on what the baseline has too."""

import re
from collections.abc import Iterator

from attrs import frozen

from townlet.dto.codec import Problem
from townlet.dto.fields import DIRECTION, Direction
from townlet.dto.guards import GuardSpec, MarginSpec
from townlet.dto.policy import statistics
from townlet.machine.schedule.partial import PartialSchedule, PartialState, unknown_name

__all__ = ["MetricName", "check_guards"]

_METRIC = re.compile(r"(?P<state>[^.\[\]]+)(\[(?P<scenario>[^\[\]]+)\])?\.(?P<name>[^.\[\]]+)")


@frozen
class MetricName:
    """What ``STATE.NAME`` and ``STATE[SCENARIO].NAME`` say."""

    state: str
    """State whose visits give the metric."""
    scenario: str | None
    """Scenario of a suite."""
    name: str
    """Field of the result, or KPI of the environment."""

    @classmethod
    def parse(cls, text: str | None) -> "MetricName | None":
        """Return the parts of a metric's name; None where it has none."""
        match = _METRIC.fullmatch(text or "")
        return cls(match["state"], match["scenario"], match["name"]) if match else None


def check_guards(partial: PartialSchedule) -> Iterator[Problem]:
    """Yield the guards that ask what nobody can answer."""
    for name, guard in partial.guards.items():
        if guard is not None and guard.visits_to is not None:
            yield from _check_counter(partial, guard, guard.visits_to, ("guards", name))
        elif guard is not None:
            yield from _check_guard(partial, guard, ("guards", name))


def _check_counter(
    partial: PartialSchedule, guard: GuardSpec, counted: str, here: tuple[str, ...]
) -> Iterator[Problem]:
    if counted not in partial.states:
        yield unknown_name("state", counted, partial.states, (*here, "visits_to"))
    if guard.below is not None and guard.below < 1:
        yield Problem((*here, "below"), f"expected at least 1, found {guard.below}: it could never hold")


def _check_guard(partial: PartialSchedule, guard: GuardSpec, here: tuple[str, ...]) -> Iterator[Problem]:
    metric = MetricName.parse(guard.metric)
    if metric is None:
        yield Problem((*here, "metric"), f"expected STATE.NAME or STATE[SCENARIO].NAME, found {guard.metric!r}")
    elif metric.state not in partial.states:
        yield unknown_name("state", metric.state, partial.states, (*here, "metric"))
    else:
        yield from _check_metric(partial, guard, metric, here)
    if guard.evidence is not None and guard.evidence not in partial.evidence:
        yield unknown_name("evidence", guard.evidence, partial.evidence, (*here, "evidence"))
    margin = guard.margin
    if margin is not None:
        question = next(q for q in ("not_worse_than", "better_by", "worse_by") if getattr(guard, q) is margin)
        path = (*here, question, "baseline")
        if margin.baseline not in partial.baselines:
            yield unknown_name("baseline", margin.baseline, partial.baselines, path)
        elif metric is not None:
            yield from _check_comparison(partial, guard, margin, metric, path)


def _check_metric(
    partial: PartialSchedule, guard: GuardSpec, metric: MetricName, here: tuple[str, ...]
) -> Iterator[Problem]:
    state, path = partial.states[metric.state], (*here, "metric")
    known = _directions(partial, state, metric.scenario)
    if state.strategy is None or known is None:
        return
    if metric.name not in known:
        yield unknown_name(f"metric of {metric.state}", metric.name, known, path)
        return
    if guard.margin is not None and known[metric.name] == Direction.NONE:
        yield Problem(
            path,
            f"{metric.name!r} has no better direction, so nothing can be better or worse; expected at_least or at_most",
        )
    statistic = metric.name in statistics(state.strategy.result)
    gathered = state.gathers
    yield from _check_scenario(partial, metric, gathered, path, statistic=statistic)
    if guard.evidence is None or guard.evidence not in partial.evidence:
        return
    if statistic or not state.strategy.measures:
        yield Problem(
            path,
            f"{metric.state}.{metric.name} is a statistic of one visit, not measured in paired episodes; "
            "leave evidence out",
        )
    elif gathered in partial.evidence and gathered != guard.evidence:
        yield Problem((*here, "evidence"), f"state {metric.state!r} gathers {gathered!r}, not {guard.evidence!r}")


def _directions(partial: PartialSchedule, state: PartialState, scenario: str | None) -> dict[str, Direction] | None:
    """Return the better direction of every metric of a state, in a scenario of a suite only what it measures too.

    None where it cannot be known.
    """
    if state.strategy is None or (state.strategy.measures and partial.environment is None):
        return None
    own = {name: attribute.metadata[DIRECTION] for name, attribute in statistics(state.strategy.result).items()}
    measured = partial.environment.metrics if state.strategy.measures and partial.environment else ()
    suite = partial.suites.get(scenario) if scenario else None
    there = {metric.name for metric in (measured if suite is None else suite.metrics)}
    return own | {metric.name: metric.direction for metric in measured if metric.name in there}


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


def _check_comparison(
    partial: PartialSchedule, guard: GuardSpec, margin: MarginSpec, metric: MetricName, path: tuple[str, ...]
) -> Iterator[Problem]:
    """Yield where a comparison could never be made: the baseline does not have the metric, or no episodes."""
    state, baseline = partial.states.get(metric.state), partial.baselines[margin.baseline]
    if state is None or state.strategy is None or baseline is None:
        return
    statistic = metric.name in statistics(state.strategy.result)
    if margin.baseline == "accepted":
        if guard.evidence is not None or not statistic:
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
            f"{metric.state}.{metric.name} is a training statistic, which baseline {margin.baseline!r} does "
            "not have; expected 'accepted'",
        )
