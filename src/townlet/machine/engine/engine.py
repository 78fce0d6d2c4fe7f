"""The engine: one run of the state machine, each step written to the journal before it takes effect.

The order of writes is the contract: visit_started → the strategy runs → visit_finished (the commit point of the work)
→ guards → transition (the commit point of the state). The state in memory is the fold of the journal and of nothing
else, so an engine that opens a journal cut after any record ends with the same run.
"""

import os
import socket
import traceback as tracebacks
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from attrs import evolve

from townlet.dto.evidence import EvidenceTable
from townlet.dto.journal import (
    ApprovalRequested,
    Checkpoint,
    EffectDone,
    Entry,
    GuardsJudged,
    JournalRecord,
    OperatorCommand,
    ProcessStarted,
    RunClosed,
    RunCreated,
    VisitFinished,
)
from townlet.dto.metrics import MetricSpec
from townlet.dto.policy import EvaluationResult, TrainingResult
from townlet.dto.schedule import Plan
from townlet.errors import (
    BadInputError,
    ChampionMovedError,
    EnvironmentFaultError,
    HoldError,
    StoppedError,
    StrategyFailedError,
    TownletError,
)
from townlet.machine.catalogue import StrategyCatalogue, StrategyEntry
from townlet.machine.engine.budget import check_time, hold_reason, time_spent
from townlet.machine.engine.inbox import discard, has_commands, waiting
from townlet.machine.engine.next_transition import Transition, from_command, from_verdicts
from townlet.machine.engine.operator_commands import rejection_reason
from townlet.machine.engine.promote_alias import move_champion, unrecorded_move
from townlet.machine.engine.state_machine import StateMachine
from townlet.machine.engine.visit import RunVisit, build_visit, never, open_visit
from townlet.machine.engine.visit_errors import left_open, outcome_of
from townlet.machine.guards.evaluate import GuardEvaluator, report_hash
from townlet.machine.journal.chain import Journal
from townlet.machine.journal.fold import advance, fold
from townlet.machine.journal.result_codec import dump_result
from townlet.machine.journal.run_state import WAITING, OpenVisit, RunState
from townlet.store.blobs import BlobStore
from townlet.store.files import write_atomic
from townlet.store.registry.registry import Registry

__all__ = ["Engine"]


def _no_listener(entry: Entry) -> None:
    """Ignore a record."""


