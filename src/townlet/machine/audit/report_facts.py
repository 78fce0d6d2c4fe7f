"""Gather from a run what a report says of it: its path through the machine, verdicts, KPIs, learning, digests."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from attrs import evolve, frozen

from townlet.dto.conditions import AllOf, AnyOf, NotOf, When
from townlet.dto.guards import GuardReport
from townlet.dto.journal import EffectDone, EffectIntent, Entry, GuardsJudged, RunCreated, TransitionTaken
from townlet.dto.limitations import RunLimitations
from townlet.dto.metrics import MetricSpec
from townlet.dto.policy import EvaluationResult
from townlet.dto.run_data import RunVisit, VisitEvidence, VisitPoint
from townlet.dto.schedule import BUILT_IN_STATES, ScheduleSpec
from townlet.errors import TownletError
from townlet.machine.audit.environment_promises import environment_reservations
from townlet.machine.audit.evidence_comparisons import KpiComparison, compare_kpis
from townlet.machine.audit.fine_tuning import HandOff, WatchLook, hand_offs, watch_looks
from townlet.machine.audit.limitations import find_limitations
from townlet.machine.audit.run_data import RunData
from townlet.machine.audit.snapshot import first_record
from townlet.machine.audit.timeline import TimelineSpan, timeline
from townlet.machine.audit.verify import inexact_processes
from townlet.machine.journal.run_state import RunState
from townlet.machine.schedule.diagram import condition
from townlet.machine.schedule.partial import Describe

__all__ = ["Decision", "EdgeFacts", "ReportFacts", "decisions_of", "report_facts"]

_T = TypeVar("_T")


@frozen(kw_only=True)
class EdgeFacts:
    """An edge of the machine, or a move of the engine's own."""

    source: str
    """State that it leaves."""
    target: str
    """State that it leads to."""
    order: int
    """Its place among the edges of the state, from 1; 0 for a move of the engine's own or a command."""
    condition: str
    """Its guards in words; empty where it has none."""
    guards: tuple[str, ...]
    """Names of its guards."""
    why: str
    """The schedule's reason; empty where it gives none."""
    asks: bool
    """Whether a person must approve."""
    taken: int
    """How often the run took it."""


@frozen(kw_only=True)
class Decision:
    """The verdicts of one visit, and the edge that was taken on them."""

    seq: int
    """Number of the journal's record."""
    state: str
    """State whose guards were evaluated."""
    visit: int
    """Which visit to it."""
    reports: tuple[GuardReport, ...]
    """In the order of the schedule."""
    to: str = ""
    """State that the run went to; empty where the journal ends before."""
    why: str = ""
    """Why, in words."""
    edge: int = 0
    """Place of the edge among those of the state, from 1, also where a person was asked first; 0 for none."""


@frozen(kw_only=True)
class ReportFacts:
    """What a report says of a run. Everything comes from its directory, its home's blobs and its environment."""

    run: str
    """Run id."""
    created: RunCreated
    """The first record."""
    created_at: str
    """When, UTC, ISO 8601."""
    state: RunState
    """The state after the last record."""
    schedule: ScheduleSpec
    """The schedule in force."""
    entries: tuple[Entry, ...]
    """The journal."""
    head: str
    """Hash of its last record."""
    semantic: str
    """What equal runs agree on."""
    is_clean: bool
    """False where the journal ends in a torn line, or its head is one record old."""
    promoting: frozenset[str]
    """States that move it."""
    rollbacks: int
    """Visits that discarded a candidate."""
    visits: tuple[RunVisit, ...]
    """In the order in which they began."""
    spans: tuple[TimelineSpan, ...]
    """The timeline."""
    edges: tuple[EdgeFacts, ...]
    """The machine's edges, and the moves that were the engine's own."""
    decisions: tuple[Decision, ...]
    """Every visit's verdicts, in the order of the journal."""
    decision: Decision | None
    """Those that the end of the run rests on: the last that compare, else the last that are more than counts."""
    intent: EffectIntent | None
    """The promotion that the run began last."""
    promotion: EffectDone | None
    """The one that it finished."""
    promoted_at: str
    """When, UTC, ISO 8601; empty for none."""
    gathered: tuple[VisitEvidence, ...]
    """The episodes of every evaluation."""
    evidence: VisitEvidence | None
    """The episodes that the decision rests on, else the last ones."""
    comparisons: tuple[KpiComparison, ...]
    """Its KPIs against its baselines."""
    evaluation: RunVisit | None
    """The visit that gathered them."""
    metrics: tuple[MetricSpec, ...]
    """KPIs that the environment declares; none where it cannot be asked."""
    limitations: RunLimitations | None
    """What the comparisons could not show; none where that is not known."""
    points: tuple[VisitPoint, ...]
    """The metric stream."""
    hand_offs: tuple[HandOff, ...]
    """Where fine-tuning visits hand over from the clone."""
    looks: tuple[WatchLook, ...]
    """What the cliff watch of fine-tuning visits found."""
    reward_terms: tuple[str, ...] | None
    """Terms of the reward that the environment declares; None where it cannot be asked."""
    term_unit: str
    """Unit of their means; empty where the environment cannot be asked."""
    term_comparisons: tuple[KpiComparison, ...]
    """The terms of the reward in the episodes that the decision rests on; none where they were not recorded."""
    inexact: tuple[str, ...]
    """Why an undisturbed run may have had other bits."""
    reservations: tuple[str, ...]
    """Promises that the environment did not keep, and numbers of it that are not valid."""
    problems: tuple[str, ...]
    """What could not be read."""


