"""Gather from a run's journal and evidence what its comparisons could not show."""

import json
from collections.abc import Iterator, Mapping

from attrs import define, evolve, field, frozen

from townlet.dto.codec import structure
from townlet.dto.evidence import EvidenceTable
from townlet.dto.guards import EvidenceGuardSpec, GuardReport, MetricGuardSpec, TailSpec
from townlet.dto.journal import Entry, GuardsJudged, VisitFinished
from townlet.dto.limitations import PairFacts, RunLimitations, Scope, VisitLimitations
from townlet.dto.metric_name import MetricName
from townlet.dto.metrics import MetricSpec
from townlet.dto.policy import EvaluationResult
from townlet.dto.schedule import EvidenceSpec, Plan, ScheduleSpec
from townlet.dto.strategies import PPOSpec
from townlet.errors import BadInputError, TownletError
from townlet.estimate import undetected_rate
from townlet.machine.audit.comparison_limits import (
    Kpi,
    guard_limitation,
    kpi_moves,
    pair_facts,
    row_of,
    tail_limitation,
)
from townlet.machine.audit.snapshot import first_record, schedule_in_force, schedules
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.guards.look_errors import look_errors
from townlet.machine.guards.verdicts import guards_of
from townlet.machine.journal.result_codec import load_result
from townlet.machine.schedule.loader import stored_plan
from townlet.machine.schedule.partial import Describe
from townlet.ports import EnvironmentDescription
from townlet.store.blobs import BlobStore
from townlet.store.rundir import RunDirectory

__all__ = ["find_limitations"]


@frozen(kw_only=True)
class _EvidenceGuard:
    """A guard on evidence, with its report and its metric."""

    report: GuardReport
    guard: EvidenceGuardSpec
    metric: MetricName


def find_limitations(
    run: RunDirectory, entries: tuple[Entry, ...], blobs: BlobStore, catalogue: StrategyCatalogue, describe: Describe
) -> RunLimitations:
    """Return what the comparisons of a run could not show, for each visit whose guards were evaluated on evidence.

    `entries` are its whole journal. `describe` is asked for directions and scenarios; where it raises, the result says
    why, and has none. Rehearsals have no visits: their numbers mean nothing. BadInputError where the schedule of a
    visit is missing.
    """
    reader = _Reader(run=run, blobs=blobs, catalogue=catalogue, seed=first_record(run, entries).seed)
    spec = evolve(reader.plan(entries).schedule.environment, workers=0)
    problem = ""
    try:
        reader.description = describe(spec)
    except TownletError as error:
        problem = str(error)
    visits = () if first_record(run, entries).rehearsal else tuple(reader.visits(entries))
    return RunLimitations(run=run.id, environment_problem=problem, visits=visits)


