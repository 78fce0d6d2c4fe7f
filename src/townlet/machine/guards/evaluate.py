"""Evaluate the guards of a finished visit from the run state and stored evidence.

`evaluate_guard` dispatches on the kind of guard: each kind in `townlet.dto.guards` has one registered function.
"""

import json
import math
from collections.abc import Mapping
from functools import singledispatch

from attrs import evolve, frozen

from townlet.canonical import digest_of
from townlet.dto.codec import structure
from townlet.dto.evidence import EvidenceTable, PairedMetric
from townlet.dto.fields import DIRECTION, Direction
from townlet.dto.guards import (
    ComparisonSpec,
    GuardReport,
    GuardSpec,
    LimitSpec,
    MetricGuardSpec,
    PairedComparisonSpec,
    Verdict,
    VisitCountSpec,
)
from townlet.dto.journal import GuardsJudged
from townlet.dto.metric_name import MetricName
from townlet.dto.metrics import MetricSpec
from townlet.dto.policy import EvaluationResult, TrainingResult, statistics
from townlet.dto.schedule import Plan
from townlet.errors import BadInputError
from townlet.machine.guards.baseline_margin import RULE, BaselineMargin, orientation
from townlet.machine.guards.context import GuardContext
from townlet.machine.guards.look_errors import look_errors
from townlet.machine.guards.paired_test import PairedComparison, sequential_paired_test
from townlet.machine.guards.verdicts import guards_of
from townlet.machine.journal.run_state import OpenVisit, RunState
from townlet.machine.journal.semantic_hash import semantic_form
from townlet.store.blobs import BlobStore

__all__ = ["GuardEvaluator", "evaluate_guard", "is_decided", "report_hash"]


@frozen(kw_only=True)
class GuardEvaluator:
    """Evaluates the guards of one run's visits; the engine and the audit use the same."""

    plan: Plan
    """The schedule in force."""
    metrics: Mapping[str, MetricSpec]
    """The environment's KPIs by name."""
    blobs: BlobStore
    """Where the evidence is stored."""

    def reports(self, run: RunState, visit: OpenVisit, rule: int = RULE) -> tuple[GuardReport, ...]:
        """Return the report of every guard named on any edge of the visit's state, each once, none left out.

        `rule` is the version that a verdict of an earlier Townlet is derived again by.
        """
        guards, context = self.plan.schedule.guards, evolve(self._context(run, visit, run.candidate), rule=rule)
        return tuple(evaluate_guard(name, guards[name], context) for name in guards_of(self.plan.schedule, visit.state))

    def is_decided(self, run: RunState, visit: OpenVisit, table: EvidenceTable) -> bool:
        """Return whether the looks in a table decide every guard on this evidence."""
        return is_decided(table, visit.state, self._context(run, visit, table.candidate))

    def _context(self, run: RunState, visit: OpenVisit, candidate: str | None) -> GuardContext:
        return GuardContext(
            plan=self.plan,
            metrics=self.metrics,
            candidate=candidate,
            visits=run.visits,
            results=run.results,
            accepted=run.accepted,
            baseline_digests=visit.baseline_digests,
            table=self._table,
        )

    def _table(self, digest: str) -> EvidenceTable:
        return structure(json.loads(self.blobs.get(digest)), EvidenceTable)


def report_hash(visit: OpenVisit) -> str:
    """Return the SHA-256 of a visit's guard reports: what an approval is bound to.

    Fields that reports gained later count only where they hold something, so that approvals of earlier versions fit.
    """
    judged = GuardsJudged(state=visit.state, visit=visit.number, reports=visit.reports or ())
    return digest_of(semantic_form(judged))


def evaluate_guard(name: str, guard: GuardSpec, context: GuardContext) -> GuardReport:
    """Return a guard's report; never raises: a guard that cannot be evaluated is UNKNOWN, and its sentence says why."""
    try:
        return _evaluate(guard, name, context)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a guard must hold the run, never end or pass it
        # The word stands in journals of earlier versions, whose verdicts are derived again and compared.
        return _unknown(name, guard, f"it could not be judged ({type(error).__name__}: {error})")