def report_facts(run: RunData, describe: Describe) -> ReportFacts:
    """Return what a report says of a run.

    `describe` is asked for the environment's KPIs and scenarios; where it raises, `problems` says so. What the home
    should hold and does not is a problem too, without the path: a report is the same wherever it is made.
    BadInputError where the schedule is missing.
    """
    problems: list[str] = []
    decisions = decisions_of(run.journal)
    decision = _deciding(decisions)
    gathered = _optional(lambda: run.evidence, problems, "the episodes cannot be read: the home does not hold them")
    evidence = _evidence(run, decision, gathered or ())
    limitations = _optional(
        lambda: find_limitations(run.directory, run.journal, run.blobs, run.catalogue, describe),
        problems,
        "what this run could not see cannot be told: its schedule cannot be read in full",
    )
    if limitations is not None:  # the message of the store names paths of this machine
        visits = (evolve(each, problem=each.problem and "the home does not hold it") for each in limitations.visits)
        limitations = evolve(limitations, visits=tuple(visits))
    description = _optional(lambda: describe(run.schedule.environment), problems, "")
    if description is None:
        problems.append(
            "the environment cannot be asked which way its KPIs improve: it is not here, or may not be imported"
        )
    evaluation = None
    if evidence is not None:
        evaluation = next(each for each in run.visits if _is_same(each, evidence))
    recorded = _optional(
        lambda: run.reward_terms, problems, "the terms of the reward cannot be read: the home does not hold them"
    )
    terms = next((each for each in recorded or () if evidence is not None and _is_same(each, evidence)), None)
    points = run.points
    intent, promotion, promoted_at = _promotion(run.journal)
    strategies = {name: run.catalogue.entry(spec.strategy) for name, spec in run.schedule.states.items()}
    return ReportFacts(
        run=run.id,
        created=first_record(run.directory, run.journal),
        created_at=run.state.created_at,
        state=run.state,
        schedule=run.schedule,
        entries=run.journal,
        head=run.journal[-1].hash,
        semantic=run.verified.semantic,
        is_clean=run.snapshot.is_clean,
        promoting=frozenset(name for name, entry in strategies.items() if entry.effect),
        rollbacks=sum(run.state.visits.get(name, 0) for name, entry in strategies.items() if entry.discards),
        visits=run.visits,
        spans=timeline(run.journal),
        edges=tuple(schedule_edges(run.schedule, run.journal)),
        decisions=decisions,
        decision=decision,
        intent=intent,
        promotion=promotion,
        promoted_at=promoted_at,
        gathered=gathered or (),
        evidence=evidence,
        comparisons=() if evidence is None else tuple(compare_kpis(evidence.table)),
        evaluation=evaluation,
        metrics=() if description is None else description.metrics,
        reward_terms=None if description is None else description.reward_terms,
        term_unit="" if description is None else description.term_unit,
        term_comparisons=() if terms is None else tuple(compare_kpis(terms.table)),
        limitations=limitations,
        points=points,
        hand_offs=tuple(hand_offs(run)),
        looks=tuple(watch_looks(run, points)),
        inexact=tuple(inexact_processes(run.journal)),
        reservations=tuple(environment_reservations(run.journal)),
        problems=tuple(problems),
    )


