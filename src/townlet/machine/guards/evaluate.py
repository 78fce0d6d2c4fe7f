"""The judge: every guard's verdict, with the numbers it was derived from and a sentence for people."""

import math
from collections.abc import Callable, Mapping

from attrs import frozen

from townlet.dto.fields import DIRECTION, Direction
from townlet.dto.guards import EvidenceTable, GuardReport, GuardSpec, MarginSpec, Verdict
from townlet.dto.metrics import MetricSpec
from townlet.dto.policy import EvaluationResult, TrainingResult, statistics
from townlet.dto.schedule import Plan
from townlet.errors import BadInputError
from townlet.machine.guards.paired_test import BaselineMargin, PairedComparison, sequential_paired_test
from townlet.machine.guards.verdicts import guards_of
from townlet.machine.journal.run_state import Accepted
from townlet.machine.schedule.check_guards import MetricName

__all__ = ["GuardContext", "decided", "evaluate_visits", "judge"]


@frozen(kw_only=True)
class GuardContext:
    """All that may be known when the guards of a state are judged."""

    plan: Plan
    """The schedule and its structured options."""
    metrics: Mapping[str, MetricSpec]
    """The environment's KPIs by name."""
    candidate: str | None
    """Digest of the weights under judgement."""
    visits: Mapping[str, int]
    """Visits to each state so far, the present one included."""
    results: Mapping[str, TrainingResult]
    """Last result of each state."""
    accepted: tuple[Accepted, ...]
    """This run's accepted ppo visits."""
    baseline_digests: Mapping[str, str]
    """What each baseline's name stood for in the visit that is judged."""
    table: Callable[[str], EvidenceTable]
    """Reads stored evidence by digest."""


@frozen(kw_only=True)
class _Reading:
    """One number a guard asked for; `value` is none where `problem` says why."""

    value: float | None = None
    direction: Direction = Direction.NONE
    problem: str = ""


def judge(name: str, guard: GuardSpec, known: GuardContext) -> GuardReport:
    """Return a guard's report; never raises: a guard that cannot be answered is UNKNOWN, and its sentence says why."""
    try:
        return _judge(name, guard, known)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a guard must hold the run, never end or pass it
        return _unknown(name, guard, f"it could not be judged ({type(error).__name__}: {error})")


def decided(table: EvidenceTable, state: str, known: GuardContext) -> bool:
    """Tell whether every guard that asks this evidence of `state` is decided by the looks the table holds so far."""
    schedule = known.plan.schedule
    asked = {name: schedule.guards[name] for source in schedule.states for name in guards_of(schedule, source)}
    return all(
        not contest.baseline or sequential_paired_test(contest).settled
        for name, guard in asked.items()
        if guard.evidence == table.evidence and _parts(guard)[0] == state
        for contest in (_contest(name, guard, known, table),)
    )


def evaluate_visits(plan: Plan) -> int:
    """Return the most evaluate visits the counters allow in a run, at least 1: what the error is divided over."""
    return max(1, sum(plan.most_visits[state] for state in plan.gathers))


def _judge(name: str, guard: GuardSpec, known: GuardContext) -> GuardReport:
    if guard.visits_to is not None and guard.below is not None:
        return _count(name, guard.visits_to, guard.below, known)
    if guard.evidence is not None:
        return _evidence(name, guard, known)
    if guard.margin is not None:
        return _comparison(name, guard, guard.margin, known)
    return _threshold(name, guard, known)


def _count(name: str, state: str, below: int, known: GuardContext) -> GuardReport:
    count = known.visits.get(state, 0)
    holds = count < below
    return GuardReport(
        guard=name, verdict=Verdict.PASS if holds else Verdict.FAIL, metric=f"visits to {state}", value=float(count),
        limit=float(below), sentence=f"visits to {state}: {count} is {'' if holds else 'not '}below {below}",
    )  # fmt: skip


