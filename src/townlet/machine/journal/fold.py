"""The fold: the state of a run is computed from the records of its journal, and from nothing else."""

from collections.abc import Iterable
from datetime import datetime

from attrs import evolve

from townlet.dto.journal import (
    ApprovalRequested,
    Checkpoint,
    EffectDone,
    EffectIntent,
    Entry,
    EnvironmentChecked,
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
    EvaluationResult,
    FineTuningResult,
    RollbackResult,
    TrainingResult,
)
from townlet.dto.schedule import ScheduleSpec
from townlet.machine.catalogue import StrategyCatalogue, StrategyEntry
from townlet.machine.journal.result_codec import load_result
from townlet.machine.journal.run_state import WAITING, Accepted, OpenVisit, RunState

__all__ = ["advance", "fold", "is_rollback"]


def fold(entries: Iterable[Entry], schedule: ScheduleSpec, catalogue: StrategyCatalogue) -> RunState:
    """Return the state of the run after all records of a journal."""
    state = RunState(state=schedule.initial)
    for entry in entries:
        state = advance(state, entry, schedule, catalogue)
    return state


def advance(state: RunState, entry: Entry, schedule: ScheduleSpec, catalogue: StrategyCatalogue) -> RunState:
    """Return the state after one more record."""
    record = entry.record
    state = _count_idle_time(evolve(state, latest=max(state.latest, entry.at)), record)
    match record:
        case RunCreated():
            state = evolve(state, created=record, created_at=entry.at, schedule_sha256=record.schedule)
        case VisitStarted():
            state = _apply_start(state, record)
        case VisitFinished():
            strategy = catalogue.entry(record.strategy)
            state = _finished(state, load_result(record.result, strategy.result), strategy)
        case TransitionTaken():
            state = _apply_transition(state, record, schedule, catalogue)
        case EnvironmentChecked():
            state = evolve(state, obeys_seed=state.obeys_seed and record.report.obeys_seed)
        case RunClosed():
            state = evolve(state, closed=record)
        case OperatorCommand():
            state = _apply_command(state, record)
        case ApprovalRequested():
            state = evolve(state, approval=record)
        case GuardsJudged() if state.visit is not None:
            state = evolve(state, judged=record, visit=_apply_to_visit(state.visit, record))
        case _ if state.visit is not None:
            state = evolve(state, visit=_apply_to_visit(state.visit, record))
    return evolve(state, champion_moved=True) if isinstance(record, EffectDone) else state


def _count_idle_time(state: RunState, record: JournalRecord) -> RunState:
    """Return the state with the time of waiting for a person begun, ended or as it was; `latest` is the record's time.

    A run waits from its entry into hold or failure until it leaves them, and from a clean stop until the next process.
    """
    is_back = isinstance(record, ProcessStarted) and state.state not in WAITING
    leaves = isinstance(record, TransitionTaken) and record.source in WAITING
    if state.idle_since and (is_back or leaves):
        waited = datetime.fromisoformat(state.latest) - datetime.fromisoformat(state.idle_since)
        state = evolve(state, idle_since="", idle_seconds=state.idle_seconds + waited.total_seconds())
    stops = isinstance(record, OperatorCommand) and record.command == "stop"
    enters = isinstance(record, TransitionTaken) and record.target in WAITING
    return evolve(state, idle_since=state.latest) if (stops or enters) and not state.idle_since else state


def _apply_to_visit(visit: OpenVisit, record: JournalRecord) -> OpenVisit:
    """Return the open visit after a record that belongs to it; others leave it as it is."""
    if isinstance(record, Checkpoint):
        is_new = record.step > visit.step
        return evolve(
            visit,
            checkpoint=record.blob,
            step=max(record.step, visit.step),
            crash_count=0 if is_new else visit.crash_count,
        )
    if isinstance(record, ProcessStarted) and visit.result is None:
        return evolve(visit, crash_count=visit.crash_count + 1, resumed=True)
    if isinstance(record, EffectIntent):
        return evolve(visit, intent=record)
    if isinstance(record, EffectDone):
        return evolve(visit, done=record)
    if isinstance(record, GuardsJudged):
        return evolve(visit, reports=record.reports)
    return visit


def _apply_start(state: RunState, record: VisitStarted) -> RunState:
    visit = state.visit
    if visit is not None and visit.number == record.visit:
        retries = visit.retries + (0 if visit.resumed else 1)
        return evolve(state, visit=evolve(visit, attempt=record.attempt, retries=retries, resumed=False))
    visit = OpenVisit(
        state=record.state,
        number=record.visit,
        attempt=record.attempt,
        inputs=record.inputs,
        baseline_digests=record.baseline_digests,
        expected_champion=record.expected_champion,
    )
    return evolve(state, visit=visit, visits={**state.visits, record.state: record.visit})


