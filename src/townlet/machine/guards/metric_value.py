"""The value of a metric as a guard finds it, or why there is none; and the reports on guards that have no value."""

import math

from attrs import evolve, frozen

from townlet.dto.fields import DIRECTION, Direction
from townlet.dto.guards import ComparisonSpec, EvidenceGuardSpec, GuardReport, GuardSpec, MetricGuardSpec, Verdict
from townlet.dto.metric_name import MetricName
from townlet.dto.policy import EvaluationResult, TrainingResult, statistics
from townlet.dto.policy_ref import short_ref
from townlet.errors import BadInputError
from townlet.machine.guards.baseline_margin import orientation
from townlet.machine.guards.context import GuardContext

__all__ = [
    "MetricValue",
    "baseline_label",
    "baseline_value",
    "metric_name",
    "metric_value",
    "short_digest",
    "unknown",
    "without_baseline",
]


@frozen(kw_only=True)
class MetricValue:
    """The value of a guard's metric; None where `problem` says why there is none."""

    value: float | None = None
    direction: Direction = Direction.NONE
    problem: str = ""
    episodes: int = 0
    """Episodes with exposure that it is the mean of; 0 for a statistic of a visit."""


def metric_name(guard: MetricGuardSpec) -> MetricName:
    """Return the parts of a guard's metric; BadInputError where it is none."""
    metric = MetricName.parse(guard.metric)
    if metric is None:
        raise BadInputError(f"{guard.metric!r} is not a metric; expected STATE.NAME or STATE[SCENARIO].NAME")
    return metric


def metric_value(guard: MetricGuardSpec, context: GuardContext) -> MetricValue:
    """Return the candidate's value of a guard's metric: a statistic of a visit, or a measured mean."""
    metric = metric_name(guard)
    result = context.results.get(metric.state)
    if result is None:
        return MetricValue(problem=f"{metric.state} has not been visited")
    if isinstance(result, EvaluationResult):
        return _measured_value(result, context.candidate, metric, context)
    field = statistics(type(result)).get(metric.name)
    if field is None:
        return MetricValue(problem=f"{metric.state} does not report {metric.name}")
    if result.metrics_of_weights and result.weights != context.candidate:
        digest = short_digest(result.weights)
        return MetricValue(problem=f"it was measured on other weights ({digest}) than the candidate's")
    return _finite_value(_statistic(result, metric.name), field.metadata[DIRECTION])


def _measured_value(
    result: EvaluationResult, policy: str | None, metric: MetricName, context: GuardContext
) -> MetricValue:
    spec = context.metrics[metric.name]
    evidence = context.plan.gathers.get(metric.state)
    actions = "greedy" if evidence is None else context.plan.schedule.evidence[evidence].actions
    key = (metric.name, metric.scenario or context.plan.schedule.environment.scenario, actions)
    measurements = [m for m in result.measurements if (m.metric, m.scenario, m.actions) == key]
    measurement = next((m for m in measurements if m.policy == policy), None)
    if measurement is None:
        policies = ", ".join(sorted({short_digest(m.policy) for m in measurements}))
        other = f" (it was measured on {policies})" if policies else ""
        return MetricValue(problem=f"it was not measured on {short_digest(policy)}{other}")
    if measurement.unit != spec.unit:
        return MetricValue(problem=f"it was measured in {measurement.unit}, expected {spec.unit}")
    for each in result.invalid:
        if (each.metric, each.scenario, each.actions, each.policy) == (*key, policy):
            return MetricValue(problem=each.sentence)
    return evolve(_finite_value(measurement.value, spec.direction), episodes=measurement.episodes)


def _finite_value(value: float | None, direction: Direction) -> MetricValue:
    if value is None or not math.isfinite(value):
        return MetricValue(problem=f"its value is {'missing' if value is None else value}")
    return MetricValue(value=value, direction=direction)


def _statistic(result: TrainingResult, name: str) -> float | None:
    value = getattr(result, name)
    return None if value is None else float(value)


def baseline_value(guard: ComparisonSpec, direction: Direction, context: GuardContext) -> MetricValue:
    """Return the baseline's value, for `accepted` the best among accepted visits; of none its value is None."""
    metric, baseline = metric_name(guard), guard.margin.baseline
    result = context.results[metric.state]
    if isinstance(result, EvaluationResult):
        digest = context.baseline_digests.get(baseline)
        return MetricValue() if digest is None else _measured_value(result, digest, metric, context)
    if baseline != "accepted":
        return MetricValue()
    source = context.plan.schedule.baselines[baseline].of
    values = [
        _statistic(each.result, metric.name)
        for each in context.accepted
        if each.state == source and metric.name in statistics(type(each.result))
    ]
    finite = [value for value in values if value is not None and math.isfinite(value)]
    if not finite:
        return MetricValue()
    sign = orientation(direction, guard.metric)
    return MetricValue(value=max(finite, key=lambda value: sign * value))


def short_digest(policy: str | None) -> str:
    """Return a policy as sentences name it."""
    return "none" if policy is None else short_ref(policy)


def without_baseline(name: str, guard: ComparisonSpec | EvidenceGuardSpec) -> GuardReport:
    """Return the report on a guard whose baseline does not exist: SKIPPED where the guard says so, else UNKNOWN."""
    reason = f"there is no {guard.baseline} to compare it with"
    if guard.without_baseline == "skip":
        sentence = f"{guard.metric} was not compared: {reason}"
        return GuardReport(guard=name, verdict=Verdict.SKIPPED, metric=guard.metric, sentence=sentence)
    return unknown(name, guard, reason)


def unknown(name: str, guard: GuardSpec, reason: str) -> GuardReport:
    """Return the report on a guard that cannot be evaluated, and why."""
    sentence = f"{guard.subject} is not known: {reason}"
    return GuardReport(guard=name, verdict=Verdict.UNKNOWN, metric=guard.subject, sentence=sentence)


def baseline_label(baseline: str | None, context: GuardContext) -> str:
    """Return a baseline as sentences name it: with the policy it was pinned to; empty for none."""
    digest = context.baseline_digests.get(baseline or "")
    return baseline or "" if digest is None else f"{baseline} ({short_digest(digest)})"