class Engine:
    """Continues one run from the end of its journal until it is done, failed, aborted or held."""

    def __init__(
        self,
        plan: Plan,
        journal: Journal,
        *,
        perform: RunVisit,
        registry: Registry,
        blobs: BlobStore,
        catalogue: StrategyCatalogue,
        metrics: tuple[MetricSpec, ...],
        traceback: Path,
        inbox: Path,
        metadata: Mapping[str, str] | None = None,
        process: ProcessStarted | None = None,
        stopping: Callable[[], bool] = never,
        listen: Callable[[Entry], None] = _no_listener,
    ) -> None:
        """Fold the journal; BadInputError where its first record, run_created, is missing.

        Run id, seed and whether it is a rehearsal come from that record. `metrics` are the environment's KPIs,
        `traceback` is the file for the stack of a failure, `inbox` the directory of operator commands, `metadata` what
        the registry stores beside a version, `process` the record that begins this process; `stopping` is true once
        somebody asked it to stop; `listen` gets every record once it is durable.
        """
        self._plan, self._journal, self._catalogue = plan, journal, catalogue
        self._perform, self._registry, self._blobs, self._listen = perform, registry, blobs, listen
        self._evaluator = GuardEvaluator(plan=plan, metrics={spec.name: spec for spec in metrics}, blobs=blobs)
        self._traceback, self._inbox, self._metadata = traceback, inbox, dict(metadata or {})
        self._process = process or ProcessStarted(pid=os.getpid(), host=socket.gethostname())
        self._stopping = stopping
        self._run = fold(journal.entries, plan.schedule, catalogue)
        if self._run.created is None:
            raise BadInputError(f"{journal.path}: the run has no run_created record; create the run first")
        self._created: RunCreated = self._run.created

    @property
    def state(self) -> RunState:
        """State of the run after the last record."""
        return self._run

    def run(self) -> RunState:
        """Take steps until none is left and return the state; a held run stays open, any other end is journalled.

        StoppedError where the process was asked to stop, ResourceFaultError where disk, memory or a device fails,
        UnfitInputError where an input of the open visit is missing or damaged: nothing is lost, run again later. A
        failed run continues where an operator's command to retry waits.
        """
        if self._run.closed is not None and self._run.state != "failed":
            return self._run
        if self._run.state in self._plan.schedule.states or (self._run.state in WAITING and self._has_commands()):
            self._append(self._process)
        elif self._run.closed is not None:
            return self._run
        while self._step():
            pass
        if self._run.state != "hold" and self._run.closed is None:
            run = self._run
            self._append(RunClosed(state=run.state, reason=run.reason, champion_moved=run.champion_moved))
        return self._run

    def _append(self, record: JournalRecord) -> None:
        entry = self._journal.append(record)
        self._run = advance(self._run, entry, self._plan.schedule, self._catalogue)
        self._listen(entry)

    def _has_commands(self) -> bool:
        return has_commands(self._inbox) or self._commanded_transition() is not None

    def _now(self) -> float:
        """Return the time in seconds; a clock that was set back stands still."""
        return max(self._journal.clock(), datetime.fromisoformat(self._run.latest)).timestamp()

    def _commanded_transition(self) -> Transition | None:
        return from_command(self._run, self._plan.schedule, self._now())

    def _read_inbox(self) -> None:
        """Journal every command in the inbox, with the reason where it is rejected, then remove its file.

        What exceeds the number that is carried out at once is rejected in one record.
        """
        commands, excess = waiting(self._inbox, self._now()) if has_commands(self._inbox) else ((), ())
        for command in commands:
            if command.id not in self._run.seen_command_ids:
                reason = command.refused or rejection_reason(self._run, self._plan.schedule, command)
                self._append(evolve(command, refused=reason))
            discard(self._inbox, command.id)
        if excess:
            reason = f"{len(excess)} more commands were in the inbox than are carried out at once; send what is missing"
            self._append(OperatorCommand(command="excess", actor="engine", refused=reason))
        for name in excess:
            discard(self._inbox, name)

    def _step(self) -> bool:
        """Take the next step of the run; False where there is none."""
        self._read_inbox()
        transition, visit = self._commanded_transition(), self._run.visit
        if self._run.state in WAITING or (transition is not None and transition.trigger == "abort"):
            if transition is not None:
                self._machine().take(transition)
            return transition is not None
        if self._run.state not in self._plan.schedule.states:
            return False
        if self._stopping():
            raise self._record_clean_exit(StoppedError(f"stopped in {self._run.state}"))
        if visit is None or visit.result is None:
            reason = hold_reason(self._run, self._plan.schedule.budget, self._journal.clock(), self._blobs)
            if reason:
                self._machine().hold(reason, keeps_visit=visit is not None and bool(self._time_spent()))
            elif transition is not None:
                self._machine().take(transition)
            else:
                self._run_strategy()
        elif visit.reports is None:
            self._require_evidence(visit.result)
            reports = self._evaluator.reports(self._run, visit)
            self._append(GuardsJudged(state=visit.state, visit=visit.number, reports=reports))
        else:
            self._take_transition(visit)
        return True

    def _require_evidence(self, result: TrainingResult) -> None:
        """Leave the run where it is if its evidence cannot be read: UnfitInputError or ResourceFaultError."""
        if isinstance(result, EvaluationResult) and result.evidence:
            try:
                self._blobs.get(result.evidence)
            except BadInputError as error:
                raise self._record_clean_exit(left_open(self._run.state, error)) from error

    def _machine(self) -> StateMachine:
        """Return the machine that takes the next transition, after what the visit did outside is journalled."""
        done = unrecorded_move(self._run, self._registry)
        if done is not None:
            self._append(done)
        return StateMachine(self._plan.schedule, self._run.state, self._append)

    def _record_clean_exit(self, error: TownletError) -> TownletError:
        """Journal that the process ends on purpose, so that it is not counted as a crash; return `error`.

        Where the journal cannot be written either, the process still ends with `error`, which says why.
        """
        actor = "signal" if isinstance(error, StoppedError) else "engine"
        with suppress(EnvironmentFaultError):
            self._append(OperatorCommand(command="stop", actor=actor, reason=str(error)))
        return error

    def _run_strategy(self) -> None:
        """Begin an attempt of the visit to the present state, run its strategy and journal the result."""
        try:
            self._begin_attempt()
        except HoldError as error:
            self._machine().hold(str(error))
            return
        state, spec = self._run.state, self._plan.schedule.states[self._run.state]
        try:
            opened = self._current_visit()
            visit = build_visit(
                self._run,
                opened,
                self._plan,
                self._entry(state),
                seed=self._created.seed,
                save=self._save,
                decided=self._decided,
                effect=self._effect,
                stopping=lambda: self._stopping() or bool(self._time_spent()),
                check_time=lambda: check_time(state, self._time_spent()),
            )
            result = dump_result(self._perform(visit), self._entry(state).result)
            finished = VisitFinished(state=state, visit=opened.number, strategy=spec.strategy, result=result)
        except Exception as error:  # noqa: BLE001 - every kind of error has its outcome, and none is swallowed
            self._end_attempt(error)
        else:
            self._append(finished)

    def _end_attempt(self, error: Exception) -> None:
        """Do what an error in the visit means: leave it open, hold, fail, or nothing: the next step tries again."""
        retries, attempts = self._current_visit().retries, self._plan.schedule.states[self._run.state].retry.attempts
        spent = self._time_spent() if isinstance(error, StoppedError) and not self._stopping() else ""
        match outcome_of(error, last_attempt=retries + 1 >= attempts):
            case "open" if spent:
                self._machine().hold(spent, keeps_visit=True)
            case "open":
                raise self._record_clean_exit(left_open(self._run.state, error)) from error
            case "hold":
                moved = "champion moved: " if isinstance(error, ChampionMovedError) else ""
                self._machine().hold(f"{moved}{error}")
            case "fail":
                self._fail(error)

    def _time_spent(self) -> str:
        return time_spent(self._run, self._plan.schedule.budget, self._journal.clock())

    def _begin_attempt(self) -> None:
        spec = self._plan.schedule.registry
        version = None if self._run.visit else self._registry.champion(spec.name, spec.champion)
        champion = None if version is None else version.weights
        self._append(open_visit(self._run, self._plan, champion, self._entry(self._run.state)))

    def _entry(self, state: str) -> StrategyEntry:
        return self._catalogue.entry(self._plan.schedule.states[state].strategy)

    def _current_visit(self) -> OpenVisit:
        visit = self._run.visit
        assert visit is not None, "visit_started is journalled before anything works in a visit"
        return visit

    def _save(self, step: int, digest: str) -> None:
        visit = self._current_visit()
        self._append(Checkpoint(state=visit.state, visit=visit.number, step=step, blob=digest))

    def _decided(self, table: EvidenceTable) -> bool:
        rehearsal = self._created.rehearsal  # takes every look
        return not rehearsal and self._evaluator.is_decided(self._run, self._current_visit(), table)

    def _effect(self, target: str) -> EffectDone:
        if not self._entry(self._run.state).effect:
            raise StrategyFailedError(f"{self._run.state} may not move anything; expected a strategy with an effect")
        return move_champion(
            self._run,
            target,
            self._plan.schedule.registry,
            registry=self._registry,
            journal=self._journal,
            append=self._append,
            metadata=self._metadata,
            request=self._inbox.with_name("signature_request.json"),
        )

    def _take_transition(self, visit: OpenVisit) -> None:
        """Take the edge that the recorded verdicts choose; an edge with an approval first asks the operator."""
        transition = from_verdicts(self._run, visit, self._plan.schedule)
        edge = transition.needs_approval
        if edge is not None and self._run.approval is None:
            approval = self._plan.schedule.states[visit.state].next[edge].approval
            assert approval is not None, "only an edge with `approval:` needs one"
            expires = self._journal.clock().timestamp() + approval.expires
            self._append(ApprovalRequested(state=visit.state, edge=edge, report=report_hash(visit), expires=expires))
        self._machine().take(transition)

    def _fail(self, error: Exception) -> None:
        stack = "".join(tracebacks.format_exception(error))
        with suppress(OSError, TownletError):  # the journal holds the reason; without the stack the run still ends
            write_atomic(self._traceback, stack.encode())
        first = (str(error).splitlines() or [""])[0]
        self._machine().fail(f"{self._run.state}: {type(error).__name__}: {first}")