def _apply_command(state: RunState, record: OperatorCommand) -> RunState:
    if record.id:
        state = evolve(state, seen_command_ids=state.seen_command_ids | {record.id})
    if record.refused:
        return state
    if record.command == "accept_schedule":
        return evolve(state, schedule_sha256=record.arguments["schedule"])
    if record.command == "stop":  # a clean stop is not counted as a crash
        visit = state.visit
        return state if visit is None else evolve(state, visit=evolve(visit, crash_count=visit.crash_count - 1))
    # A retry reopens a failed run.
    signature = record.arguments.get("signature", state.signature)
    return evolve(state, closed=None, signature=signature, pending_commands=(*state.pending_commands, record))


def _finished(state: RunState, result: TrainingResult, strategy: StrategyEntry) -> RunState:
    """Return the state after a result, which leaves to later visits what its strategy declares."""
    visit = state.visit
    assert visit is not None, "a visit_finished record follows its visit_started"
    state = evolve(
        state,
        visit=evolve(visit, result=result),
        results={**state.results, visit.state: result},
        agent_steps=state.agent_steps + result.agent_steps,
        experience=result.blobs.get("experience", state.experience),
    )
    if "dataset" in strategy.produces:
        state = evolve(state, dataset=result.blobs.get("dataset"))
    if "clone" in strategy.produces:
        state = evolve(state, clone=result.weights or state.clone)
    if "candidate" in strategy.produces:
        state = evolve(state, candidate=result.weights or state.candidate)
    if strategy.fine_tunes and isinstance(result, FineTuningResult):
        start = visit.inputs.get("start")
        state = evolve(
            state,
            fine_tuned=Accepted(state=visit.state, visit=visit.number, result=result),
            starts={**state.starts, visit.state: start} if start is not None else state.starts,
            rounds=state.rounds + 1,
            ramp_index=state.ramp_index + 1,
        )
    if strategy.measures and isinstance(result, EvaluationResult):
        state = evolve(state, evidence=result.evidence, judged_against=visit.expected_champion)
    if strategy.discards and isinstance(result, RollbackResult):
        state = evolve(state, scale=result.scale, ramp_index=0)
    return state


def _apply_transition(
    state: RunState, record: TransitionTaken, schedule: ScheduleSpec, catalogue: StrategyCatalogue
) -> RunState:
    visit = state.visit
    if visit is not None and visit.result is not None:
        stage = AnnealStageResult(
            state=visit.state, visit=visit.number, result=visit.result, to=record.target, why=record.why
        )
        state = evolve(state, stages=(*state.stages, stage))
    ended = state.held if record.source in WAITING else visit
    is_accepted = record.edge is not None and not is_rollback(record.target, schedule, catalogue)
    if is_accepted and ended is not None and ended.result is not None:
        state = evolve(state, accepted=_accept(state, ended.result))
    reopened = _reopened_visit(state) if record.source in WAITING and record.edge is None else None
    state = evolve(state, state=record.target, reason=record.why, visit=reopened)
    if record.target in WAITING:
        held = evolve(visit, is_kept=True) if visit is not None and record.keeps_visit else visit
        return evolve(state, held=held, held_state=record.source, pending_commands=())
    # A command to hold waits for the end of a visit: no work is lost.
    holds = tuple(command for command in state.pending_commands if command.command == "hold")
    return evolve(state, held=None, held_state="", approval=None, pending_commands=holds)


def _reopened_visit(state: RunState) -> OpenVisit | None:
    """Return the visit that a retry continues, with its seeds and checkpoint: one without a result.

    None where the retry begins a new visit: the held one is finished, or the operator asked for a new one.
    """
    command = next((each for each in state.pending_commands if each.command == "retry"), None)
    visit = state.held
    if command is None or command.arguments.get("visit") == "new" or visit is None or visit.result is not None:
        return None
    return evolve(visit, is_kept=False, crash_count=0, retries=0, resumed=True)


def _accept(state: RunState, result: TrainingResult) -> tuple[Accepted, ...]:
    """Return the accepted visits after a state that measures was left for anything but a rollback."""
    last = state.fine_tuned
    if last is None or last in state.accepted or not isinstance(result, EvaluationResult):
        return state.accepted
    if result.weights != last.result.weights or last.result.weights in (None, last.result.parent):
        return state.accepted
    return (*state.accepted, last)


def is_rollback(state: str, schedule: ScheduleSpec, catalogue: StrategyCatalogue) -> bool:
    """Tell whether visits to a state discard the candidate."""
    spec = schedule.states.get(state)
    return spec is not None and catalogue.entry(spec.strategy).discards
