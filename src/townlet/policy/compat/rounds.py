"""Rounds as scripts know them, folded from the journal: one story for the summary, the log and anneal_results.json."""

from collections.abc import Iterable, Mapping

from attrs import evolve, frozen

from townlet.dto.anneal import BCRound, PPORound, Status
from townlet.dto.guards import GuardReport, Verdict
from townlet.dto.journal import Entry, GuardsJudged, RunClosed, TransitionTaken, VisitFinished
from townlet.dto.policy import BCTrainingResult, EvaluationResult, PPOTrainingResult, RollbackResult, TrainingResult
from townlet.dto.schedule import ScheduleSpec
from townlet.dto.training_log import (
    AnnealFields,
    CoreFields,
    EventFields,
    HealthFields,
    StreamFields,
    TrainingLogEntry,
)
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.journal.result_codec import load_result

__all__ = ["OpenRound", "Rounds", "status"]

Metric = tuple[type[TrainingResult], str]
"""Who measures it, and its name."""

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
    """What it answered."""
    reports: tuple[GuardReport, ...] = ()
    """What guards said so far, of ppo and of the evaluation that followed."""


@frozen(kw_only=True)
class Rounds:
    """What the journal has told so far."""

    schedule: ScheduleSpec
    """Whose guards are read."""
    catalogue: StrategyCatalogue
    """What each strategy answers."""
    told: tuple[BCRound | PPORound, ...] = ()
    """Closed rounds and clones, in order."""
    open: OpenRound | None = None
    """The round that is going on."""
    closing: TrainingLogEntry | None = None
    """The closing line of the round that the last record closed."""
    clone: BCTrainingResult | None = None
    """The last clone."""
    asked: GuardReport | None = None
    """What the guard on its accuracy said."""
    rolled_back: bool = False
    """Whether the last weights were discarded."""
    count: int = 0
    """Rounds begun."""

    def fold(self, entries: Iterable[Entry]) -> "Rounds":
        """Return the rounds after more records."""
        rounds = self
        for entry in entries:
            rounds = rounds.advance(entry)
        return rounds

    def advance(self, entry: Entry) -> "Rounds":
        """Return the rounds after one more record."""
        record, here = entry.record, evolve(self, closing=None)
        if isinstance(record, VisitFinished):
            return here._finished(record.state, load_result(record.result, self._answers(record.state)))
        if isinstance(record, GuardsJudged):
            return here._judged(record)
        if isinstance(record, TransitionTaken):
            follows = self.schedule.states.get(record.target)
            judged_next = follows is not None and issubclass(self._answers(record.target), EvaluationResult)
            if here.open is not None and not (record.source == here.open.state and judged_next):
                return here._closed(here.open)
        if isinstance(record, RunClosed) and here.open is not None:
            return here._closed(here.open)
        return here

    def _answers(self, state: str) -> type[TrainingResult]:
        return self.catalogue.entries[self.schedule.states[state].strategy].result

    def _finished(self, state: str, result: TrainingResult) -> "Rounds":
        if isinstance(result, BCTrainingResult):
            told = BCRound(
                cycle=self.count, accuracy=result.heldout_accuracy, loss=result.train_loss, threshold=None,
                passed=None, bc_weight=1.0, rolled_back=False,
            )  # fmt: skip
            return evolve(self, told=(*self.told, told), clone=result, asked=None, rolled_back=False)
        if isinstance(result, PPOTrainingResult):
            return evolve(self, open=OpenRound(state=state, result=result), count=self.count + 1, rolled_back=False)
        return evolve(self, rolled_back=True) if isinstance(result, RollbackResult) else self

    def _judged(self, record: GuardsJudged) -> "Rounds":
        if issubclass(self._answers(record.state), BCTrainingResult):
            asked = next(iter(self._about(record.reports, _ACCURACY)), None)
            last = self.told[-1]
            assert isinstance(last, BCRound), "a clone's guards follow its visit"
            passed = _decided(asked)
            last = evolve(
                last, threshold=asked.limit if asked else None, passed=passed, rolled_back=passed is False
            )  # fmt: skip
            return evolve(self, told=(*self.told[:-1], last), asked=asked)
        if self.open is None:
            return self
        return evolve(self, open=evolve(self.open, reports=(*self.open.reports, *record.reports)))

    def _closed(self, done: OpenRound) -> "Rounds":
        flags = {metric: self._flag(done.reports, metric) for metric in (_LOSS, _QUEUE, _INTENSITY)}
        result = done.result
        told = PPORound(
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
        return evolve(self, told=(*self.told, told), open=None, closing=self._line(done, flags))

    def _about(self, reports: Iterable[GuardReport], metric: Metric) -> tuple[GuardReport, ...]:
        """Return what guards on a metric said."""
        kind, name = metric
        found = []
        for report in reports:
            state = report.metric.partition(".")[0].partition("[")[0]
            if state in self.schedule.states and report.metric.rpartition(".")[2] == name:
                found += [report] if issubclass(self._answers(state), kind) else []
        return tuple(found)

    def _flag(self, reports: Iterable[GuardReport], metric: Metric) -> bool | None:
        """Return whether a guard on a metric tripped; none where none decided."""
        found = [
            tripped
            for report in self._about(reports, metric)
            if (tripped := self._tripped(report)) is not None
        ]  # fmt: skip
        return any(found) if found else None

    def _tripped(self, report: GuardReport) -> bool | None:
        passed = _decided(report)
        if passed is None:
            return None
        # `worse_by` asks whether something went wrong; every other question, whether all is well.
        return passed if self.schedule.guards[report.guard].worse_by is not None else not passed

    def _line(self, done: OpenRound, flags: Mapping[Metric, bool | None]) -> TrainingLogEntry:
        baselines = {metric: _baseline(self._about(done.reports, metric)) for metric in flags}
        anneal = AnnealFields(
            cycle=self.count,
            stage=done.state,
            dataset=self.clone.dataset if self.clone else None,
            bc_accuracy=self.clone.heldout_accuracy if self.clone else None,
            bc_threshold=self.asked.limit if self.asked else None,
            bc_passed=_decided(self.asked),
            loss_baseline=baselines[_LOSS],
            queue_baseline=baselines[_QUEUE],
            intensity_baseline=baselines[_INTENSITY],
            loss_flag=flags[_LOSS],
            queue_flag=flags[_QUEUE],
            intensity_flag=flags[_INTENSITY],
        )
        line = done.result.last_epoch or _line_of(done.result, self.count)
        return evolve(line, anneal=anneal, stream=evolve(line.stream, cycle_id=self.count))


def _decided(report: GuardReport | None) -> bool | None:
    if report is None or report.verdict not in (Verdict.PASS, Verdict.FAIL):
        return None
    return report.verdict is Verdict.PASS


def _baseline(reports: Iterable[GuardReport]) -> float | None:
    return next((report.baseline for report in reports if report.baseline is not None), None)


def _line_of(result: PPOTrainingResult, cycle: int) -> TrainingLogEntry:
    """Return a line for a visit that reported no epoch: what its result says, and 0 for the rest."""
    return TrainingLogEntry(
        core=CoreFields(
            epoch=result.iterations, updates=0, transitions=0, loss_policy=result.policy_loss,
            loss_value=result.value_loss, loss_entropy=result.entropy, loss_total=result.total_loss,
            clip_fraction=result.clip_fraction, adv_mean=0.0, adv_std=0.0, grad_norm=result.grad_norm,
            kl_divergence=result.approx_kl, lr=0.0, steps=result.agent_steps,
        ),
        health=HealthFields(
            adv_zero_std_batches=0, adv_min_std=0.0, clip_triggered_minibatches=0,
            clip_fraction_max=result.clip_fraction,
        ),
        stream=StreamFields(
            epoch_duration_sec=0.0, data_mode="rollout", cycle_id=cycle, batch_entropy_mean=result.entropy,
            batch_entropy_std=0.0, grad_norm_max=result.grad_norm, kl_divergence_max=result.approx_kl,
            reward_advantage_corr=0.0, rollout_ticks=0,
        ),
        events=EventFields(
            queue_conflict_events=result.queue_conflicts, queue_conflict_intensity_sum=result.queue_intensity_sum
        ),
    )  # fmt: skip


def status(rounds: Rounds, *, promoted: bool) -> Status:
    """Return PASS where promoted, FAIL where the clone was refused or the last weights rolled back, else HOLD."""
    if promoted:
        return "PASS"
    last = rounds.told[-1] if rounds.told else None
    refused = isinstance(last, BCRound) and last.rolled_back
    return "FAIL" if refused or rounds.rolled_back else "HOLD"
