"""On which side of its limit a guard passes."""

from collections.abc import Callable

from townlet.dto.fields import Direction
from townlet.dto.guards import (
    ComparisonSpec,
    GuardReport,
    GuardSpec,
    PairedComparisonSpec,
    Relation,
    TailSpec,
    ThresholdSpec,
    Verdict,
    VisitCountSpec,
)
from townlet.machine.audit.report_facts import ReportFacts
from townlet.report.run_sentences import declared_metric

__all__ = ["passing_sides"]


def passing_sides(facts: ReportFacts) -> Callable[[GuardReport], bool | None]:
    """Return a function that tells of a report whether its guard passes above the limit; None where nobody knows.

    The schedule's guard says it, with the metric's better direction for a comparison; a verdict of an unknown direction
    says it too, since the value of a guard that passes is on the passing side.
    """

    def passes_above(report: GuardReport) -> bool | None:
        guard = facts.schedule.guards.get(report.guard)
        known = None if guard is None else _by_guard(facts, guard, report)
        return _by_verdict(report) if known is None else known

    return passes_above


def _by_guard(facts: ReportFacts, guard: GuardSpec, report: GuardReport) -> bool | None:
    match guard:
        case ThresholdSpec():
            return guard.at_least is not None
        case VisitCountSpec() | TailSpec():
            return False
        case ComparisonSpec() | PairedComparisonSpec():
            spec = declared_metric(facts, report.metric)
            if spec is None or spec.direction is Direction.NONE:
                return None
            return (spec.direction is Direction.HIGHER) == (guard.relation is not Relation.WORSE_BY)
    return None


def _by_verdict(report: GuardReport) -> bool | None:
    if report.value is None or report.limit is None or report.value == report.limit:
        return None
    if report.verdict not in (Verdict.PASS, Verdict.FAIL):
        return None
    return (report.value > report.limit) == (report.verdict is Verdict.PASS)
