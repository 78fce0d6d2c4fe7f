"""The fold: a journal's records become the state of the run, and nothing else ever does."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from attrs import evolve, frozen

from townlet.dto.catalogue import StrategyCatalogue
from townlet.dto.guards import GuardReport
from townlet.dto.journal import (
    ApprovalRequested,
    Checkpoint,
    EffectDone,
    EffectIntent,
    Entry,
    GuardsJudged,
    JournalRecord,
    OperatorCommand,
    ProcessStarted,
    RunClosed,
    RunCreated,
    TransitionTaken,
    VisitFinished,
    VisitStarted,
)
from townlet.dto.policy import (
    AnnealStageResult,
    BCTrainingResult,
    CaptureResult,
    EvaluationResult,
    PPOTrainingResult,
    RollbackResult,
    TrainingResult,
)
from townlet.dto.schedule import ScheduleSpec
from townlet.machine.answers import unpack

__all__ = ["Accepted", "OpenVisit", "RunState", "advance", "fold", "is_rollback"]


@frozen(kw_only=True)
class OpenVisit:
    """The visit a run is in, and how far it came: started, finished (`result`), judged (`reports`)."""

    state: str
    """Where."""
    number: int
    """The n-th visit to that state, from 1."""
    attempt: int
    """Starts so far."""
    inputs: Mapping[str, str]
    """Digests by name, as journalled at the first start."""
    pins: Mapping[str, str]
    """What each baseline's name stands for."""
    expected: str | None
    """Weights digest the champion's alias must name when it moves."""
    deaths: int = 0
    """Processes that took the visit up again since it last came further, so that one that kills them all is noticed."""
    retries: int = 0
    """Starts again within one process: after a fault of the environment, not after the death of a process."""
    taken_up: bool = False
    """Whether a process took the visit up and has not started it again yet."""
    step: int = 0
    """Step of its furthest checkpoint."""
    checkpoint: str | None = None
    """Digest of the last checkpoint."""
    intent: EffectIntent | None = None
    """The effect it was about to try."""
    done: EffectDone | None = None
    """The effect it carried out."""
    result: TrainingResult | None = None
    """The strategy's answer."""
    reports: tuple[GuardReport, ...] | None = None
    """The guards' answers."""


@frozen(kw_only=True)
class Accepted:
    """A ppo visit that reached evaluate, changed its weights and was not rolled back."""

    state: str
    """The ppo state."""
    visit: int
    """Which visit to it."""
    result: PPOTrainingResult
    """What it answered."""


@frozen(kw_only=True)
class RunState:
    """Everything the engine knows; a pure function of the journal."""

    created: RunCreated | None = None
    """The run's first record."""
    created_at: str = ""
    """When, UTC, ISO 8601."""
    state: str
    """Where the walk is."""
    why: str = ""
    """Why it is there, in words."""
    visit: OpenVisit | None = None
    """The visit it is in; none before the first record of a visit."""
    visits: Mapping[str, int] = MappingProxyType({})
    """Visits to each state, the present one included."""
    results: Mapping[str, TrainingResult] = MappingProxyType({})
    """Last result of each state."""
    stages: tuple[AnnealStageResult, ...] = ()
    """Every finished visit and the edge it took."""
    candidate: str | None = None
    """Weights digest of the policy under test."""
    clone: str | None = None
    """Weights digest of the last clone."""
    dataset: str | None = None
    """Digest of the last captured data set."""
    experience: str | None = None
    """Digest of the last recorded play of a policy."""
    evidence: str | None = None
    """Digest of the last evidence."""
    judged_against: str | None = None
    """Weights digest the champion's alias named when that evidence was begun."""
    starts: Mapping[str, str] = MappingProxyType({})
    """Weights digest the last visit to each ppo state started from."""
    ppo: Accepted | None = None
    """The last ppo visit, not accepted yet."""
    accepted: tuple[Accepted, ...] = ()
    """Accepted ppo visits, oldest first."""
    scale: Mapping[str, float] = MappingProxyType({})
    """Factors of all rollbacks so far."""
    rounds: int = 0
    """Finished ppo visits."""
    stint: int = 0
    """Finished ppo visits since the weights were last set."""
    agent_steps: int = 0
    """Agent-steps of all finished visits."""
    champion_moved: bool = False
    """Whether promote moved the alias."""
    held: OpenVisit | None = None
    """The visit that was left for hold; none where the run holds before one, or does not hold."""
    held_in: str = ""
    """The state that was left for hold; empty where the run does not hold."""
    approval: ApprovalRequested | None = None
    """The question that waits for an answer."""
    orders: tuple[OperatorCommand, ...] = ()
    """What the operator ordered since the last transition."""
    read: frozenset[str] = frozenset()
    """Ids of the commands that were read."""
    text: str = ""
    """SHA-256 of the schedule in force: the one the run began with, or the last that was accepted."""
    latest: str = ""
    """The latest time of any record; a clock that goes back does not go back behind it."""
    closed: RunClosed | None = None
    """The record that ended the run."""

    @property
    def rehearsal(self) -> bool:
        """Whether the run only rehearses."""
        return self.created is not None and self.created.rehearsal


def fold(entries: Iterable[Entry], schedule: ScheduleSpec, catalogue: StrategyCatalogue) -> RunState:
    """Return the state a journal's records lead to."""
    state = RunState(state=schedule.initial)
    for entry in entries:
        state = advance(state, entry, schedule, catalogue)
    return state


