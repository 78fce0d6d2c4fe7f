"""Numbers of guards with their units in words: those of the metric, a share of the episodes in percent, visits."""

from collections.abc import Callable

from townlet.dto.fields import UNIT
from townlet.dto.guards import GuardReport, TailSpec, VisitCountSpec
from townlet.dto.metric_name import MetricName
from townlet.dto.policy import statistics
from townlet.machine.audit.report_facts import ReportFacts
from townlet.numerals import number, unit_words
from townlet.report.run_sentences import declared_metric
from townlet.report.verdicts import shown_bounds

__all__ = ["Amount", "guard_amount", "measured_words", "metric_amount", "operand_line"]

Amount = Callable[[float], str]
"""Writes a number with its unit."""


def guard_amount(facts: ReportFacts, report: GuardReport) -> Amount:
    """Return what writes a guard's value, interval and limit: a share of episodes is one in percent."""
    if report.test == "share":
        return lambda value: f"{number(100 * value)}% of the episodes"
    if isinstance(facts.schedule.guards.get(report.guard), VisitCountSpec):
        return lambda value: f"{number(value)} {'visit' if value == 1 else 'visits'}"
    return metric_amount(facts, report.metric)


def metric_amount(facts: ReportFacts, metric: str) -> Amount:
    """Return what writes a value of a metric: a KPI of the environment, or a statistic of a state's results."""
    unit = unit_words(_unit(facts, metric))
    return lambda value: " ".join(filter(None, (number(value), unit)))


def _unit(facts: ReportFacts, metric: str) -> str:
    spec = declared_metric(facts, metric)
    if spec is not None:
        return spec.unit
    name = MetricName.parse(metric)
    results = [each.result for each in facts.visits if name is not None and each.state == name.state]
    result = next((each for each in results if each is not None), None)
    field = None if result is None or name is None else statistics(type(result)).get(name.name)
    return "" if field is None else str(field.metadata[UNIT])


def measured_words(facts: ReportFacts, report: GuardReport) -> str:
    """Return what a guard's value is and in which unit, where several stand on one scale."""
    if isinstance(facts.schedule.guards.get(report.guard), VisitCountSpec):
        return report.metric
    if report.test == "share":
        return f"share of the episodes, {report.metric}"
    kind = f"difference in {report.metric}" if report.pairs else report.metric
    return ", ".join(filter(None, (kind, unit_words(_unit(facts, report.metric)))))


def operand_line(facts: ReportFacts, report: GuardReport) -> str:
    """Return the numbers of a verdict that its sentence leaves out: interval, episodes left out, the worst episode.

    Empty where there are none.
    """
    amount, own = guard_amount(facts, report), metric_amount(facts, report.metric)
    low, high, _ = shown_bounds(report)
    words = []
    if low is not None and high is not None and low != high:
        start = f"{number(100 * low)}%" if report.test == "share" else number(low)
        words.append(f"interval from {start} to {amount(high)}")
    if report.dropped:
        words.append(f"{report.dropped} {'episode' if report.dropped == 1 else 'episodes'} left out")
    if report.worst is not None:
        guard = facts.schedule.guards.get(report.guard)
        kind = "value" if isinstance(guard, TailSpec) and guard.baseline is None else "difference"
        words.append(f"worst {kind} {own(report.worst)}, in episode {report.worst_episode}")
    return "; ".join(words)
