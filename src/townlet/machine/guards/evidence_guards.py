"""Guards that are decided by stored episodes: the evidence of each, and the test that it names."""

from typing import assert_never

import attrs

from townlet.dto.evidence import CANDIDATE, EvidenceTable, PairedMetric
from townlet.dto.guards import EvidenceGuardSpec, GuardReport, PairedComparisonSpec, TailSpec
from townlet.dto.policy import EvaluationResult
from townlet.machine.guards.baseline_margin import BaselineMargin
from townlet.machine.guards.context import GuardContext
from townlet.machine.guards.episodes import SequentialDecision, StoredEpisodes
from townlet.machine.guards.look_errors import look_errors
from townlet.machine.guards.metric_value import baseline_label, metric_name, short_digest, unknown, without_baseline
from townlet.machine.guards.paired_comparison import PairedComparison
from townlet.machine.guards.paired_test import sequential_paired_test
from townlet.machine.guards.share_test import ShareQuestion, sequential_share_test

__all__ = ["evaluate_evidence_guard", "is_settled"]


def evaluate_evidence_guard(name: str, guard: EvidenceGuardSpec, context: GuardContext) -> GuardReport:
    """Return the report on a guard from the evidence that its state gathered in this visit."""
    state = metric_name(guard).state
    result = context.results.get(state)
    if not isinstance(result, EvaluationResult):
        return unknown(name, guard, f"there is no evidence from {state}")
    visit = context.visits.get(state, 0)
    if visit > context.plan.most_visits[state]:
        return unknown(name, guard, f"visit {visit} to {state} is beyond those the error was divided over")
    table = context.table(result.evidence)
    if problem := _problem(guard, table, context):
        return unknown(name, guard, problem)
    if _lacks_baseline(guard, table, context):
        return without_baseline(name, guard)
    return _decision(name, guard, table, context).report


def is_settled(name: str, guard: EvidenceGuardSpec, table: EvidenceTable, context: GuardContext) -> bool:
    """Return whether no further look can change the verdict; of a guard without its baseline none can.

    What raises is settled: the guard will be UNKNOWN and say why, and the run holds there.
    """
    try:
        return _lacks_baseline(guard, table, context) or _decision(name, guard, table, context).settled
    except Exception:  # noqa: BLE001 - as in `evaluate_guard`, which says what went wrong
        return True


def _problem(guard: EvidenceGuardSpec, table: EvidenceTable, context: GuardContext) -> str:
    """Return why a table is not the evidence this guard needs; empty where it is."""
    declared = context.plan.schedule.evidence[guard.evidence].episodes
    if table.evidence != guard.evidence:
        return f"the visit gathered {table.evidence!r}, not {guard.evidence!r}"
    if table.candidate != context.candidate:
        return f"the evidence is about other weights ({short_digest(table.candidate)}) than the candidate's"
    if not table.looks or table.looks != declared[: len(table.looks)]:
        return f"looks were taken after {list(table.looks)} episodes, declared were {list(declared)}"
    baseline = guard.baseline
    digest = None if baseline is None else context.baseline_digests.get(baseline)
    if baseline is not None and digest is not None and table.baselines.get(baseline, digest) != digest:
        return f"the evidence names another {baseline} ({table.baselines[baseline]}) than this visit pinned ({digest})"
    return ""


def _lacks_baseline(guard: EvidenceGuardSpec, table: EvidenceTable, context: GuardContext) -> bool:
    """Tell whether there is no baseline, or it has no values: it does not exist, or does not know the metric."""
    if guard.baseline is None:
        return False
    return guard.baseline not in context.baseline_digests or not _row(guard, table).values.get(guard.baseline)


def _row(guard: EvidenceGuardSpec, table: EvidenceTable) -> PairedMetric:
    metric = metric_name(guard)
    return next((row for row in table.metrics if row.metric == metric.row), PairedMetric(metric=metric.row, values={}))


def _decision(name: str, guard: EvidenceGuardSpec, table: EvidenceTable, context: GuardContext) -> SequentialDecision:
    metric, label = context.metrics[metric_name(guard).name], baseline_label(guard.baseline, context)
    stored = attrs.asdict(_stored(guard, table, context), recurse=False)
    match guard:
        case TailSpec():
            return sequential_share_test(
                ShareQuestion(
                    **stored,
                    name=name,
                    guard=guard,
                    direction=metric.direction,
                    baseline_name=label,
                    rule=context.rule,
                )
            )
        case PairedComparisonSpec():
            margin = BaselineMargin(
                name=name, guard=guard, baseline_name=label, direction=metric.direction, rule=context.rule
            )
            row, sides = _row(guard, table), (CANDIDATE, guard.baseline)
            control = context.plan.schedule.evidence[guard.evidence].control
            scenario = metric_name(guard).scenario or context.plan.schedule.environment.scenario
            further = table.further_covariates.get(scenario, ())
            return sequential_paired_test(
                PairedComparison(
                    **stored,
                    margin=margin,
                    limits=(metric.low, metric.high),
                    sums=(row.sums.get(sides[0], ()), row.sums.get(sides[1], ())),
                    exposures=(row.exposures.get(sides[0], ()), row.exposures.get(sides[1], ())),
                    control=further or tuple(value for value in row.control.get(sides[1], ()) if value is not None),
                    covariates=table.covariates.get(scenario, ()),
                    coefficient=None if control is None else control.coefficient,
                )
            )
        case kind:
            assert_never(kind)


def _stored(guard: EvidenceGuardSpec, table: EvidenceTable, context: GuardContext) -> StoredEpisodes:
    """Return the values of the guard's metric; without a baseline's where it compares with a fixed limit."""
    row, baseline = _row(guard, table), guard.baseline or ""
    evidence, visit = context.plan.schedule.evidence[guard.evidence], context.visits.get(metric_name(guard).state, 0)
    return StoredEpisodes(
        candidate=row.values.get(CANDIDATE, ()),
        baseline=row.values.get(baseline, ()),
        looks=table.looks,
        errors=look_errors(evidence, context.plan, max(1, visit), context.rule),
        seed=table.seed,
        invalid=(row.invalid.get(CANDIDATE, ()), row.invalid.get(baseline, ())),
        unpaired=table.is_unpaired(baseline),
        recorded=table.is_recorded(baseline),
    )
