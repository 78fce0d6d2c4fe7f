"""What a report says of a run, as whole sentences: pure functions of `townlet.machine.audit.report_facts`.

Nothing that is undecided is called better, worse, equal or a trend.
"""

import re
from collections.abc import Iterator, Sequence

from townlet.dto.fields import Direction
from townlet.dto.guards import Verdict
from townlet.dto.limitations import VisitLimitations
from townlet.dto.metric_name import MetricName
from townlet.dto.metrics import MetricSpec
from townlet.dto.policy_ref import NO_TEACHER, is_data, parse_teacher, short_ref, teacher_ref
from townlet.escapes import one_line
from townlet.machine.audit.evidence_comparisons import KpiComparison
from townlet.machine.audit.report_facts import ReportFacts
from townlet.numerals import number, unit_words

__all__ = [
    "baseline_name",
    "changed_sentences",
    "compared_policy",
    "compared_sentences",
    "deciding_limitations",
    "declared_metric",
    "kpi_change",
    "kpi_name",
    "level_sentence",
    "objective_sentences",
]

_MOST_BETTER = 4
"""KPIs that got better which a sentence names with their numbers; those that got worse or are guarded are all named."""
_LEVEL = re.compile(r"(\d[\d.]*)% bounds? ")
_UNGUARDED = 2
"""Place of a KPI that no guard asks for, behind those of `_ranks`."""


def compared_sentences(facts: ReportFacts) -> Iterator[str]:
    """Yield what was compared with what, on how many episodes, and how sure the gate had to be."""
    evidence, evaluation = facts.evidence, facts.evaluation
    if evidence is None or evaluation is None:
        known = any("the episodes cannot be read" in problem for problem in facts.problems)
        yield (
            "The episodes that were compared cannot be read here."
            if known
            else ("No policy was compared with another: the run did not come to an evaluation.")
        )
        return
    table = evidence.table
    names = _join([f"{name} ({short_ref(policy)})" for name, policy in table.baselines.items()])
    episodes, spec = table.looks[-1] if table.looks else 0, facts.schedule.evidence.get(table.evidence)
    kind = "episodes that are not pairs" if table.unpaired else "paired episodes"
    scope = next((each.scope for each in deciding_limitations(facts)), None)
    played = [facts.schedule.environment.id if each == "default" else each for each in scope.scenarios] if scope else []
    where = f" of {scope.length} in {_join(played)}, with {scope.actions} actions" if scope else ""
    yield one_line(
        f"The candidate {short_ref(table.candidate)} was compared with {names or 'no baseline'} in {episodes} "
        f"{kind}{where}."
    )
    for name, policy in table.baselines.items():
        baseline = facts.schedule.baselines.get(name)
        if baseline is not None and baseline.alias is not None and parse_teacher(policy) is not None:
            yield one_line(f"No learned policy was in force before, so {name} stands for the script, {policy}.")
    if spec is not None:
        yield (
            f"The schedule declares {_looks(spec.episodes)}; {_verdict_looks(facts, len(spec.episodes), episodes)}. "
            "The schedule bounds the chance that a policy which is no better passes as better: at most "
            f"{number(100 * (1 - spec.confidence))}% over the whole run."
        )


def _looks(episodes: Sequence[int]) -> str:
    """Return at how many episodes a schedule looks."""
    counts = _join([str(count) for count in episodes])
    return f"one look, after {counts} episodes" if len(episodes) == 1 else f"looks after {counts} episodes"


def _verdict_looks(facts: ReportFacts, declared: int, episodes: int) -> str:
    """Return at which look each verdict was reached."""
    if declared == 1:
        return "the verdicts below are those of look 1"
    guards: dict[tuple[int, bool], list[str]] = {}
    for report in () if facts.decision is None else facts.decision.reports:
        if report.look:
            guards.setdefault((report.look, report.verdict is Verdict.UNDECIDED), []).append(report.guard)
    parts = [
        f"look {look} left {_join(names)} undecided" if is_open else f"look {look} decided {_join(names)}"
        for (look, is_open), names in sorted(guards.items())
    ]
    rule = "a verdict stays from the first look that decides it"
    rest = f"The numbers outside the guards are of all {episodes} episodes"
    return f"{rule}: {'; '.join(parts)}. {rest}" if parts else rule


