"""The engine: one walk of the machine, every step in the journal before it counts.

The write order is the contract: visit_started → the strategy works → visit_finished (the commit point of the work) →
guards → transition (the commit point of the state). The state in memory is folded from the journal and from nothing
else, so an engine on a journal that was cut after any record goes on as if nothing had happened.
"""

import json
import os
import socket
import traceback as tracebacks
from collections.abc import Callable, Mapping
from pathlib import Path

from townlet.dto.catalogue import StrategyCatalogue, StrategyEntry
from townlet.dto.codec import structure
from townlet.dto.guards import EvidenceTable
from townlet.dto.journal import (
    Checkpoint,
    EffectDone,
    EffectIntent,
    Entry,
    GuardsJudged,
    JournalRecord,
    ProcessStarted,
    RunClosed,
    RunCreated,
    VisitFinished,
    VisitStarted,
)
from townlet.dto.metrics import MetricSpec
from townlet.dto.policy import TrainingResult
from townlet.dto.schedule import EdgeSpec, Plan
from townlet.dto.strategies import PPOSpec
from townlet.errors import BadInputError, ChampionMovedError, EnvironmentFaultError, HoldError, StrategyFailedError
from townlet.keyed import derive
from townlet.machine import briefing
from townlet.machine.answers import pack
from townlet.machine.budget import obstacle
from townlet.machine.builder import Walk
from townlet.machine.fold import OpenVisit, RunState, advance, fold
from townlet.machine.guards import choose, guards_of, names
from townlet.machine.journal import Journal
from townlet.machine.judge import Known, decided, evaluate_visits, judge
from townlet.machine.rehearsal import next_edge
from townlet.machine.visit import Perform, Visit
from townlet.store.blobs import BlobStore
from townlet.store.files import write_atomic
from townlet.store.registry import Registry

__all__ = ["Engine"]


def _nobody(entry: Entry) -> None:
    """Listen to nothing."""


