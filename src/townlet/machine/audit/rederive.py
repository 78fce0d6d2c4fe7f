"""Derive every verdict and every edge of a recorded run again, with the code that decided them."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

import attrs
from attrs import define, evolve, field, frozen

from townlet.dto.codec import Record
from townlet.dto.evolution import stored_as
from townlet.dto.guards import GuardReport
from townlet.dto.journal import (
    ApprovalRequested,
    Entry,
    GuardsJudged,
    OperatorCommand,
    RunCreated,
    TransitionTaken,
)
from townlet.dto.metrics import MetricSpec
from townlet.dto.schedule import Plan
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.engine.next_transition import Transition, from_command, from_verdicts
from townlet.machine.engine.operator_commands import rejection_reason
from townlet.machine.guards.evaluate import GuardEvaluator, report_hash
from townlet.machine.journal.fold import advance
from townlet.machine.journal.run_state import RunState
from townlet.numerals import edge_number, plain_reason
from townlet.store.blobs import BlobStore

__all__ = ["RederivationReport", "Rederiver"]

_CLOSE = 1e-9
"""Relative difference that another build of scipy may make in a bound; verdicts must be equal."""


@frozen(kw_only=True)
class RederivationReport(Record):
    """Counts and differences after a run's decisions were derived again."""

    verdicts: int
    """Verdicts that were derived again."""
    edges: int
    """Transitions that were derived again, holds on verdicts included."""
    commands: int = stored_as("orders")
    """Operator's commands that were checked again."""
    differences: tuple[str, ...]
    """What differs, with the number of the record; empty where every decision is the same."""

    @property
    def clean(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


@define(kw_only=True)
class Rederiver:
    """Goes through a journal and derives at each record what the engine decided there."""

    plan_of: Callable[[str], Plan]
    """Returns the valid plan of the schedule with a digest."""
    metrics: Mapping[str, MetricSpec]
    """The environment's KPIs by name."""
    blobs: BlobStore
    """Where evidence is stored."""
    catalogue: StrategyCatalogue
    """What the strategies answer."""
    _report: RederivationReport = field(
        default=RederivationReport(verdicts=0, edges=0, commands=0, differences=()), init=False
    )

    def rederive(self, entries: Sequence[Entry]) -> RederivationReport:
        """Return what was derived from a complete journal, and what differs."""
        first = entries[0].record
        assert isinstance(first, RunCreated), "load_run has checked the first record"
        plan = self.plan_of(first.schedule)
        run = RunState(state=plan.schedule.initial)
        for entry in entries:
            if run.schedule_sha256 and run.schedule_sha256 != first.schedule:
                plan, first = self.plan_of(run.schedule_sha256), evolve(first, schedule=run.schedule_sha256)
            for difference in self._differences(run, plan, entry):
                differences = (*self._report.differences, f"record {entry.seq}: {difference}")
                self._report = evolve(self._report, differences=differences)
            run = advance(run, entry, plan.schedule, self.catalogue)
        return self._report

    def _differences(self, run: RunState, plan: Plan, entry: Entry) -> Iterator[str]:
        record, visit = entry.record, run.visit
        if isinstance(record, GuardsJudged) and visit is not None:
            yield from self._verdict_differences(
                GuardEvaluator(plan=plan, metrics=self.metrics, blobs=self.blobs), run, record
            )
        elif isinstance(record, ApprovalRequested) and visit is not None:
            edge = from_verdicts(run, visit, plan.schedule).needs_approval
            if (record.edge, record.report) != (edge, report_hash(visit)):
                requested = f"approval of {_edge(record.edge)} was requested"
                yield f"{requested}, derived: {_edge(edge)}, or on another guard report"
        elif isinstance(record, OperatorCommand) and record.command not in ("stop", "accept_schedule"):
            self._report = evolve(self._report, commands=self._report.commands + 1)
            reason = rejection_reason(run, plan.schedule, record)
            if bool(reason) != bool(record.refused):
                was = "rejected" if record.refused else "carried out"
                yield f"{record.command} was {was}, derived: {reason or 'carried out'}"
        elif isinstance(record, TransitionTaken):
            yield from self._transition_differences(run, plan, record, datetime.fromisoformat(entry.at).timestamp())

    def _verdict_differences(self, evaluator: GuardEvaluator, run: RunState, record: GuardsJudged) -> Iterator[str]:
        assert run.visit is not None
        derived = evaluator.reports(run, run.visit, max((report.rule for report in record.reports), default=1))
        self._report = evolve(self._report, verdicts=self._report.verdicts + len(derived))
        if [report.guard for report in derived] != [report.guard for report in record.reports]:
            yield f"other guards of {record.state} were evaluated than the schedule names"
        for old, new in zip(record.reports, derived, strict=False):
            if old.verdict is not new.verdict:
                yield f"{old.guard} was {old.verdict.value}, derived: {new.verdict.value} ({new.sentence})"
            elif not _are_alike(old, new):
                yield f"{old.guard} has other numbers than derived: {new.sentence}"

    def _transition_differences(self, run: RunState, plan: Plan, record: TransitionTaken, at: float) -> Iterator[str]:
        taken = (record.source, record.target, record.edge)
        derived = _derive_transition(run, plan, at)
        if derived is None:
            # A budget, a fault or a strategy's own hold: the journal does not hold what caused it.
            if record.edge is not None or record.target not in ("hold", "failed"):
                yield f"{record.source} → {record.target} was taken, but no record leads there"
            return
        self._report = evolve(self._report, edges=self._report.edges + 1)
        if taken != (run.state, derived.target, derived.edge) and not _is_budget(run, record):
            yield (
                f"{record.source} → {record.target} ({_edge(record.edge)}) was taken, "
                f"derived: {run.state} → {derived.target} ({_edge(derived.edge)}): {plain_reason(derived.why)}"
            )


def _edge(index: int | None) -> str:
    return "no edge" if index is None else f"edge {edge_number(index)}"


def _derive_transition(run: RunState, plan: Plan, at: float) -> Transition | None:
    commanded = from_command(run, plan.schedule, at)
    if commanded is not None and (commanded.trigger in ("abort", "release") or run.visit is None):
        return commanded
    if run.visit is not None and run.visit.reports is not None:
        return from_verdicts(run, run.visit, plan.schedule)
    return commanded


def _is_budget(run: RunState, record: TransitionTaken) -> bool:
    """Tell whether a hold came before a visit's work, where a budget precedes the operator's command to hold."""
    return record.target == "hold" and (run.visit is None or run.visit.result is None)


def _are_alike(old: GuardReport, new: GuardReport) -> bool:
    """Tell whether two reports are equal up to the last digits of their numbers."""
    for attribute in attrs.fields(GuardReport):
        a, b = (attrs.asdict(report, recurse=False)[attribute.name] for report in (old, new))
        if attribute.name == "sentence":  # it only repeats the numbers in words
            continue
        if isinstance(a, float) and isinstance(b, float):
            if not math.isclose(a, b, rel_tol=_CLOSE, abs_tol=1e-12):
                return False
        elif a != b:
            return False
    return True
