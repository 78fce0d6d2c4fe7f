"""Lines of the training log, version 1.2, from the iterations of ppo and its results."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from attrs import asdict, define, evolve, field

from townlet.dto.policy import PPOTrainingResult
from townlet.dto.training_log import (
    AnnealFields,
    ConflictFields,
    CoreFields,
    EventFields,
    HealthFields,
    StreamFields,
    TrainingLogEntry,
)
from townlet.policy.model.weights import Weights
from townlet.policy.ppo.iteration import PPOIteration
from townlet.policy.ppo.trajectory_batch import TrajectoryBatch
from townlet.policy.ppo.update_stats import UpdateStatistics
from townlet.store.samples import REQUIRED_FEATURES

__all__ = ["EVENTS", "EpochReader", "closing_line"]

EVENTS: Mapping[str, str] = {
    "queue_conflict_events": "conflicts",
    "queue_conflict_intensity_sum": "queue_intensity",
    "shared_meal_events": "shared_meals",
    "late_help_events": "late_helps",
    "shift_takeover_events": "shift_takeovers",
    "chat_success_events": "chats",
    "chat_failure_events": "chats_failed",
}
"""KPI whose sum a log field counts; an environment without it counts 0."""


@define
class EpochReader:
    """Turns the iterations of ppo into lines of the training log; it holds the KPI sums of the iteration before."""

    after_replay: bool
    """True where the schedule replays a data set too."""
    visit: tuple[str, int] = ("", 0)
    """State and number of the visit that reported last."""
    sums: Mapping[str, float] = field(factory=dict)
    """KPI sums of that visit's own episodes at its last iteration."""

    def entry(self, iteration: PPOIteration) -> TrainingLogEntry:
        """Return the line of an iteration; a number that is not finite is 0 there."""
        statistics = _finite(iteration.statistics)
        return TrainingLogEntry(
            core=CoreFields(
                epoch=iteration.number,
                updates=statistics.updates,
                transitions=statistics.samples,
                loss_policy=statistics.policy_loss,
                loss_value=statistics.value_loss,
                loss_entropy=statistics.entropy,
                loss_total=statistics.total_loss,
                clip_fraction=statistics.clip_fraction,
                adv_mean=statistics.advantage_mean,
                adv_std=statistics.advantage_std,
                grad_norm=statistics.grad_norm,
                kl_divergence=statistics.approx_kl,
                lr=statistics.learning_rate,
                steps=iteration.agent_steps,
            ),
            health=HealthFields(
                adv_zero_std_batches=statistics.advantage_zero_std,
                adv_min_std=statistics.advantage_min_std,
                clip_triggered_minibatches=statistics.clip_triggered,
                clip_fraction_max=statistics.clip_fraction_max,
            ),
            stream=StreamFields(
                epoch_duration_sec=iteration.seconds,
                data_mode=self._data_mode(iteration),
                cycle_id=iteration.visit,
                batch_entropy_mean=statistics.entropy,
                batch_entropy_std=statistics.entropy_std,
                grad_norm_max=statistics.grad_norm_max,
                kl_divergence_max=statistics.approx_kl_max,
                reward_advantage_corr=statistics.reward_advantage_corr,
                rollout_ticks=iteration.ticks,
            ),
            events=self._events(iteration),
            conflict=_conflict(iteration.batch, iteration.parent),
        )

    def _data_mode(self, iteration: PPOIteration) -> Literal["rollout", "replay", "mixed"]:
        if iteration.experience == "recorded":
            return "replay"
        return "mixed" if self.after_replay else "rollout"

    def _events(self, iteration: PPOIteration) -> EventFields:
        """Return the events of the batch's episodes; 0 where every batch of the visit is recorded."""
        if iteration.experience == "recorded":
            return EventFields()
        before: Mapping[str, float] = {}
        if not iteration.is_recorded:
            visit = (iteration.state, iteration.visit)
            before = self.sums if visit == self.visit else {}
            self.visit, self.sums = visit, iteration.kpi_sums
        events = {
            name: max(iteration.kpi_sums.get(kpi, 0.0) - before.get(kpi, 0.0), 0.0) for name, kpi in EVENTS.items()
        }
        return EventFields(**events)


def closing_line(result: PPOTrainingResult, anneal: AnnealFields, epoch: TrainingLogEntry | None) -> TrainingLogEntry:
    """Return the closing line of a round: its last epoch, or what its result says with 0 for the rest."""
    line = epoch or _line_of(result)
    return evolve(line, anneal=anneal, stream=evolve(line.stream, cycle_id=anneal.cycle))


def _line_of(result: PPOTrainingResult) -> TrainingLogEntry:
    return TrainingLogEntry(
        core=CoreFields(
            epoch=result.iterations,
            updates=0,
            transitions=0,
            loss_policy=result.policy_loss,
            loss_value=result.value_loss,
            loss_entropy=result.entropy,
            loss_total=result.total_loss,
            clip_fraction=result.clip_fraction,
            adv_mean=0.0,
            adv_std=0.0,
            grad_norm=result.grad_norm,
            kl_divergence=result.approx_kl,
            lr=0.0,
            steps=result.agent_steps,
        ),
        health=HealthFields(
            adv_zero_std_batches=0,
            adv_min_std=0.0,
            clip_triggered_minibatches=0,
            clip_fraction_max=result.clip_fraction,
        ),
        stream=StreamFields(
            epoch_duration_sec=0.0,
            data_mode="rollout",
            cycle_id=0,
            batch_entropy_mean=result.entropy,
            batch_entropy_std=0.0,
            grad_norm_max=result.grad_norm,
            kl_divergence_max=result.approx_kl,
            reward_advantage_corr=0.0,
            rollout_ticks=0,
        ),
        events=EventFields(
            queue_conflict_events=result.queue_conflicts, queue_conflict_intensity_sum=result.queue_intensity_sum
        ),
    )


def _finite(statistics: UpdateStatistics) -> UpdateStatistics:
    odd: dict[str, Any] = {name: 0.0 for name, number in asdict(statistics).items() if not math.isfinite(number)}
    return evolve(statistics, **odd)


def _conflict(batch: TrajectoryBatch, weights: Weights) -> ConflictFields:
    """Return the rivalries that living agents observed, in raw units (clipped where the normaliser clips)."""
    features, alive = batch.normalised_features(weights), batch.alive
    numbers: dict[str, float] = {}
    for name in REQUIRED_FEATURES:
        if name not in weights.metadata.features or not alive.any():
            continue
        index = weights.metadata.features.index(name)
        column = features[..., index][alive].astype(np.float64) * float(weights.scale[index])
        column += float(weights.mean[index])
        numbers |= {f"{name}_mean": float(column.mean()), f"{name}_max": float(column.max())}
    return ConflictFields(**numbers)