def _optional(get: Callable[[], _T], problems: list[str], problem: str) -> _T | None:
    """Return what can be read; None, and the problem added, where it cannot."""
    try:
        return get()
    except TownletError:
        problems += filter(None, [problem])
        return None


def decisions_of(entries: Sequence[Entry]) -> tuple[Decision, ...]:
    """Return each record of verdicts with the transition that follows it, or the one that a person answered with."""
    decisions: list[Decision] = []
    for entry in entries:
        record = entry.record
        if isinstance(record, GuardsJudged):
            decisions.append(Decision(seq=entry.seq, state=record.state, visit=record.visit, reports=record.reports))
        elif isinstance(record, TransitionTaken) and decisions:
            last = decisions[-1]
            if record.source == last.state and not last.to:
                edge = 0 if record.edge is None else record.edge + 1
                decisions[-1] = evolve(last, to=record.target, why=record.why, edge=edge)
            elif record.source == last.to == "hold" and record.edge is not None and not last.edge:
                decisions[-1] = evolve(last, edge=record.edge + 1)
    return tuple(decisions)


def _deciding(decisions: Sequence[Decision]) -> Decision | None:
    """Return the last verdicts that compare episodes, else the last on a metric, else the last."""
    compares = [each for each in decisions if any(report.pairs for report in each.reports)]
    measures = [
        each
        for each in decisions
        if any(report.metric and not report.metric.startswith("visits to") for report in each.reports)
    ]
    return next((group[-1] for group in (compares, measures, decisions) if group), None)


def _evidence(run: RunData, decision: Decision | None, gathered: Sequence[VisitEvidence]) -> VisitEvidence | None:
    """Return the evidence that was gathered last before a decision; the last of all where there is no decision."""
    visits = [visit for visit in run.visits if isinstance(visit.result, EvaluationResult)]
    if decision is not None:
        judged = next((at for at, visit in enumerate(run.visits) if _is_same(visit, decision)), len(run.visits))
        visits = [visit for visit in run.visits[: judged + 1] if isinstance(visit.result, EvaluationResult)]
    last = [(visit.state, visit.visit) for visit in visits[-1:]]
    return next((each for each in gathered if (each.state, each.visit) in last), None)


def _is_same(one: RunVisit | VisitEvidence, other: VisitEvidence | Decision) -> bool:
    """Return whether two records are of the same visit."""
    return (one.state, one.visit) == (other.state, other.visit)


def _promotion(entries: Sequence[Entry]) -> tuple[EffectIntent | None, EffectDone | None, str]:
    intent, done, at = None, None, ""
    for entry in entries:
        if isinstance(entry.record, EffectIntent):
            intent, done, at = entry.record, None, ""
        elif isinstance(entry.record, EffectDone):
            done, at = entry.record, entry.at
    return intent, done, at


def schedule_edges(schedule: ScheduleSpec, entries: Sequence[Entry] = ()) -> Iterator[EdgeFacts]:
    """Yield the edges of a schedule with how often a journal took each, then the moves that were the engine's own."""
    taken: Counter[tuple[str, str, int]] = Counter()
    held = ""
    for entry in entries:
        record = entry.record
        if isinstance(record, TransitionTaken):
            source = held if record.source in BUILT_IN_STATES and record.edge is not None else record.source
            held = record.source if record.target in BUILT_IN_STATES else held
            taken[source, record.target, -1 if record.edge is None else record.edge] += 1
    for name, state in schedule.states.items():
        for index, edge in enumerate(state.next):
            yield EdgeFacts(
                source=name,
                target=edge.to,
                order=index + 1,
                condition=" and ".join(condition(when) for when in edge.when),
                guards=tuple(dict.fromkeys(guard for when in edge.when for guard in _names(when))),
                why=edge.why,
                asks=edge.approval is not None,
                taken=taken.pop((name, edge.to, index), 0),
            )
    for (source, target, _), count in taken.items():
        yield EdgeFacts(source=source, target=target, order=0, condition="", guards=(), why="", asks=False, taken=count)


def _names(when: When) -> Iterator[str]:
    match when:
        case str():
            yield when
        case NotOf():
            yield from _names(when.not_)
        case AllOf():
            yield from (name for part in when.all for name in _names(part))
        case AnyOf():
            yield from (name for part in when.any for name in _names(part))
