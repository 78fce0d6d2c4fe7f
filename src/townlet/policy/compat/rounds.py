"""Rounds as scripts know them, folded from the journal for the summary, the training log and anneal_results.json."""

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any, TypeVar

import attrs
from attrs import evolve, frozen

from townlet.dto.anneal import BCRound, PPORound, PromotionSnapshot, Status
from townlet.dto.guards import ComparisonSpec, GuardReport, Relation, Verdict
from townlet.dto.journal import Entry, GuardsJudged, RunClosed, TransitionTaken, VisitFinished
from townlet.dto.policy import (
    AnnealSummary,
    BCTrainingResult,
    EvaluationResult,
    PPOTrainingResult,
    RollbackResult,
    TrainingResult,
)
from townlet.dto.schedule import ScheduleSpec
from townlet.dto.training_log import AnnealFields
from townlet.machine.audit.snapshot import RunSnapshot
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.journal.result_codec import load_result

__all__ = ["ClosedRound", "OpenRound", "Rounds", "with_rounds"]

Result = TypeVar("Result", bound=TrainingResult)
Metric = tuple[type[TrainingResult], str]
"""Result class that measures it, and its name."""

_ACCURACY: Metric = (BCTrainingResult, "heldout_accuracy")
_LOSS: Metric = (PPOTrainingResult, "value_loss")
_QUEUE: Metric = (EvaluationResult, "conflicts")
_INTENSITY: Metric = (EvaluationResult, "queue_intensity")


@frozen(kw_only=True)
class OpenRound:
    """A round whose guards are not all judged yet."""

    state: str
    """The ppo state."""
    result: PPOTrainingResult
    """Its result; numbers that are not finite are 0, as in every line for scripts."""
    reports: tuple[GuardReport, ...] = ()
    """Guard reports so far, of ppo and of the evaluation that followed."""


@frozen(kw_only=True)
class ClosedRound:
    """The round that the last record closed."""

    result: PPOTrainingResult
    """Result of its ppo state."""
    anneal: AnnealFields
    """Its fields in the closing line of the training log."""


