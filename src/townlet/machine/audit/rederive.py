"""The auditor's replay: every verdict and every edge, derived again by the judge's own code."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

import attrs
from attrs import define, evolve, field, frozen

from townlet.dto.codec import Record
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
from townlet.machine.guards.evaluator import GuardEvaluator, report_hash
from townlet.machine.journal.fold import advance
from townlet.machine.journal.run_state import RunState
from townlet.store.blobs import BlobStore

__all__ = ["RederivationReport", "Rederiver"]

_CLOSE = 1e-9
"""Relative difference that another build of scipy may make in a bound; no verdict is compared with it."""


@frozen(kw_only=True)
class RederivationReport(Record):
    """What deciding a run again has shown."""

    verdicts: int
    """Verdicts that were derived again."""
    edges: int
    """Transitions that were derived again, holds on verdicts included."""
    orders: int
    """Operator's orders that were looked at again."""
    differences: tuple[str, ...]
    """What came out otherwise, with the number of the record; empty for a run that stands."""

    @property
    def clean(self) -> bool:
        """Whether everything came out the same."""
        return not self.differences


@define(kw_only=True)
class Rederiver:
    """Walks through a journal and decides at each record once more."""

    plan_of: Callable[[str], Plan]
    """The sound plan of the schedule with this digest."""
    metrics: Mapping[str, MetricSpec]
    """The environment's KPIs by name."""
    blobs: BlobStore
    """Where evidence is stored."""
    catalogue: StrategyCatalogue
    """What the strategies answer."""
    _report: RederivationReport = field(
        default=RederivationReport(verdicts=0, edges=0, orders=0, differences=()), init=False
    )

    def rederive(self, entries: Sequence[Entry]) -> RederivationReport:
        """Return what was derived again from a whole journal, and what differs."""
        first = entries[0].record
        assert isinstance(first, RunCreated), "a standing run was created"
        plan = self.plan_of(first.schedule)
        run = RunState(state=plan.schedule.initial)
        for entry in entries:
            if run.schedule_sha256 and run.schedule_sha256 != first.schedule:
                plan, first = self.plan_of(run.schedule_sha256), evolve(first, schedule=run.schedule_sha256)
            for difference in self._differences(run, plan, entry):
                told = (*self._report.differences, f"record {entry.seq}: {difference}")
                self._report = evolve(self._report, differences=told)
            run = advance(run, entry, plan.schedule, self.catalogue)
        return self._report

    def _differences(self, run: RunState, plan: Plan, entry: Entry) -> Iterator[str]:
        record, visit = entry.record, run.visit
        if isinstance(record, GuardsJudged) and visit is not None:
            yield from self._judged(GuardEvaluator(plan=plan, metrics=self.metrics, blobs=self.blobs), run, record)
        elif isinstance(record, ApprovalRequested) and visit is not None:
            move = from_verdicts(run, visit, plan.schedule)
            if (record.edge, record.report) != (move.asks, report_hash(visit)):
                yield f"approval of edge {record.edge} was asked, derived: {move.asks}, on another guard report"
        elif isinstance(record, OperatorCommand) and record.command not in ("stop", "accept_schedule"):
            self._report = evolve(self._report, orders=self._report.orders + 1)
            why = rejection_reason(run, plan.schedule, record)
            if bool(why) != bool(record.refused):
                yield f"{record.command} was {'refused' if record.refused else 'obeyed'}, derived: {why or 'obeyed'}"
        elif isinstance(record, TransitionTaken):
            yield from self._moved(run, plan, record, datetime.fromisoformat(entry.at).timestamp())

    def _judged(self, court: GuardEvaluator, run: RunState, record: GuardsJudged) -> Iterator[str]:
        assert run.visit is not None
        again = court.reports(run, run.visit)
        self._report = evolve(self._report, verdicts=self._report.verdicts + len(again))
        if [report.guard for report in again] != [report.guard for report in record.reports]:
            yield f"other guards of {record.state} were judged than the schedule names"
        for old, new in zip(record.reports, again, strict=False):
            if old.verdict is not new.verdict:
                yield f"{old.guard} was {old.verdict.value}, derived: {new.verdict.value} ({new.sentence})"
            elif not _alike(old, new):
                yield f"{old.guard} stands on other numbers than derived: {new.sentence}"

    def _moved(self, run: RunState, plan: Plan, record: TransitionTaken, at: float) -> Iterator[str]:
        taken = (record.source, record.target, record.edge)
        move = _derived(run, plan, at)
        if move is None:
            # A budget, a fault or a strategy's own hold: only the engine of that hour could know.
            if record.edge is not None or record.target not in ("hold", "failed"):
                yield f"{record.source} → {record.target} was taken, but nothing led there"
            return
        self._report = evolve(self._report, edges=self._report.edges + 1)
        if taken != (run.state, move.target, move.edge) and not _is_budget(run, record):
            yield (
                f"{record.source} → {record.target} (edge {record.edge}) was taken, "
                f"derived: {run.state} → {move.target} (edge {move.edge}): {move.why}"
            )


def _derived(run: RunState, plan: Plan, at: float) -> Transition | None:
    ordered = from_command(run, plan.schedule, at)
    if ordered is not None and (ordered.trigger in ("abort", "release") or run.visit is None):
        return ordered
    if run.visit is not None and run.visit.reports is not None:
        return from_verdicts(run, run.visit, plan.schedule)
    return ordered


def _is_budget(run: RunState, record: TransitionTaken) -> bool:
    """Tell whether a hold came before a visit's work, where a budget precedes an order to hold."""
    return record.target == "hold" and (run.visit is None or run.visit.result is None)


def _alike(old: GuardReport, new: GuardReport) -> bool:
    """Tell whether two reports say the same, up to the last digits of their numbers."""
    for attribute in attrs.fields(GuardReport):
        a, b = (attrs.asdict(report, recurse=False)[attribute.name] for report in (old, new))
        if attribute.name == "sentence":  # it only retells the numbers
            continue
        if isinstance(a, float) and isinstance(b, float):
            if not math.isclose(a, b, rel_tol=_CLOSE, abs_tol=1e-12):
                return False
        elif a != b:
            return False
    return True