@define(kw_only=True)
class _Reader:
    """Goes through a journal and keeps the last evaluation of each state."""

    run: RunDirectory
    blobs: BlobStore
    catalogue: StrategyCatalogue
    seed: int
    description: EnvironmentDescription | None = None
    _evaluations: dict[str, tuple[int, EvaluationResult]] = field(factory=dict, init=False)
    _plans: dict[str, Plan] = field(factory=dict, init=False)

    def visits(self, entries: tuple[Entry, ...]) -> Iterator[VisitLimitations]:
        """Yield what the evidence behind each record of verdicts could not show."""
        for index, entry in enumerate(entries):
            record = entry.record
            if isinstance(record, VisitFinished):
                result = load_result(record.result, self.catalogue.entry(record.strategy).result)
                if isinstance(result, EvaluationResult):
                    self._evaluations[record.state] = record.visit, result
            if isinstance(record, GuardsJudged):
                plan = self.plan(entries[: index + 1])
                for state in self._evidence_states(record, plan):
                    yield self._visit(record, plan, state)

    def plan(self, entries: tuple[Entry, ...]) -> Plan:
        """Return the plan of the schedule in force after these records."""
        digest = schedules(entries)[-1]
        if digest not in self._plans:
            text = schedule_in_force(self.run, entries, self.blobs)
            self._plans[digest] = stored_plan(text, self.catalogue, self.seed)
        return self._plans[digest]

    def _evidence_states(self, record: GuardsJudged, plan: Plan) -> tuple[str, ...]:
        """Return the states whose evidence the guards of a record ask for, and its own where it gathered some."""
        asked = [each.metric.state for each in _evidence_guards(record, plan)]
        return tuple(state for state in dict.fromkeys([record.state, *asked]) if self._has_evidence(state, plan))

    def _has_evidence(self, state: str, plan: Plan) -> bool:
        return state in self._evaluations and state in plan.gathers

    def _visit(self, record: GuardsJudged, plan: Plan, state: str) -> VisitLimitations:
        (visit, result), evidence = self._evaluations[state], plan.gathers[state]
        spec, kpis = plan.schedule.evidence[evidence], self._kpis(result)
        table, problem = self._table(result.evidence)
        guards = [each for each in _evidence_guards(record, plan) if each.metric.state == state]
        asked = _asked_rows(plan.schedule, record.state, state)
        rows = tuple(row for row in table.metrics if row.metric not in asked)
        moves, not_compared, comparisons = kpi_moves(
            table, rows, {row.metric: kpis.get(_kpi_name(row.metric), Kpi()) for row in rows}
        )
        episodes = table.looks[-1] if table.looks else spec.episodes[result.looks - 1]
        errors = look_errors(spec, plan, visit, max((each.report.rule for each in guards), default=1))
        return VisitLimitations(
            judged_in=record.state,
            judged_visit=record.visit,
            state=state,
            visit=visit,
            evidence=evidence,
            candidate=result.weights or "",
            problem=problem,
            unpaired=table.unpaired,
            episodes=episodes,
            declared=spec.episodes[-1],
            unseen_rate=undetected_rate(episodes),
            guards=tuple(
                tail_limitation(each.report, each.guard, kpis.get(each.metric.name, Kpi()))
                if isinstance(each.guard, TailSpec)
                else guard_limitation(each.report, each.guard, kpis.get(each.metric.name, Kpi()), table, errors)
                for each in guards
            ),
            pairs=tuple(_all_pair_facts(table, guards, kpis)),
            unguarded=tuple(row.metric for row in rows),
            comparisons=comparisons,
            moves=moves,
            not_compared=not_compared,
            invalid=tuple(invalid.sentence for invalid in result.invalid),
            scope=self._scope(plan, spec, result),
        )

    def _table(self, digest: str) -> tuple[EvidenceTable, str]:
        """Return stored evidence; where it cannot be read an empty table, and why."""
        try:
            return structure(json.loads(self.blobs.get(digest)), EvidenceTable), ""
        except BadInputError as error:
            return EvidenceTable(evidence="", candidate="", baselines={}, seed=0, looks=(), metrics=()), str(error)

    def _kpis(self, result: EvaluationResult) -> dict[str, Kpi]:
        """Return what is known of each KPI by name: the unit from the journal, the rest from the environment."""
        declared = {} if self.description is None else {spec.name: spec for spec in self.description.metrics}
        return {each.metric: _kpi(each.unit, declared.get(each.metric)) for each in result.measurements}

    def _scope(self, plan: Plan, evidence: EvidenceSpec, result: EvaluationResult) -> Scope:
        scenarios = evidence.scenarios or (plan.schedule.environment.scenario,)
        listed = () if self.description is None else self.description.scenarios
        length = self._length(evidence.days, evidence.max_steps)
        trained = [
            (state, self._length(options.days, options.max_steps))
            for state, options in plan.options.items()
            if isinstance(options, PPOSpec)
        ]
        return Scope(
            scenarios=scenarios,
            unplayed=tuple(name for name in listed if name not in scenarios),
            length=length,
            training_lengths=tuple(f"{state} {other}" for state, other in trained if other != length),
            actions=evidence.actions,
            other_episodes=max(
                (each.episodes for each in result.measurements if each.actions != evidence.actions), default=0
            ),
        )

    def _length(self, days: int, max_steps: int | None) -> str:
        """Return the length of an episode as the schedule states it, or as the environment limits it."""
        if max_steps is None and self.description is not None and self.description.decisions_per_day is None:
            max_steps = self.description.max_steps
        return f"{days} days" if max_steps is None else f"{max_steps:,} decisions"


def _evidence_guards(record: GuardsJudged, plan: Plan) -> Iterator[_EvidenceGuard]:
    """Yield the guards on evidence among those of a record."""
    for report in record.reports:
        guard = plan.schedule.guards.get(report.guard)
        if isinstance(guard, EvidenceGuardSpec) and (metric := MetricName.parse(guard.metric)) is not None:
            yield _EvidenceGuard(report=report, guard=guard, metric=metric)


def _asked_rows(schedule: ScheduleSpec, state: str, measured: str) -> frozenset[str]:
    """Return the rows of the evidence of `measured` that a guard of `state` asks for."""
    guards = (schedule.guards[name] for name in guards_of(schedule, state))
    metrics = (MetricName.parse(guard.metric) for guard in guards if isinstance(guard, MetricGuardSpec))
    return frozenset(metric.row for metric in metrics if metric is not None and metric.state == measured)


def _all_pair_facts(table: EvidenceTable, guards: list[_EvidenceGuard], kpis: Mapping[str, Kpi]) -> Iterator[PairFacts]:
    """Yield the facts of each guarded KPI and baseline, once."""
    done: set[tuple[str, str]] = set()
    for each in guards:
        row, baseline = row_of(table, each.guard), each.guard.baseline
        if baseline is not None and baseline in table.baselines and (row.metric, baseline) not in done:
            done.add((row.metric, baseline))
            yield pair_facts(row, baseline, kpis.get(each.metric.name, Kpi()), unpaired=table.is_unpaired(baseline))


def _kpi(unit: str, spec: MetricSpec | None) -> Kpi:
    if spec is None:
        return Kpi(unit=unit)
    low = 0.0 if spec.low is None and spec.is_count else spec.low
    return Kpi(unit=unit, direction=spec.direction, low=low, high=spec.high)


def _kpi_name(row: str) -> str:
    """Return the KPI of a row: ``NAME`` of ``[SCENARIO].NAME``."""
    return row.rpartition(".")[2]