@frozen(kw_only=True)
class Rounds:
    """Clones and rounds of ppo after some records of a journal."""

    schedule: ScheduleSpec
    """Schedule of the run, which says what each guard asks."""
    catalogue: StrategyCatalogue
    """Strategies that the schedule may name."""
    closed: tuple[BCRound | PPORound, ...] = ()
    """Clones and closed rounds, in order."""
    current: OpenRound | None = None
    """The round that is going on."""
    last_closed: ClosedRound | None = None
    """The round that the last record closed; None where it closed none."""
    clone: BCTrainingResult | None = None
    """The last clone."""
    accuracy_report: GuardReport | None = None
    """Report of the guard on its accuracy."""
    rolled_back: bool = False
    """True where the last weights were discarded."""
    count: int = 0
    """Number of rounds begun."""

    def fold(self, entries: Iterable[Entry]) -> "Rounds":
        """Return the rounds after more records."""
        rounds = self
        for entry in entries:
            rounds = rounds.advance(entry)
        return rounds

    def advance(self, entry: Entry) -> "Rounds":
        """Return the rounds after one more record."""
        record, rounds = entry.record, evolve(self, last_closed=None)
        if isinstance(record, VisitFinished):
            return rounds._after_visit(record.state, load_result(record.result, self._result_class(record.state)))
        if isinstance(record, GuardsJudged):
            return rounds._after_guards(record)
        if isinstance(record, TransitionTaken):
            is_evaluated_next = record.target in self.schedule.states and issubclass(
                self._result_class(record.target), EvaluationResult
            )
            if rounds.current is not None and not (record.source == rounds.current.state and is_evaluated_next):
                return rounds._close(rounds.current)
        if isinstance(record, RunClosed) and rounds.current is not None:
            return rounds._close(rounds.current)
        return rounds

    def status(self, *, promoted: bool) -> Status:
        """Return PASS where promoted, FAIL where the clone was refused or the last weights rolled back, else HOLD."""
        if promoted:
            return "PASS"
        last = self.closed[-1] if self.closed else None
        refused = isinstance(last, BCRound) and last.rolled_back
        return "FAIL" if refused or self.rolled_back else "HOLD"

    def _result_class(self, state: str) -> type[TrainingResult]:
        return self.catalogue.entries[self.schedule.states[state].strategy].result

    def _after_visit(self, state: str, result: TrainingResult) -> "Rounds":
        if isinstance(result, BCTrainingResult):
            result = _finite(result)
            clone = BCRound(
                cycle=self.count,
                accuracy=result.heldout_accuracy,
                loss=result.train_loss,
                threshold=None,
                passed=None,
                bc_weight=1.0,
                rolled_back=False,
            )
            return evolve(self, closed=(*self.closed, clone), clone=result, accuracy_report=None, rolled_back=False)
        if isinstance(result, PPOTrainingResult):
            current = OpenRound(state=state, result=_finite(result))
            return evolve(self, current=current, count=self.count + 1, rolled_back=False)
        return evolve(self, rolled_back=True) if isinstance(result, RollbackResult) else self

    def _after_guards(self, record: GuardsJudged) -> "Rounds":
        if issubclass(self._result_class(record.state), BCTrainingResult):
            report = next(iter(self._reports_on(record.reports, _ACCURACY)), None)
            clone, passed = self.closed[-1], _passed(report)
            assert isinstance(clone, BCRound), "a clone's guards follow its visit"
            threshold = report.limit if report else None
            clone = evolve(clone, threshold=threshold, passed=passed, rolled_back=passed is False)
            return evolve(self, closed=(*self.closed[:-1], clone), accuracy_report=report)
        if self.current is None:
            return self
        return evolve(self, current=evolve(self.current, reports=(*self.current.reports, *record.reports)))

    def _close(self, current: OpenRound) -> "Rounds":
        flags = {metric: self._flag(current.reports, metric) for metric in (_LOSS, _QUEUE, _INTENSITY)}
        result = current.result
        closed = PPORound(
            cycle=self.count,
            loss_total=result.total_loss,
            loss_policy=result.policy_loss,
            loss_value=result.value_loss,
            queue_conflict_events=result.queue_conflicts,
            queue_conflict_intensity_sum=result.queue_intensity_sum,
            anneal_loss_flag=flags[_LOSS],
            anneal_queue_flag=flags[_QUEUE],
            anneal_intensity_flag=flags[_INTENSITY],
        )
        last_closed = ClosedRound(result=result, anneal=self._anneal_fields(current, flags))
        return evolve(self, closed=(*self.closed, closed), current=None, last_closed=last_closed)

    def _reports_on(self, reports: Iterable[GuardReport], metric: Metric) -> tuple[GuardReport, ...]:
        """Return the reports of guards on a metric."""
        result_class, name = metric
        return tuple(
            report
            for report in reports
            if report.metric.rpartition(".")[2] == name
            and (state := report.metric.partition(".")[0].partition("[")[0]) in self.schedule.states
            and issubclass(self._result_class(state), result_class)
        )

    def _flag(self, reports: Iterable[GuardReport], metric: Metric) -> bool | None:
        """Return True where a guard on a metric failed, None where none decided."""
        decisions = [self._failed(report) for report in self._reports_on(reports, metric)]
        decided = [failed for failed in decisions if failed is not None]
        return any(decided) if decided else None

    def _failed(self, report: GuardReport) -> bool | None:
        passed = _passed(report)
        if passed is None:
            return None
        # `worse_by` asks whether something went wrong; every other guard, whether all is well.
        guard = self.schedule.guards[report.guard]
        asserts_worse = isinstance(guard, ComparisonSpec) and guard.relation == Relation.WORSE_BY
        return passed if asserts_worse else not passed

    def _anneal_fields(self, current: OpenRound, flags: Mapping[Metric, bool | None]) -> AnnealFields:
        baselines = {metric: _baseline(self._reports_on(current.reports, metric)) for metric in flags}
        return AnnealFields(
            cycle=self.count,
            stage=current.state,
            dataset=self.clone.dataset if self.clone else None,
            bc_accuracy=self.clone.heldout_accuracy if self.clone else None,
            bc_threshold=self.accuracy_report.limit if self.accuracy_report else None,
            bc_passed=_passed(self.accuracy_report),
            loss_baseline=baselines[_LOSS],
            queue_baseline=baselines[_QUEUE],
            intensity_baseline=baselines[_INTENSITY],
            loss_flag=flags[_LOSS],
            queue_flag=flags[_QUEUE],
            intensity_flag=flags[_INTENSITY],
        )


def _finite(result: Result) -> Result:
    numbers = ((a.name, getattr(result, a.name)) for a in attrs.fields(type(result)))
    odd: dict[str, Any] = {name: 0.0 for name, value in numbers if isinstance(value, float) and not isfinite(value)}
    return evolve(result, **odd)


def _passed(report: GuardReport | None) -> bool | None:
    """Return whether a guard passed; None where it decided nothing."""
    if report is None or report.verdict not in (Verdict.PASS, Verdict.FAIL):
        return None
    return report.verdict == Verdict.PASS


def _baseline(reports: Iterable[GuardReport]) -> float | None:
    return next((report.baseline for report in reports if report.baseline is not None), None)


def with_rounds(
    summary: AnnealSummary, run: RunSnapshot, catalogue: StrategyCatalogue, promotion: PromotionSnapshot
) -> AnnealSummary:
    """Return the summary of a run with `promotion`, and with status and rounds folded from the run's journal."""
    rounds = Rounds(schedule=run.schedule, catalogue=catalogue).fold(run.entries)
    status = rounds.status(promoted=summary.champion_moved)
    return evolve(summary, status=status, rounds=rounds.closed, promotion=promotion)
