"""Evaluate the guards of a finished visit from the run state and stored evidence.

`evaluate_guard` dispatches on the kind of guard: each kind in `townlet.dto.guards` has one registered function.
"""

import json
from collections.abc import Mapping
from functools import singledispatch

from attrs import evolve, frozen

from townlet.canonical import digest_of
from townlet.dto.codec import structure
from townlet.dto.evidence import EvidenceTable
from townlet.dto.guards import (
    ComparisonSpec,
    EvidenceGuardSpec,
    GuardReport,
    GuardSpec,
    LimitSpec,
    PairedComparisonSpec,
    TailSpec,
    Verdict,
    VisitCountSpec,
)
from townlet.dto.journal import GuardsJudged
from townlet.dto.metrics import MetricSpec
from townlet.dto.schedule import Plan
from townlet.errors import BadInputError
from townlet.machine.guards.baseline_margin import RULE, BaselineMargin
from townlet.machine.guards.context import GuardContext
from townlet.machine.guards.evidence_guards import evaluate_evidence_guard, is_settled
from townlet.machine.guards.metric_value import (
    baseline_label,
    baseline_value,
    metric_name,
    metric_value,
    unknown,
    without_baseline,
)
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
        return unknown(name, guard, f"it could not be judged ({type(error).__name__}: {error})")


def is_decided(table: EvidenceTable, state: str, context: GuardContext) -> bool:
    """Return whether every guard on this evidence of `state` is decided by the looks in the table."""
    schedule = context.plan.schedule
    used = {name: schedule.guards[name] for source in schedule.states for name in guards_of(schedule, source)}
    return all(
        is_settled(name, guard, table, context)
        for name, guard in used.items()
        if isinstance(guard, EvidenceGuardSpec)
        and guard.evidence == table.evidence
        and metric_name(guard).state == state
    )


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
    metric = metric_value(guard, context)
    if metric.value is None:
        return unknown(name, guard, metric.problem)
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
    metric = metric_value(guard, context)
    if metric.value is None:
        return unknown(name, guard, metric.problem)
    baseline = baseline_value(guard, metric.direction, context)
    if baseline.value is None:
        return without_baseline(name, guard)
    if metric.episodes != baseline.episodes and context.rule > 1:
        reason = f"a mean of {metric.episodes} episodes, the baseline's of {baseline.episodes}; use `evidence`"
        return evolve(unknown(name, guard, reason), rule=context.rule)
    label = baseline_label(guard.baseline, context)
    margin = BaselineMargin(name=name, guard=guard, baseline_name=label, direction=metric.direction, rule=context.rule)
    return margin.compare(metric.value, baseline.value)


@_evaluate.register
def _evaluate_paired_comparison(guard: PairedComparisonSpec, name: str, context: GuardContext) -> GuardReport:
    return evaluate_evidence_guard(name, guard, context)


@_evaluate.register
def _evaluate_tail(guard: TailSpec, name: str, context: GuardContext) -> GuardReport:
    return evaluate_evidence_guard(name, guard, context)