def advance(state: RunState, entry: Entry, schedule: ScheduleSpec, catalogue: StrategyCatalogue) -> RunState:
    """Return the state after one more record."""
    record = entry.record
    state = evolve(state, latest=max(state.latest, entry.at))
    match record:
        case RunCreated():
            state = evolve(state, created=record, created_at=entry.at, text=record.schedule)
        case VisitStarted():
            state = _started(state, record)
        case VisitFinished():
            state = _finished(state, unpack(record.result, catalogue.entries[record.strategy].result))
        case TransitionTaken():
            state = _moved(state, record, schedule, catalogue)
        case RunClosed():
            state = evolve(state, closed=record)
        case OperatorCommand():
            state = _ordered(state, record)
        case ApprovalRequested():
            state = evolve(state, approval=record)
        case _ if state.visit is not None:
            state = evolve(state, visit=_within(state.visit, record))
    return evolve(state, champion_moved=True) if isinstance(record, EffectDone) else state


def _within(visit: OpenVisit, record: JournalRecord) -> OpenVisit:
    """Return the open visit after a record that belongs to it; others leave it as it is."""
    if isinstance(record, Checkpoint):
        is_new = record.step > visit.step
        return evolve(
            visit,
            checkpoint=record.blob,
            step=max(record.step, visit.step),
            deaths=0 if is_new else visit.deaths,
        )
    if isinstance(record, ProcessStarted) and visit.result is None:
        return evolve(visit, deaths=visit.deaths + 1, taken_up=True)
    if isinstance(record, EffectIntent):
        return evolve(visit, intent=record)
    if isinstance(record, EffectDone):
        return evolve(visit, done=record)
    if isinstance(record, GuardsJudged):
        return evolve(visit, reports=record.reports)
    return visit


def _started(state: RunState, record: VisitStarted) -> RunState:
    if state.visit is not None:
        again = state.visit
        retries = again.retries + (0 if again.taken_up else 1)
        return evolve(state, visit=evolve(again, attempt=record.attempt, retries=retries, taken_up=False))
    visit = OpenVisit(
        state=record.state, number=record.visit, attempt=record.attempt, inputs=record.inputs, pins=record.pins,
        expected=record.expected,
    )  # fmt: skip
    return evolve(state, visit=visit, visits={**state.visits, record.state: record.visit})


def _ordered(state: RunState, record: OperatorCommand) -> RunState:
    if record.id:
        state = evolve(state, read=state.read | {record.id})
    if record.refused:
        return state
    if record.command == "accept_schedule":
        return evolve(state, text=record.arguments["schedule"])
    if record.command == "stop":  # the process that takes the visit up next follows no death
        visit = state.visit
        return state if visit is None else evolve(state, visit=evolve(visit, deaths=visit.deaths - 1))
    return evolve(state, orders=(*state.orders, record))


def _finished(state: RunState, result: TrainingResult) -> RunState:
    visit = state.visit
    assert visit is not None, "a visit_finished record follows its visit_started"
    state = evolve(
        state,
        visit=evolve(visit, result=result),
        results={**state.results, visit.state: result},
        agent_steps=state.agent_steps + result.agent_steps,
        experience=result.blobs.get("experience", state.experience),
    )
    if isinstance(result, CaptureResult):
        return evolve(state, dataset=result.blobs.get("dataset"), candidate=result.weights or state.candidate)
    if isinstance(result, BCTrainingResult):
        return evolve(state, clone=result.weights, candidate=result.weights)
    if isinstance(result, PPOTrainingResult):
        start = visit.inputs.get("start")
        return evolve(
            state,
            candidate=result.weights,
            ppo=Accepted(state=visit.state, visit=visit.number, result=result),
            starts={**state.starts, visit.state: start} if start is not None else state.starts,
            rounds=state.rounds + 1,
            stint=state.stint + 1,
        )
    if isinstance(result, EvaluationResult):
        return evolve(state, candidate=result.weights, evidence=result.evidence, judged_against=visit.expected)
    if isinstance(result, RollbackResult):
        return evolve(state, candidate=result.weights, scale=result.scale, stint=0)
    return state


def _moved(state: RunState, record: TransitionTaken, schedule: ScheduleSpec, catalogue: StrategyCatalogue) -> RunState:
    visit = state.visit
    if visit is not None and visit.result is not None:
        stage = AnnealStageResult(
            state=visit.state, visit=visit.number, result=visit.result, to=record.target, why=record.why
        )
        state = evolve(state, stages=(*state.stages, stage))
    left = state.held if record.source == "hold" else visit
    kept = record.edge is not None and not is_rollback(record.target, schedule, catalogue)
    if kept and left is not None and left.result is not None:
        state = evolve(state, accepted=_accept(state, left.result))
    state = evolve(state, state=record.target, why=record.why, visit=None)
    if record.target == "hold":
        return evolve(state, held=visit, held_in=record.source, orders=())
    # An order to hold waits for the next visit: no work is thrown away for it.
    holds = tuple(order for order in state.orders if order.command == "hold")
    return evolve(state, held=None, held_in="", approval=None, orders=holds)


def _accept(state: RunState, result: TrainingResult) -> tuple[Accepted, ...]:
    """Return the accepted visits after an evaluate state was left for anything but a rollback."""
    last = state.ppo
    if last is None or last in state.accepted or not isinstance(result, EvaluationResult):
        return state.accepted
    if result.weights != last.result.weights or last.result.weights in (None, last.result.parent):
        return state.accepted
    return (*state.accepted, last)


def is_rollback(state: str, schedule: ScheduleSpec, catalogue: StrategyCatalogue) -> bool:
    """Tell whether visits to a state discard the candidate."""
    spec = schedule.states.get(state)
    return spec is not None and issubclass(catalogue.entries[spec.strategy].result, RollbackResult)
