"""PPO's update: passes over the minibatches of one rollout, with anchor, demonstrations, value normaliser and Adam.

For each rollout: advantages, value normaliser, then `update_epochs` passes over shuffled minibatches, each one step

    g ← ∂L/∂θ,  g ← g·min(1, max_grad_norm ÷ ‖g‖),  θ ← Adam(θ, g)

until the mean approximate KL of a pass exceeds `target_kl`. The loss L stands in `policy.gradient.objective`.
"""

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from townlet.dto.strategies import PPOSpec
from townlet.policy.advantages import generalised_advantages
from townlet.policy.data.dataset import Samples
from townlet.policy.distributions.acting import log_probabilities, masked
from townlet.policy.gradient.backend import choose_backend
from townlet.policy.gradient.batch import Batch, Demonstrations, LossOptions, Minibatch, StepOptions
from townlet.policy.gradient.block_rows import choose_block_rows
from townlet.policy.gradient.layout import ParameterViews
from townlet.policy.model.blas import one_thread
from townlet.policy.model.device import choose_device
from townlet.policy.model.forward import forward
from townlet.policy.model.weights import Weights
from townlet.policy.ppo.ramps import Ramp
from townlet.policy.ppo.trajectory_batch import TrajectoryBatch
from townlet.policy.ppo.update_stats import MinibatchStatistics, UpdateStatistics, correlation, summarise

__all__ = ["Learner"]

Anchor = tuple[NDArray[np.float32] | None, NDArray[np.float32] | None, NDArray[np.float32] | None]
"""The parent's log-probabilities, means and log σ; None without an anchor."""

_NORMALISER_DECAY = 0.95
"""β, weight of the old mean and scale in the value normaliser's moving average."""
_MIN_VALUE_SCALE = 1.0e-3
"""Lower limit of the value normaliser's scale: returns that hardly vary would make targets huge."""
_DEMONSTRATIONS_PER_ROW = 4
"""A minibatch gets one captured demonstration for this many of its rows."""