class Engine:
    """Walks one run from wherever its journal stands until it is done, failed, aborted or held."""

    def __init__(
        self,
        plan: Plan,
        journal: Journal,
        *,
        perform: Perform,
        registry: Registry,
        blobs: BlobStore,
        catalogue: StrategyCatalogue,
        metrics: tuple[MetricSpec, ...],
        traceback: Path,
        facts: Mapping[str, str] | None = None,
        listen: Callable[[Entry], None] = _nobody,
    ) -> None:
        """Fold the journal; BadInputError where its first record, run_created, is missing.

        Run id, seed and whether it is a rehearsal come from that record. `metrics` are the environment's KPIs,
        `traceback` the file a failure leaves its stack in, `facts` what the registry notes beside a version; `listen`
        hears every record once it is durable.
        """
        self._plan, self._journal, self._catalogue = plan, journal, catalogue
        self._perform, self._registry, self._blobs, self._listen = perform, registry, blobs, listen
        self._metrics = {spec.name: spec for spec in metrics}
        self._traceback, self._facts = traceback, dict(facts or {})
        self._run = fold(journal.entries, plan.schedule, catalogue)
        if self._run.created is None:
            raise BadInputError(f"{journal.path}: the run has no run_created record; create the run first")
        self._created: RunCreated = self._run.created

    @property
    def state(self) -> RunState:
        """What the journal amounts to so far."""
        return self._run

    def run(self) -> RunState:
        """Walk on until there is nothing to do; a held run stays open, any other end is closed in the journal.

        Raises EnvironmentFaultError where the journal itself cannot be written: nothing is lost, run again later.
        """
        if self._run.state in self._plan.schedule.states:
            self._append(ProcessStarted(pid=os.getpid(), host=socket.gethostname()))
        while self._run.state in self._plan.schedule.states:
            self._step()
        if self._run.state != "hold" and self._run.closed is None:
            end = self._run
            self._append(RunClosed(state=end.state, reason=end.why, champion_moved=end.champion_moved))
        return self._run

    def _append(self, record: JournalRecord) -> None:
        entry = self._journal.append(record)
        self._run = advance(self._run, entry, self._plan.schedule, self._catalogue)
        self._listen(entry)

    def _step(self) -> None:
        """Do whatever the present visit needs next."""
        visit = self._run.visit
        if visit is None or visit.result is None:
            reason = obstacle(self._run, self._plan.schedule.budget, self._journal.clock(), self._blobs.size)
            if reason:
                self._walk().hold(reason)
            else:
                self._work()
        elif visit.reports is None:
            self._judge(visit)
        else:
            self._leave(visit)

    def _walk(self) -> Walk:
        return Walk(self._plan.schedule, self._run.state, self._append)

    def _work(self) -> None:
        """Start (or start again) the visit to the present state, run its strategy and journal the answer."""
        try:
            self._start()
        except HoldError as error:
            self._walk().hold(str(error))
            return
        state, spec = self._run.state, self._plan.schedule.states[self._run.state]
        try:
            opened = self._opened()
            result = self._perform(self._brief(opened))
            finished = VisitFinished(
                state=state, visit=opened.number, strategy=spec.strategy, result=self._packed(result)
            )
        except ChampionMovedError as error:
            self._walk().hold(f"champion moved: {error}")
        except HoldError as error:
            self._walk().hold(str(error))
        except (EnvironmentFaultError, OSError) as error:
            if self._opened().attempt >= spec.retry.attempts:
                self._fail(error)
        except Exception as error:  # noqa: BLE001 - whatever a strategy raises ends the run in the journal, with its stack
            self._fail(error)
        else:
            self._append(finished)

    def _start(self) -> None:
        run, schedule = self._run, self._plan.schedule
        if run.visit is not None:
            again = run.visit
            self._append(
                VisitStarted(
                    state=again.state,
                    visit=again.number,
                    attempt=again.attempt + 1,
                    inputs=again.inputs,
                    pins=again.pins,
                    expected=again.expected,
                )
            )
            return
        version = self._registry.champion(schedule.registry.name, schedule.registry.champion)
        champion = None if version is None else version.weights
        given = briefing.inputs(run, self._plan, run.state, champion)
        judged = self._entry(run.state).effect and run.evidence is not None
        self._append(
            VisitStarted(
                state=run.state,
                visit=run.visits.get(run.state, 0) + 1,
                attempt=1,
                inputs=given,
                pins=briefing.pins(run, self._plan, run.state, given),
                expected=run.judged_against if judged else champion,
            )
        )

    def _entry(self, state: str) -> StrategyEntry:
        return self._catalogue.entries[self._plan.schedule.states[state].strategy]

    def _opened(self) -> OpenVisit:
        visit = self._run.visit
        assert visit is not None, "visit_started is journalled before anything works in a visit"
        return visit

    def _brief(self, visit: OpenVisit) -> Visit:
        run, state = self._run, visit.state
        spec = briefing.scaled(self._plan.options[state], state, run.scale)
        return Visit(
            state=state, strategy=self._plan.schedule.states[state].strategy, number=visit.number,
            attempt=visit.attempt, stint=run.stint if isinstance(spec, PPOSpec) else 0, spec=spec,
            scale=run.scale, seed=derive(self._created.seed, state, visit.number), inputs=visit.inputs,
            pins=visit.pins, expected=visit.expected, evaluate_visits=evaluate_visits(self._plan),
            checkpoint=visit.checkpoint, save=self._save, decided=self._decided, effect=self._effect,
        )  # fmt: skip

    def _packed(self, result: TrainingResult) -> Mapping[str, object]:
        expected = self._entry(self._run.state).result
        if type(result) is not expected:
            raise StrategyFailedError(f"answered with {type(result).__name__}, expected {expected.__name__}")
        return pack(result)

    def _save(self, step: int, digest: str) -> None:
        visit = self._opened()
        self._append(Checkpoint(state=visit.state, visit=visit.number, step=step, blob=digest))

    def _known(self, visit: OpenVisit, candidate: str | None) -> Known:
        run = self._run
        return Known(
            plan=self._plan, metrics=self._metrics, candidate=candidate, visits=run.visits, results=run.results,
            accepted=run.accepted, pins=visit.pins, table=self._table,
        )  # fmt: skip

    def _table(self, digest: str) -> EvidenceTable:
        return structure(json.loads(self._blobs.get(digest)), EvidenceTable)

    def _decided(self, table: EvidenceTable) -> bool:
        visit = self._opened()
        return decided(table, visit.state, self._known(visit, table.candidate))

    def _effect(self, target: str) -> EffectDone:
        """Move the champion's alias once: intent, compare-and-set, done, each journalled before the next."""
        visit, where = self._opened(), self._plan.schedule.registry
        if not self._entry(visit.state).effect or target != visit.inputs.get("candidate"):
            raise StrategyFailedError(
                f"{visit.state} may not move {where.champion!r} to {target}; expected an effect on the candidate"
            )
        if visit.done is not None:
            return visit.done
        if self._run.rehearsal:
            return EffectDone(alias=where.champion, target=target, version=0)
        intent = visit.intent or EffectIntent(
            state=visit.state, visit=visit.number, registry=where.name, alias=where.champion, target=target,
            expected=visit.expected, evidence=self._run.evidence,
        )  # fmt: skip
        if visit.intent is None:
            self._append(intent)
        ppo = self._run.ppo
        version = self._registry.promote(
            intent.registry, intent.alias, target=target, expected=intent.expected, evidence=intent.evidence,
            run=self._created.run, head=self._journal.head, facts=self._facts,
            parent=(ppo.result.parent or None) if ppo is not None and ppo.result.weights == target else None,
        )  # fmt: skip
        done = EffectDone(alias=intent.alias, target=target, version=version.version)
        self._append(done)
        return done

    def _judge(self, visit: OpenVisit) -> None:
        """Judge every guard named on any edge of the state, once, without short cuts."""
        guards, known = self._plan.schedule.guards, self._known(visit, self._run.candidate)
        asked = guards_of(self._plan.schedule, visit.state)
        reports = tuple(judge(name, guards[name], known) for name in asked)
        self._append(GuardsJudged(state=visit.state, visit=visit.number, reports=reports))

    def _leave(self, visit: OpenVisit) -> None:
        """Take the edge that the recorded verdicts lead to, or hold before the first that nobody can answer."""
        edges = self._plan.schedule.states[visit.state].next
        if self._run.rehearsal:
            edge = next_edge(self._plan.schedule, visit.state, self._run.visits)
            self._walk().leave(edge, "rehearsal: verdicts are recorded and not followed")
            return
        choice = choose(edges, {report.guard: report.verdict for report in visit.reports or ()})
        if choice.unknown:
            sentences = {report.guard: report.sentence for report in visit.reports or ()}
            why = "; ".join(f"{name}: {sentences[name]}" for name in choice.unknown)
            to = edges[choice.edge].to
            self._walk().hold(f"unknown on edge {choice.edge} of {visit.state} (to {to}): {why}")
            return
        self._walk().leave(choice.edge, _why(edges[choice.edge]))

    def _fail(self, error: Exception) -> None:
        stack = "".join(tracebacks.format_exception(error))
        write_atomic(self._traceback, stack.encode())
        first = (str(error).splitlines() or [""])[0]
        self._walk().fail(f"{self._run.state}: {type(error).__name__}: {first}")


def _why(edge: EdgeSpec) -> str:
    if edge.why:
        return edge.why
    asked = list(dict.fromkeys(name for part in edge.when for name in names(part)))
    return f"on {', '.join(asked)}" if asked else "always"