def level_sentence(facts: ReportFacts) -> str:
    """Return why a page has several levels of confidence; empty where no guard has a bound.

    The error of the run is shared among all looks and visits, so that a single bound has a higher level.
    """
    reports = () if facts.decision is None else facts.decision.reports
    levels = sorted({float(level) for report in reports for level in _LEVEL.findall(report.sentence)})
    evidence = facts.evidence
    spec = None if evidence is None else facts.schedule.evidence.get(evidence.table.evidence)
    if not levels or spec is None:
        return ""
    shared = (
        f"Guards have bounds of {_join([f'{number(level)}%' for level in levels])}: the error that the schedule allows "
        f"the whole run, {number(100 * (1 - spec.confidence))}%, is shared among its looks and visits."
    )
    counts = [each.comparisons for each in deciding_limitations(facts) if each.comparisons > 1]
    together = "".join(
        f"; those under “Also measured” {number(100 * (1 - 0.05 / count))}% each, which is 95% for all of them together"
        for count in counts[:1]
    )
    return f"{shared} Other intervals have two sides: 95% each, of one comparison alone{together}."


def deciding_limitations(facts: ReportFacts) -> Iterator[VisitLimitations]:
    """Yield what the evidence behind the deciding verdicts could not show; nothing where none was compared."""
    decision = facts.decision
    if decision is None or facts.limitations is None:
        return
    for visit in facts.limitations.visits:
        if (visit.judged_in, visit.judged_visit) == (decision.state, decision.visit):
            yield visit


def objective_sentences(facts: ReportFacts) -> Iterator[str]:
    """Yield by how much the objective, the first KPI, differs from each policy in each scenario, with its interval."""
    objective = facts.comparisons[0].metric.rpartition(".")[2] if facts.comparisons else ""
    named: set[tuple[str, str]] = set()
    for row in facts.comparisons:
        if row.metric.rpartition(".")[2] != objective or (row.metric, row.policy) in named or row.means is None:
            continue
        named.add((row.metric, row.policy))
        own, other = row.means
        kind = "paired difference" if row.is_paired else "difference of the means"
        yield one_line(
            f"{kpi_name(row.metric)} is {number(own)} against {number(other)} of {baseline_name(row)}: {kind} "
            f"{number(own - other)}, with a two-sided 95% interval from {number(row.low)} to {number(row.high)}."
        )


def _join(names: Sequence[str]) -> str:
    *first, last = names or [""]
    return f"{', '.join(first)} and {last}" if first else last


def compared_policy(facts: ReportFacts) -> str:
    """Return the policy that the candidate was compared with first, else the script; empty where nobody plays."""
    policies = [short_ref(comparison.policy) for comparison in facts.comparisons if not is_data(comparison.policy)]
    teacher = facts.schedule.teacher
    return next(iter(policies), "" if teacher == NO_TEACHER else teacher_ref(teacher))


def baseline_name(comparison: KpiComparison) -> str:
    """Return a baseline with the policy that it stood for."""
    return one_line(f"{comparison.baseline} ({short_ref(comparison.policy)})")


def kpi_name(row: str) -> str:
    """Return what a sentence calls a row of the evidence.

    >>> kpi_name("[crowded].deaths"), kpi_name("deaths")
    ('deaths in crowded', 'deaths')
    """
    scenario, _, name = row.rpartition("].")
    return f"{name} in {scenario[1:]}" if scenario else name


def declared_metric(facts: ReportFacts, row: str) -> MetricSpec | None:
    """Return what the environment declares of a row of the evidence; None where it cannot be asked."""
    name = row.rpartition(".")[2]
    return next((spec for spec in facts.metrics if spec.name == name), None)


def kpi_change(comparison: KpiComparison, spec: MetricSpec | None) -> str:
    """Return how a KPI changed: better, worse, higher, lower; open where its interval holds 0, unknown without one.

    Higher and lower are the words where the better direction is not known.
    """
    if comparison.low is None or comparison.high is None:
        return "unknown"
    if comparison.low <= 0 <= comparison.high:
        return "open"
    is_higher = comparison.low > 0
    if spec is None or spec.direction is Direction.NONE:
        return "higher" if is_higher else "lower"
    return "better" if is_higher == (spec.direction is Direction.HIGHER) else "worse"