def _threshold(name: str, guard: GuardSpec, known: GuardContext) -> GuardReport:
    reading = _reading(guard, known)
    if reading.value is None:
        return _unknown(name, guard, reading.problem)
    if guard.at_least is not None:
        limit, holds, words = guard.at_least, reading.value >= guard.at_least, "at least"
    else:
        assert guard.at_most is not None
        limit, holds, words = guard.at_most, reading.value <= guard.at_most, "at most"
    return GuardReport(
        guard=name, verdict=Verdict.PASS if holds else Verdict.FAIL, metric=guard.metric or "", value=reading.value,
        limit=limit, sentence=f"{guard.metric} {reading.value:.4g} is {'' if holds else 'not '}{words} {limit:.4g}",
    )  # fmt: skip


def _comparison(name: str, guard: GuardSpec, margin: MarginSpec, known: GuardContext) -> GuardReport:
    reading = _reading(guard, known)
    if reading.value is None:
        return _unknown(name, guard, reading.problem)
    baseline = _baseline_value(guard, margin, reading.direction, known)
    if baseline is None:
        return _without_baseline(name, guard, margin)
    question = BaselineMargin(
        name=name, guard=guard, against=_pinned(margin.baseline, known), direction=reading.direction
    )
    return question.compare(reading.value, baseline)


def _evidence(name: str, guard: GuardSpec, known: GuardContext) -> GuardReport:
    margin = guard.margin
    assert margin is not None
    state = _parts(guard)[0]
    result = known.results.get(state)
    if not isinstance(result, EvaluationResult):
        return _unknown(name, guard, f"there is no evidence from {state}")
    visit = known.visits.get(state, 0)
    if visit > known.plan.most_visits[state]:
        return _unknown(name, guard, f"visit {visit} to {state} is beyond those the error was divided over")
    table = known.table(result.evidence)
    problem = _mismatch(guard, table, known)
    if problem:
        return _unknown(name, guard, problem)
    contest = _contest(name, guard, known, table)
    if not contest.baseline:
        return _without_baseline(name, guard, margin)
    return sequential_paired_test(contest).report


def _mismatch(guard: GuardSpec, table: EvidenceTable, known: GuardContext) -> str:
    assert guard.margin is not None
    assert guard.evidence is not None
    baseline = guard.margin.baseline
    declared = known.plan.schedule.evidence[guard.evidence].episodes
    if table.evidence != guard.evidence:
        return f"the visit gathered {table.evidence!r}, not {guard.evidence!r}"
    if table.candidate != known.candidate:
        return f"the evidence is about other weights ({_short(table.candidate)}) than the candidate's"
    if not table.looks or table.looks != declared[: len(table.looks)]:
        return f"looks were taken after {list(table.looks)} episodes, declared were {list(declared)}"
    pinned = known.baseline_digests.get(baseline)
    if pinned is not None and table.baselines.get(baseline, pinned) != pinned:
        return f"the evidence names another {baseline} ({table.baselines[baseline]}) than this visit pinned ({pinned})"
    return ""


def _contest(name: str, guard: GuardSpec, known: GuardContext, table: EvidenceTable) -> PairedComparison:
    margin = guard.margin
    assert margin is not None
    assert guard.evidence is not None
    _, scenario, metric = _parts(guard)
    row = f"[{scenario}].{metric}" if scenario else metric
    values = next((paired.values for paired in table.metrics if paired.metric == row), {})
    spec = known.plan.schedule.evidence[guard.evidence]
    exists = margin.baseline in known.baseline_digests
    direction = known.metrics[metric].direction
    return PairedComparison(
        question=BaselineMargin(name=name, guard=guard, against=_pinned(margin.baseline, known), direction=direction),
        candidate=values.get("candidate", ()),
        baseline=values.get(margin.baseline, ()) if exists else (),
        looks=table.looks,
        declared=spec.episodes,
        alpha=(1 - spec.confidence) / (len(spec.episodes) * evaluate_visits(known.plan)),
    )