class Learner:
    """Holds a trainable copy of the parent's weights and an optimizer; `update` learns from one rollout."""

    def __init__(
        self,
        parent: Weights,
        spec: PPOSpec,
        gamma: float,
        demonstrations: Samples | None,
        block_rows: int | None = None,
    ) -> None:
        """Start from the parent's weights; `block_rows` is that of an earlier learner that this one continues."""
        self.parent, self.spec, self.gamma, self.device = parent, spec, gamma, choose_device(spec.device)
        self._captured = 0 if demonstrations is None else len(demonstrations.labels)
        captured = None
        if demonstrations is not None:
            captured = Demonstrations(demonstrations.features, demonstrations.action_mask, demonstrations.labels)
        self.value_mean, self.value_scale = parent.value_mean, parent.value_scale
        parameters = ParameterViews(parent.actor, parent.critic, parent.log_std)

        def rows_of_a_block() -> int:
            return block_rows or spec.block_rows or choose_block_rows(parameters, parent.spec, spec.minibatch_size)

        options = _loss_options(spec)
        self._backend = choose_backend(parameters, parent.spec, options, self.device, rows_of_a_block, captured)

    @property
    def block_rows(self) -> int:
        """Rows that pass through the network together; 0 for all."""
        return self._backend.block_rows

    def adam_state(self) -> dict[str, NDArray[Any]]:
        """Return Adam's state; with `weights` it is all that `resume` needs."""
        return self._backend.adam_state()

    def resume(self, weights: Weights, adam_state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from an earlier state of this learner: its weights and Adam's state."""
        self._backend.load(weights.actor, weights.critic, weights.log_std)
        self.value_mean, self.value_scale = weights.value_mean, weights.value_scale
        self._backend.load_adam(adam_state)

    def weights(self) -> Weights:
        """Return a copy of the current weights, without a probe batch."""
        layers = self._backend.layers()
        return attrs.evolve(
            self.parent,
            actor=layers.actor,
            log_std=layers.log_std,
            critic=layers.critic,
            value_mean=self.value_mean,
            value_scale=self.value_scale,
            probe=None,
        )

    def update(
        self, rollout: TrajectoryBatch, weights: Weights, ramp: Ramp, rng: np.random.Generator
    ) -> UpdateStatistics:
        """Update from one rollout of `weights` (the current ones), or from recorded trajectories; return statistics.

        `ramp` gives the iteration's loss weights and learning-rate factors. If a loss or gradient is not finite, the
        update ends before that minibatch's step and the statistics say `finite=False`.
        """
        with one_thread():
            return self._update(rollout, weights, ramp, rng)

    def _update(
        self, rollout: TrajectoryBatch, weights: Weights, ramp: Ramp, rng: np.random.Generator
    ) -> UpdateStatistics:
        batch, alive_rows, rollout_stats = self._prepare(rollout, weights, ramp)
        self._backend.use(batch)
        count = len(alive_rows)
        minibatches = self.spec.num_minibatches or max(1, count // self.spec.minibatch_size)
        history: list[MinibatchStatistics] = []
        for _ in range(self.spec.update_epochs):
            shuffled, epoch_kl = alive_rows[rng.permutation(count)], list[float]()
            for rows in np.array_split(shuffled, min(minibatches, max(count, 1))):
                statistics = self._minibatch_step(batch, rows, ramp, rng)
                if statistics is None:
                    return attrs.evolve(summarise(history, rollout_stats), finite=False)
                history.append(statistics)
                epoch_kl.append(statistics.approx_kl)
            if float(np.mean(epoch_kl)) > self.spec.target_kl:
                break
        return summarise(history, rollout_stats)

    def _prepare(
        self, rollout: TrajectoryBatch, weights: Weights, ramp: Ramp
    ) -> tuple[Batch[NDArray[Any]], NDArray[np.int64], UpdateStatistics]:
        """Return all decisions of a rollout as rows [B], the rows with a living agent, and the rollout's statistics.

        Updates the value normaliser first, because the targets are in its units: target = (Â + V − μ) ÷ σ.
        """
        v_t, v_tp1 = rollout.values(weights)
        advantages = generalised_advantages(
            rollout.rewards,
            v_t,
            v_tp1,
            rollout.terminations,
            rollout.truncations,
            gamma=self.gamma,
            gae_lambda=self.spec.gae_lambda,
        )
        alive = rollout.alive
        statistics = self._rollout_statistics(rollout, advantages, v_t, ramp)
        self._update_value_normaliser((advantages + v_t)[alive])
        mean, scale = np.float32(self.value_mean), np.float32(self.value_scale)
        features = rollout.normalised_features(weights).reshape(alive.size, -1)
        mask = rollout.action_mask.reshape(alive.size, -1)
        anchor: Anchor = (None, None, None)
        if ramp.anchor_kl > 0 and ramp.actor > 0:
            anchor = self._anchor(features, mask)
        teacher_controlled = None
        if rollout.teacher_controlled.any():
            teacher_controlled = np.broadcast_to(rollout.teacher_controlled[:, None], alive.shape).ravel()
        batch = Batch(
            features=features,
            action_mask=mask,
            actions=rollout.actions.reshape(alive.size, -1),
            old_log_probs=rollout.log_probs.ravel(),
            advantages=advantages.ravel(),
            targets=(advantages + v_t - mean).ravel() / scale,
            old_values=(v_t - mean).ravel() / scale,
            anchor_log_probs=anchor[0],
            anchor_means=anchor[1],
            anchor_log_std=anchor[2],
            teacher_controlled=teacher_controlled,
        )
        return batch, np.flatnonzero(alive), statistics

    def _anchor(self, features: NDArray[np.float32], mask: NDArray[np.bool_]) -> "Anchor":
        """Return the parent's log-probabilities [B, A], means [B, D] and log σ [D]."""
        outputs, spec = forward(self.parent.actor, features), self.parent.spec
        log_p = log_probabilities(masked(outputs[:, : spec.logits], mask), spec)
        return log_p, np.ascontiguousarray(outputs[:, spec.logits :]), self.parent.log_std

    def _rollout_statistics(
        self, rollout: TrajectoryBatch, advantages: NDArray[np.float32], v_t: NDArray[np.float32], ramp: Ramp
    ) -> UpdateStatistics:
        """Return the statistics of the decisions of living agents, before any minibatch.

        explained variance = 1 − Var(Â) ÷ Var(Â + V)
        """
        alive = rollout.alive
        advantage, returns = advantages[alive], (advantages + v_t)[alive]
        variance = float(returns.var(dtype=np.float64))
        return UpdateStatistics(
            explained_variance=1.0 - float(advantage.var(dtype=np.float64)) / variance if variance > 0 else 0.0,
            advantage_mean=float(advantage.mean(dtype=np.float64)),
            advantage_std=float(advantage.std(dtype=np.float64)),
            reward_advantage_corr=correlation(rollout.rewards[alive], advantage),
            samples=len(advantage),
            learning_rate=self.spec.learning_rate * ramp.actor,
            empty_masks=int((alive & self.parent.spec.is_empty(rollout.action_mask)).sum()),
        )

    def _update_value_normaliser(self, returns: NDArray[np.float32]) -> None:
        """Move mean μ and scale σ towards these returns [B] and rescale the critic's output (PopArt).

            μ' = β·μ + (1 − β)·mean(returns)
            σ' = max(β·σ + (1 − β)·std(returns), 10⁻³)
        The critic's last layer u = x·W + b stands for the value σ·u + μ, which must not change:
            σ'·u' + μ' = σ·u + μ  ⇒  u' = (σ ÷ σ')·u + (μ − μ') ÷ σ'
        and this is the layer W' = (σ ÷ σ')·W, b' = (σ ÷ σ')·b + (μ − μ') ÷ σ'
        (van Hasselt et al. 2016, "Learning values across many orders of magnitude").
        """
        decay, mean, scale = _NORMALISER_DECAY, self.value_mean, self.value_scale
        self.value_mean = decay * mean + (1 - decay) * float(returns.mean(dtype=np.float64))
        self.value_scale = max(decay * scale + (1 - decay) * float(returns.std(dtype=np.float64)), _MIN_VALUE_SCALE)
        self._backend.scale_values(scale / self.value_scale, (mean - self.value_mean) / self.value_scale)

    def _minibatch_step(
        self, batch: Batch[NDArray[Any]], rows: NDArray[np.int64], ramp: Ramp, rng: np.random.Generator
    ) -> MinibatchStatistics | None:
        """Take one optimizer step on these rows [B]; return None, without a step, if loss or gradient is not finite."""
        step = self._step_options(ramp)
        term, norm, std = self._backend.gradient(self._minibatch(batch, rows, ramp, rng), step)
        if not np.isfinite((norm, term.total)).all():
            return None
        self._backend.step(step)
        return MinibatchStatistics(
            policy_loss=term.policy,
            value_loss=term.value,
            entropy=term.entropy,
            approx_kl=term.approx_kl,
            clip_fraction=term.clip_fraction,
            grad_norm=norm,
            anchor_kl=term.anchor_kl,
            total_loss=term.total,
            advantage_std=std,
        )

    def _step_options(self, ramp: Ramp) -> StepOptions:
        rate = self.spec.learning_rate
        return StepOptions(
            actor_rate=rate * ramp.actor,
            critic_rate=rate * ramp.critic,
            anchor_kl=ramp.anchor_kl,
            imitation=ramp.bc_weight,
        )

    def _minibatch(
        self, batch: Batch[NDArray[Any]], rows: NDArray[np.int64], ramp: Ramp, rng: np.random.Generator
    ) -> Minibatch:
        """Return what a step on these rows [B] learns from: demonstrations are captured ones and unforced decisions."""
        by_teacher = None if batch.teacher_controlled is None else batch.teacher_controlled[rows]
        policy_rows = rows if by_teacher is None else rows[~by_teacher]
        demonstrations = teacher_rows = rows[:0]
        if ramp.actor > 0 and ramp.bc_weight > 0:
            if self._captured:
                demonstrations = rng.integers(0, self._captured, max(len(rows) // _DEMONSTRATIONS_PER_ROW, 1))
            if by_teacher is not None:
                teacher_rows = rows[by_teacher]
                teacher_rows = teacher_rows[self.parent.spec.has_choice(batch.action_mask[teacher_rows])]
        return Minibatch(rows=rows, policy_rows=policy_rows, demonstrations=demonstrations, teacher_rows=teacher_rows)


def _loss_options(spec: PPOSpec) -> LossOptions:
    """Return the options of the loss that a spec asks for."""
    return LossOptions(
        clip_coef=spec.clip_coef,
        vf_coef=spec.vf_coef,
        vf_clip_coef=spec.vf_clip_coef,
        ent_coef=spec.ent_coef,
        norm_adv=spec.norm_adv,
        max_grad_norm=spec.max_grad_norm,
        bf16=spec.bf16,
        compiled=spec.compiled,
    )