def is_decided(table: EvidenceTable, state: str, context: GuardContext) -> bool:
    """Return whether every guard on this evidence of `state` is decided by the looks in the table."""
    schedule = context.plan.schedule
    used = {name: schedule.guards[name] for source in schedule.states for name in guards_of(schedule, source)}
    comparisons = [
        _paired_comparison(name, guard, context, table)
        for name, guard in used.items()
        if isinstance(guard, PairedComparisonSpec)
        and guard.evidence == table.evidence
        and _metric_name(guard).state == state
    ]
    return all(not each.baseline or sequential_paired_test(each).settled for each in comparisons)


# One function per kind of guard


@singledispatch
def _evaluate(guard: GuardSpec, name: str, context: GuardContext) -> GuardReport:
    """Return the report on one guard; BadInputError for a kind without a function below."""
    raise BadInputError(f"guard {name!r} is of kind {type(guard).__name__}, which has no evaluate function")


@_evaluate.register
def _evaluate_visit_count(guard: VisitCountSpec, name: str, context: GuardContext) -> GuardReport:
    count = context.visits.get(guard.visits_to, 0)
    holds = count < guard.below
    return GuardReport(
        guard=name,
        verdict=Verdict.PASS if holds else Verdict.FAIL,
        metric=guard.subject,
        value=float(count),
        limit=float(guard.below),
        sentence=f"{guard.subject}: {count} is {'' if holds else 'not '}below {guard.below}",
    )


@_evaluate.register
def _evaluate_limit(guard: LimitSpec, name: str, context: GuardContext) -> GuardReport:
    metric = _metric_value(guard, context)
    if metric.value is None:
        return _unknown(name, guard, metric.problem)
    holds = guard.holds(metric.value)
    return GuardReport(
        guard=name,
        verdict=Verdict.PASS if holds else Verdict.FAIL,
        metric=guard.metric,
        value=metric.value,
        limit=guard.nearest_limit(metric.value),
        sentence=f"{guard.metric} {metric.value:.4g} is {'' if holds else 'not '}{guard.phrase}",
    )


@_evaluate.register
def _evaluate_comparison(guard: ComparisonSpec, name: str, context: GuardContext) -> GuardReport:
    metric = _metric_value(guard, context)
    if metric.value is None:
        return _unknown(name, guard, metric.problem)
    baseline = _baseline_value(guard, metric.direction, context)
    if baseline.value is None:
        return _without_baseline(name, guard)
    if metric.episodes != baseline.episodes and context.rule > 1:
        reason = f"a mean of {metric.episodes} episodes, the baseline's of {baseline.episodes}; use `evidence`"
        return evolve(_unknown(name, guard, reason), rule=context.rule)
    return _baseline_margin(name, guard, metric.direction, context).compare(metric.value, baseline.value)


@_evaluate.register
def _evaluate_paired_comparison(guard: PairedComparisonSpec, name: str, context: GuardContext) -> GuardReport:
    state = _metric_name(guard).state
    result = context.results.get(state)
    if not isinstance(result, EvaluationResult):
        return _unknown(name, guard, f"there is no evidence from {state}")
    visit = context.visits.get(state, 0)
    if visit > context.plan.most_visits[state]:
        return _unknown(name, guard, f"visit {visit} to {state} is beyond those the error was divided over")
    table = context.table(result.evidence)
    if problem := _evidence_problem(guard, table, context):
        return _unknown(name, guard, problem)
    comparison = _paired_comparison(name, guard, context, table)
    return sequential_paired_test(comparison).report if comparison.baseline else _without_baseline(name, guard)


# Values, baselines and evidence


@frozen(kw_only=True)
class MetricValue:
    """The value of a guard's metric; None where `problem` says why there is none."""

    value: float | None = None
    direction: Direction = Direction.NONE
    problem: str = ""
    episodes: int = 0
    """Episodes with exposure that it is the mean of; 0 for a statistic of a visit."""


def _metric_name(guard: MetricGuardSpec) -> MetricName:
    metric = MetricName.parse(guard.metric)
    if metric is None:
        raise BadInputError(f"{guard.metric!r} is not a metric; expected STATE.NAME or STATE[SCENARIO].NAME")
    return metric


