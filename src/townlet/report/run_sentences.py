"""What a report says of a run, as whole sentences: pure functions of `townlet.machine.audit.report_facts`.

Nothing that is undecided is called better, worse, equal or a trend.
"""

from collections.abc import Iterator, Sequence

from townlet.dto.fields import Direction
from townlet.dto.guards import GuardReport, Verdict
from townlet.dto.journal import OperatorCommand
from townlet.dto.limitations import VisitLimitations
from townlet.dto.metric_name import MetricName
from townlet.dto.metrics import MetricSpec
from townlet.dto.policy_ref import parse_teacher, short_ref
from townlet.escapes import one_line
from townlet.machine.audit.evidence_comparisons import KpiComparison
from townlet.machine.audit.report_facts import ReportFacts
from townlet.numerals import number, plain_numbers, unit_words
from townlet.report.verdicts import shown_bounds

__all__ = [
    "baseline_name",
    "changed_sentences",
    "compared_sentences",
    "deciding_limitations",
    "declared_metric",
    "headline",
    "kpi_change",
    "objective_sentences",
    "operand_line",
]

_MOST_BETTER = 4
"""KPIs that got better which a sentence names with their numbers; those that got worse or are guarded are all named."""
_UNGUARDED = 2
"""Place of a KPI that no guard asks for, behind those of `_ranks`."""
_LONGEST_REASON = 300
"""Letters of a reason in the first line; the timeline has all of it."""
_TIMES = {1: "once", 2: "twice"}


def headline(facts: ReportFacts) -> str:
    """Return how the run ended, in the first line that anybody reads.

    Risks that a person accepted, crashes and an ignored seed are named there.
    """
    sentences = [_outcome(facts)]
    commands = [entry.record for entry in facts.entries if isinstance(entry.record, OperatorCommand)]
    risks = sum(each.command == "accept_risk" and not each.refused for each in commands)
    if risks:
        sentences.append(f"A person went on against the guards {_times(risks)}.")
    crashes = sum(span.ending == "crashed" or span.died_after for span in facts.spans)
    if crashes:
        sentences.append(f"It crashed {_times(crashes)} and was resumed.")
    if not facts.state.obeys_seed:
        sentences.append("This environment ignores its seed, so its episodes are not pairs.")
    return one_line(" ".join(sentences))


def _outcome(facts: ReportFacts) -> str:
    done, intent = facts.promotion, facts.intent
    if facts.created.rehearsal:
        return "Rehearsal: nothing was promoted, and the numbers on this page mean nothing."
    if done is not None and intent is not None:
        alias = f"{intent.registry}@{done.alias}"
        return f"Promoted: the weights {short_ref(done.target)} became {alias}, as version {done.version}."
    before = f"rolled back {_times(facts.rollbacks)}, then " if facts.rollbacks else ""
    text = f"{before}{_end(facts)}."
    return text[:1].upper() + text[1:]


def _end(facts: ReportFacts) -> str:
    """Return how a run ended that promoted nothing."""
    state, nothing = facts.state, "nothing was promoted"
    reason = plain_numbers(state.reason)
    reason = reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}…"
    match state.state:
        case "hold" if state.approval is not None:
            target = facts.schedule.states[state.approval.state].next[state.approval.edge].to
            text = f"held: {state.approval.state} asks a person before it goes on to {target}; {nothing} yet"
        case "hold":
            text = f"held: {reason}; {nothing}"
        case "failed":
            text = f"failed in {state.held_state or 'an unrecorded state'}: {reason}; {nothing}"
        case "aborted":
            text = f"aborted: {reason}; {nothing}"
        case "done" if facts.promoting:
            text = f"not promoted: {reason}; the champion is unchanged"
        case "done":
            text = f"done: {reason}; this schedule has no state that promotes"
        case _:
            word = "stopped" if facts.spans and facts.spans[-1].kind == "wait" else "not finished"
            visit = f", visit {state.visit.number}" if state.visit is not None else ""
            text = f"{word}: the journal ends in {state.state}{visit}; {nothing} so far"
    return text


def _times(count: int) -> str:
    return _TIMES.get(count, f"{count} times")


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
    where = f" of {scope.length} in {_join(scope.scenarios)}, with {scope.actions} actions" if scope else ""
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


def deciding_limitations(facts: ReportFacts) -> Iterator[VisitLimitations]:
    """Yield what the evidence behind the deciding verdicts could not show; nothing where none was compared."""
    decision = facts.decision
    if decision is None or facts.limitations is None:
        return
    for visit in facts.limitations.visits:
        if (visit.judged_in, visit.judged_visit) == (decision.state, decision.visit):
            yield visit


def objective_sentences(facts: ReportFacts) -> Iterator[str]:
    """Yield by how much the first KPI, the objective, differs from each baseline's policy, with its interval."""
    policies: set[str] = set()
    for row in facts.comparisons:
        if row.metric != facts.comparisons[0].metric or row.policy in policies or row.means is None:
            continue
        policies.add(row.policy)
        own, other = row.means
        kind = "paired difference" if row.is_paired else "difference of the means"
        yield one_line(
            f"{row.metric} is {number(own)} against {number(other)} of {baseline_name(row)}: {kind} "
            f"{number(own - other)}, with a two-sided 95% interval from {number(row.low)} to {number(row.high)}."
        )


def _join(names: Sequence[str]) -> str:
    *first, last = names or [""]
    return f"{', '.join(first)} and {last}" if first else last


def baseline_name(comparison: KpiComparison) -> str:
    """Return a baseline with the policy that it stood for."""
    return one_line(f"{comparison.baseline} ({short_ref(comparison.policy)})")


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
        change = "none" if _is_none(row) else kpi_change(row, declared_metric(facts, row.metric))
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
        names = ", ".join(f"{row.metric} ({'higher' if row.low and row.low > 0 else 'lower'})" for row in moved)
        yield one_line(f"Otherwise changed from {name}, with no better direction declared: {names}.")
    if "open" in groups:
        yield one_line(f"May or may not differ from {name}: {', '.join(row.metric for row in groups['open'])}.")
    if "none" in groups:
        yield one_line(f"None on either side, 0 in every episode: {', '.join(row.metric for row in groups['none'])}.")
    if "unknown" in groups:
        yield one_line(f"Cannot be compared with {name}: {', '.join(row.metric for row in groups['unknown'])}.")


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


def _difference(facts: ReportFacts, row: KpiComparison) -> str:
    assert row.means is not None, "a row that changed has an interval"
    spec = declared_metric(facts, row.metric)
    own, other = row.means
    words = (row.metric, number(own), "against", number(other), "" if spec is None else unit_words(spec.unit))
    return " ".join(filter(None, words))


def operand_line(report: GuardReport) -> str:
    """Return the numbers behind a verdict; empty where there are none."""
    low, high, limit = shown_bounds(report)
    is_difference = bool(report.pairs) and report.test != "share"
    parts = {
        "difference" if is_difference else "value": report.value,
        "baseline": report.baseline,
        "limit": limit,
        "low": low,
        "high": high,
    }
    words = [f"{name} {number(value)}" for name, value in parts.items() if value is not None]
    if report.pairs:
        words.append(f"{report.pairs} episodes at look {report.look}")
    if report.dropped:
        words.append(f"{report.dropped} left out")
    if report.worst is not None:
        words.append(f"worst {number(report.worst)} in episode {report.worst_episode}")
    return ", ".join(words)
