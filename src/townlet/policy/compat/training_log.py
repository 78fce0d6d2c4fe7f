"""An update epoch as the training log tells it, measured on the policy that is being trained."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from attrs import asdict, define, evolve, field, frozen

from townlet.dto.training_log import (
    ConflictFields,
    CoreFields,
    EventFields,
    HealthFields,
    StreamFields,
    TrainingLogEntry,
)
from townlet.policy.model.weights import Weights
from townlet.policy.ppo.batch import TrajectoryBatch
from townlet.policy.ppo.rollout import Rollout
from townlet.policy.ppo.update_stats import UpdateStatistics
from townlet.store.samples import REQUIRED_FEATURES

__all__ = ["EVENTS", "Epoch", "EventCounter"]

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
class EventCounter:
    """Counts what happens between two readings of a rollout's KPI sums."""

    rollout: Rollout
    """Whose play is counted."""
    before: dict[str, float] = field(factory=dict)
    """Sums at the last reading."""

    def read(self) -> EventFields:
        """Return what happened since the last reading."""
        now = {name: self.rollout.total(metric) for name, metric in EVENTS.items()}
        since = {name: max(total - self.before.get(name, 0.0), 0.0) for name, total in now.items()}
        self.before = now
        return EventFields(**since)


@frozen(kw_only=True)
class Epoch:
    """One iteration: what was played, what the update measured, and how long it took."""

    number: int
    """From 1."""
    cycle: int
    """Round, from 1."""
    statistics: UpdateStatistics
    """Of the update."""
    steps: int
    """Agent-steps of the visit so far."""
    seconds: float
    """Of rollout and update."""
    ticks: int
    """Simulated ticks of one world."""
    mode: Literal["rollout", "replay", "mixed"]
    """Where the data came from."""

    def entry(self, played: TrajectoryBatch, weights: Weights, events: EventFields) -> TrainingLogEntry:
        """Return the line of the log; a number that is not finite is 0 there."""
        found = _finite(self.statistics)
        return TrainingLogEntry(
            core=CoreFields(
                epoch=self.number,
                updates=found.updates,
                transitions=found.samples,
                loss_policy=found.policy_loss,
                loss_value=found.value_loss,
                loss_entropy=found.entropy,
                loss_total=found.total_loss,
                clip_fraction=found.clip_fraction,
                adv_mean=found.advantage_mean,
                adv_std=found.advantage_std,
                grad_norm=found.grad_norm,
                kl_divergence=found.approx_kl,
                lr=found.learning_rate,
                steps=self.steps,
            ),
            health=HealthFields(
                adv_zero_std_batches=found.advantage_zero_std,
                adv_min_std=found.advantage_min_std,
                clip_triggered_minibatches=found.clip_triggered,
                clip_fraction_max=found.clip_fraction_max,
            ),
            stream=StreamFields(
                epoch_duration_sec=self.seconds,
                data_mode=self.mode,
                cycle_id=self.cycle,
                batch_entropy_mean=found.entropy,
                batch_entropy_std=found.entropy_std,
                grad_norm_max=found.grad_norm_max,
                kl_divergence_max=found.approx_kl_max,
                reward_advantage_corr=found.reward_advantage_corr,
                rollout_ticks=self.ticks,
            ),
            events=events,
            conflict=_conflict(played, weights),
        )


def _finite(statistics: UpdateStatistics) -> UpdateStatistics:
    odd: dict[str, Any] = {name: 0.0 for name, number in asdict(statistics).items() if not math.isfinite(number)}
    return evolve(statistics, **odd)


def _conflict(played: TrajectoryBatch, weights: Weights) -> ConflictFields:
    """Return the rivalries that living agents saw, in raw units (clipped where the normaliser clips)."""
    features, lives = played.normalised_features(weights), played.alive
    numbers: dict[str, float] = {}
    for name in REQUIRED_FEATURES:
        if name not in weights.metadata.features or not lives.any():
            continue
        index = weights.metadata.features.index(name)
        column = features[..., index][lives].astype(np.float64) * float(weights.scale[index])
        column += float(weights.mean[index])
        numbers |= {f"{name}_mean": float(column.mean()), f"{name}_max": float(column.max())}
    return ConflictFields(**numbers)