def changed_sentences(facts: ReportFacts) -> Iterator[str]:
    """Yield what got worse, what got better and what may or may not have changed, against each policy once."""
    policies: dict[str, list[KpiComparison]] = {}
    for comparison in facts.comparisons:
        rows = policies.setdefault(comparison.policy, [])
        if comparison.metric not in {row.metric for row in rows}:
            rows.append(comparison)
    for rows in policies.values():
        yield from _changed(facts, rows)
    if policies:
        yield "Each interval is of one comparison alone: of 100 KPIs that are equal, about 5 lie outside theirs."


def _changed(facts: ReportFacts, rows: Sequence[KpiComparison]) -> Iterator[str]:
    name = baseline_name(rows[0])
    groups: dict[str, list[KpiComparison]] = {}
    ranks = _ranks(facts)
    for row in sorted(rows, key=lambda each: ranks.get(each.metric, _UNGUARDED)):
        same = "none" if _is_none(row) else "equal" if _is_equal(row) else ""
        change = same or kpi_change(row, declared_metric(facts, row.metric))
        groups.setdefault(change, []).append(row)
    if "worse" not in groups:
        yield f"No KPI is worse than {name} by more than its 95% interval."
    for change in ("worse", "better"):
        if own := groups.get(change):
            guarded = sum(row.metric in ranks for row in own)
            most = len(own) if change == "worse" else max(guarded, _MOST_BETTER)
            listed = "; ".join(_difference(facts, row) for row in own[:most])
            rest = f"; and {len(own) - most} more" if len(own) > most else ""
            yield one_line(f"{change.capitalize()} than {name}, by more than its 95% interval: {listed}{rest}.")
    if moved := [*groups.get("higher", ()), *groups.get("lower", ())]:
        names = ", ".join(
            f"{kpi_name(row.metric)} ({'higher' if row.low and row.low > 0 else 'lower'})" for row in moved
        )
        yield one_line(f"Otherwise changed from {name}, with no better direction declared: {names}.")
    for change, opening in (
        ("open", f"May or may not differ from {name}"),
        ("equal", f"Equal to {name} in every episode"),
        ("none", "None on either side, 0 in every episode"),
        ("unknown", f"Cannot be compared with {name}, because numbers are missing or there are fewer than two"),
    ):
        if change in groups:
            yield one_line(f"{opening}: {', '.join(kpi_name(row.metric) for row in groups[change])}.")


def _ranks(facts: ReportFacts) -> dict[str, int]:
    """Return the place of each KPI that a guard of the decision asks for.

    It is 0 where a guard in the way of promoting failed, else 1; the objective has a sentence of its own before.
    """
    decision = facts.decision
    if decision is None or not facts.comparisons:
        return {}
    promoting = {
        guard
        for edge in facts.edges
        if edge.source == decision.state and edge.target in facts.promoting
        for guard in edge.guards
    }
    ranks: dict[str, int] = {}
    for report in decision.reports:
        if (name := MetricName.parse(report.metric)) is not None:
            failed = report.guard in promoting and report.verdict is Verdict.FAIL
            rank = 0 if failed and name.row != facts.comparisons[0].metric else 1
            ranks[name.row] = min(rank, ranks.get(name.row, rank))
    return ranks


def _is_none(row: KpiComparison) -> bool:
    """Return whether what a KPI counts happened on neither side, in no episode."""
    return row.means is not None and not any((*row.own, *row.other))


def _is_equal(row: KpiComparison) -> bool:
    """Return whether a KPI was known in every pair and the same on both sides of each."""
    return row.is_paired and row.is_known and row.both == len(row.values) and not any(row.differences.values())


def _difference(facts: ReportFacts, row: KpiComparison) -> str:
    assert row.means is not None, "a row that changed has an interval"
    spec = declared_metric(facts, row.metric)
    own, other = row.means
    words = (kpi_name(row.metric), number(own), "against", number(other), "" if spec is None else unit_words(spec.unit))
    return " ".join(filter(None, words))