def _parts(guard: GuardSpec) -> tuple[str, str | None, str]:
    metric = MetricName.parse(guard.metric)
    if metric is None:
        raise BadInputError(f"{guard.metric!r} is not a metric; expected STATE.NAME or STATE[SCENARIO].NAME")
    return metric.state, metric.scenario, metric.name


def _reading(guard: GuardSpec, known: GuardContext) -> _Reading:
    state, scenario, name = _parts(guard)
    result = known.results.get(state)
    if result is None:
        return _Reading(problem=f"{state} has not been visited")
    if isinstance(result, EvaluationResult):
        return _measured(result, known.candidate, state, scenario, name, known)
    field = statistics(type(result)).get(name)
    if field is None:
        return _Reading(problem=f"{state} does not report {name}")
    if result.metrics_of_weights and result.weights != known.candidate:
        return _Reading(problem=f"it was measured on other weights ({_short(result.weights)}) than the candidate's")
    return _number(_statistic(result, name), field.metadata[DIRECTION])


def _measured(
    result: EvaluationResult, policy: str | None, state: str, scenario: str | None, name: str, known: GuardContext
) -> _Reading:
    spec = known.metrics[name]
    gathered = known.plan.gathers.get(state)
    actions = "greedy" if gathered is None else known.plan.schedule.evidence[gathered].actions
    where = scenario or known.plan.schedule.environment.scenario
    found = [m for m in result.measurements if (m.metric, m.scenario, m.actions) == (name, where, actions)]
    mine = next((m for m in found if m.policy == policy), None)
    if mine is None:
        other = f" (it was measured on {', '.join(sorted({_short(m.policy) for m in found}))})" if found else ""
        return _Reading(problem=f"it was not measured on {_short(policy)}{other}")
    if mine.unit != spec.unit:
        return _Reading(problem=f"it was measured in {mine.unit}, expected {spec.unit}")
    return _number(mine.value, spec.direction)


def _number(value: float | None, direction: Direction) -> _Reading:
    if value is None or not math.isfinite(value):
        return _Reading(problem=f"its value is {'missing' if value is None else value}")
    return _Reading(value=value, direction=direction)


def _statistic(result: TrainingResult, name: str) -> float:
    return float(getattr(result, name))


def _baseline_value(guard: GuardSpec, margin: MarginSpec, direction: Direction, known: GuardContext) -> float | None:
    state, scenario, name = _parts(guard)
    result = known.results[state]
    if isinstance(result, EvaluationResult):
        pinned = known.baseline_digests.get(margin.baseline)
        return None if pinned is None else _measured(result, pinned, state, scenario, name, known).value
    if margin.baseline != "accepted":
        return None
    source = known.plan.schedule.baselines[margin.baseline].of
    values = [
        _statistic(each.result, name)
        for each in known.accepted
        if each.state == source and name in statistics(type(each.result))
    ]
    usable = [value for value in values if math.isfinite(value)]
    if not usable:
        return None
    return max(usable) if direction is Direction.HIGHER else min(usable)


def _pinned(baseline: str, known: GuardContext) -> str:
    pinned = known.baseline_digests.get(baseline)
    return baseline if pinned is None else f"{baseline} ({_short(pinned)})"


def _short(policy: str | None) -> str:
    return "none" if policy is None else policy if ":" in policy else policy[:12]


def _without_baseline(name: str, guard: GuardSpec, margin: MarginSpec) -> GuardReport:
    if guard.without_baseline == "skip":
        sentence = f"{guard.metric} was not compared: there is no {margin.baseline} to compare it with"
        return GuardReport(guard=name, verdict=Verdict.SKIPPED, metric=guard.metric or "", sentence=sentence)
    return _unknown(name, guard, f"there is no {margin.baseline} to compare it with")


def _unknown(name: str, guard: GuardSpec, why: str) -> GuardReport:
    what = guard.metric or f"visits to {guard.visits_to}"
    return GuardReport(guard=name, verdict=Verdict.UNKNOWN, metric=what, sentence=f"{what} is not known: {why}")