def _metric_value(guard: MetricGuardSpec, context: GuardContext) -> MetricValue:
    metric = _metric_name(guard)
    result = context.results.get(metric.state)
    if result is None:
        return MetricValue(problem=f"{metric.state} has not been visited")
    if isinstance(result, EvaluationResult):
        return _measured_value(result, context.candidate, metric, context)
    field = statistics(type(result)).get(metric.name)
    if field is None:
        return MetricValue(problem=f"{metric.state} does not report {metric.name}")
    if result.metrics_of_weights and result.weights != context.candidate:
        digest = _short_digest(result.weights)
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
        policies = ", ".join(sorted({_short_digest(m.policy) for m in measurements}))
        other = f" (it was measured on {policies})" if policies else ""
        return MetricValue(problem=f"it was not measured on {_short_digest(policy)}{other}")
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


def _baseline_value(guard: ComparisonSpec, direction: Direction, context: GuardContext) -> MetricValue:
    """Return the baseline's value, for `accepted` the best among accepted visits; of none its value is None."""
    metric, baseline = _metric_name(guard), guard.margin.baseline
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


def _evidence_problem(guard: PairedComparisonSpec, table: EvidenceTable, context: GuardContext) -> str:
    """Return why a table is not the evidence this guard needs; empty where it is."""
    baseline = guard.margin.baseline
    declared = context.plan.schedule.evidence[guard.evidence].episodes
    if table.evidence != guard.evidence:
        return f"the visit gathered {table.evidence!r}, not {guard.evidence!r}"
    if table.candidate != context.candidate:
        return f"the evidence is about other weights ({_short_digest(table.candidate)}) than the candidate's"
    if not table.looks or table.looks != declared[: len(table.looks)]:
        return f"looks were taken after {list(table.looks)} episodes, declared were {list(declared)}"
    digest = context.baseline_digests.get(baseline)
    if digest is not None and table.baselines.get(baseline, digest) != digest:
        return f"the evidence names another {baseline} ({table.baselines[baseline]}) than this visit pinned ({digest})"
    return ""


def _paired_comparison(
    name: str, guard: PairedComparisonSpec, context: GuardContext, table: EvidenceTable
) -> PairedComparison:
    metric, baseline = _metric_name(guard), guard.margin.baseline
    row = next((row for row in table.metrics if row.metric == metric.row), PairedMetric(metric=metric.row, values={}))
    evidence = context.plan.schedule.evidence[guard.evidence]
    return PairedComparison(
        margin=_baseline_margin(name, guard, context.metrics[metric.name].direction, context),
        candidate=row.values.get("candidate", ()),
        baseline=row.values.get(baseline, ()) if baseline in context.baseline_digests else (),
        invalid=(row.invalid.get("candidate", ()), row.invalid.get(baseline, ())),
        looks=table.looks,
        errors=look_errors(evidence, context.plan, max(1, context.visits.get(metric.state, 0)), context.rule),
        seed=table.seed,
        unpaired=table.unpaired,
    )


def _baseline_margin(name: str, guard: ComparisonSpec, direction: Direction, context: GuardContext) -> BaselineMargin:
    baseline = guard.margin.baseline
    digest = context.baseline_digests.get(baseline)
    label = baseline if digest is None else f"{baseline} ({_short_digest(digest)})"
    return BaselineMargin(name=name, guard=guard, baseline_name=label, direction=direction, rule=context.rule)


def _short_digest(policy: str | None) -> str:
    return "none" if policy is None else policy if ":" in policy else policy[:12]


def _without_baseline(name: str, guard: ComparisonSpec) -> GuardReport:
    reason = f"there is no {guard.margin.baseline} to compare it with"
    if guard.without_baseline == "skip":
        sentence = f"{guard.metric} was not compared: {reason}"
        return GuardReport(guard=name, verdict=Verdict.SKIPPED, metric=guard.metric, sentence=sentence)
    return _unknown(name, guard, reason)


def _unknown(name: str, guard: GuardSpec, reason: str) -> GuardReport:
    sentence = f"{guard.subject} is not known: {reason}"
    return GuardReport(guard=name, verdict=Verdict.UNKNOWN, metric=guard.subject, sentence=sentence)
