"""PPO's update: minibatch passes over one rollout, with anchor, demonstrations, value normalisation and Adam."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from townlet.dto.strategies import PPOSpec
from townlet.policy.advantages import generalised_advantages
from townlet.policy.data.dataset import Samples
from townlet.policy.data.trajectories import TrajectoryBatch
from townlet.policy.model.blas import one_thread
from townlet.policy.model.inference import forward, log_probabilities, masked
from townlet.policy.model.torch_network import ActorCritic, choose_device, moments, moved, restore_moments
from townlet.policy.model.weights import Weights
from townlet.policy.ppo.batch import Batch, Labelled
from townlet.policy.ppo.gradient_backend import differentiator
from townlet.policy.ppo.objective import shards_of
from townlet.policy.ppo.ramps import Ramp
from townlet.policy.ppo.update_stats import MinibatchStatistics, UpdateStatistics, correlation, summary

__all__ = ["Learner"]

_ADAM_EPSILON = 1.0e-5
_NORMALISER_MEMORY = 0.95
"""Share of the value normaliser kept per iteration."""


class Learner:
    """The trainable copy of some weights, with a fresh optimizer; `weights` gives them back."""

    def __init__(self, parent: Weights, spec: PPOSpec, gamma: float, demonstrations: Samples | None) -> None:
        self.parent, self.spec, self.gamma, self.device = parent, spec, gamma, choose_device(spec.device)
        self.demonstrations = None if demonstrations is None else _labelled(demonstrations, self.device)
        self.network = ActorCritic(parent.actor, parent.critic).to(self.device)
        if spec.compiled and self.device.type == "cuda":
            for trunk in (self.network.actor, self.network.critic):
                trunk.compile(mode="reduce-overhead")
        self.optimizer = torch.optim.Adam(
            [
                {"params": list(self.network.actor.parameters()), "lr": 0.0},
                {"params": list(self.network.critic.parameters()), "lr": 0.0},
            ],
            eps=_ADAM_EPSILON,
            fused=True,
        )
        self.value_mean, self.value_scale = parent.value_mean, parent.value_scale
        self._differentiator = differentiator(self.network, spec, self.device)

    def moments(self) -> dict[str, NDArray[Any]]:
        """Return the optimizer's state; with `weights` it is all that `resume` needs."""
        return moments(self.optimizer)

    def resume(self, weights: Weights, found: Mapping[str, NDArray[Any]]) -> None:
        """Go on from weights that this learner reached and the optimizer's state there."""
        self.network.actor.load(weights.actor)
        self.network.critic.load(weights.critic)
        self.value_mean, self.value_scale = weights.value_mean, weights.value_scale
        restore_moments(self.optimizer, found)

    def weights(self) -> Weights:
        """Return a copy of the current weights, without a probe."""
        return attrs.evolve(
            self.parent,
            actor=self.network.actor.layers(),
            critic=self.network.critic.layers(),
            value_mean=self.value_mean,
            value_scale=self.value_scale,
            probe=None,
        )

    def update(
        self, rollout: TrajectoryBatch, weights: Weights, ramp: Ramp, rng: np.random.Generator
    ) -> UpdateStatistics:
        """Learn from one rollout that `weights` (the current ones) played, or from recorded play."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with one_thread() if self.device.type == "cpu" else nullcontext():
                return self._update(rollout, weights, ramp, rng)
        finally:
            torch.set_num_threads(threads)

    def _update(
        self, rollout: TrajectoryBatch, weights: Weights, ramp: Ramp, rng: np.random.Generator
    ) -> UpdateStatistics:
        batch, living, whole = self._prepare(rollout, weights, ramp)
        for group, factor in zip(self.optimizer.param_groups, (ramp.actor, ramp.critic), strict=True):
            group["lr"] = self.spec.learning_rate * factor
        rows, size = len(living), self.spec.minibatch_size
        parts = self.spec.num_minibatches or max(1, rows // size)
        history: list[MinibatchStatistics] = []
        for _ in range(self.spec.update_epochs):
            order = moved(living[rng.permutation(rows)], self.device)
            epoch_kl: list[float] = []
            for part in torch.tensor_split(order, min(parts, max(rows, 1))):
                numbers = self._minibatch(batch, part, ramp, rng)
                if numbers is None:
                    return attrs.evolve(summary(history, whole), finite=False)
                history.append(numbers)
                epoch_kl.append(numbers.approx_kl)
            if float(np.mean(epoch_kl)) > self.spec.target_kl:
                break
        return summary(history, whole)

    def _prepare(
        self, rollout: TrajectoryBatch, weights: Weights, ramp: Ramp
    ) -> tuple[Batch[Tensor], NDArray[np.int64], UpdateStatistics]:
        """Return all decisions of a rollout as rows, which of them the living made, and what is known of it already."""
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
        lives = rollout.alive
        advantage, returns = advantages[lives], (advantages + v_t)[lives]
        spread = float(returns.var(dtype=np.float64))
        explained = 1.0 - float(advantage.var(dtype=np.float64)) / spread if spread > 0 else 0.0
        self._renormalise(returns)
        mean, scale = np.float32(self.value_mean), np.float32(self.value_scale)
        features = rollout.seen(weights).reshape(lives.size, -1)
        mask = rollout.action_mask.reshape(lives.size, -1)
        anchor = None
        if ramp.anchor_kl > 0 and ramp.actor > 0:
            anchor = log_probabilities(masked(forward(self.parent.actor, features), mask))
        taught = np.broadcast_to(rollout.taught[:, None], lives.shape) if rollout.taught.any() else None
        batch = Batch(
            features,
            mask,
            rollout.actions.ravel(),
            rollout.log_probs.ravel(),
            advantages.ravel(),
            (advantages + v_t - mean).ravel() / scale,
            (v_t - mean).ravel() / scale,
            anchor,
            None if taught is None else taught.ravel(),
        )
        statistics = UpdateStatistics(
            explained_variance=explained,
            advantage_mean=float(advantage.mean(dtype=np.float64)),
            advantage_std=float(advantage.std(dtype=np.float64)),
            reward_advantage_corr=correlation(rollout.rewards[lives], advantage),
            samples=len(advantage),
            learning_rate=self.spec.learning_rate * ramp.actor,
        )
        here = (None if values is None else moved(values, self.device) for values in batch)
        return Batch(*here), np.flatnonzero(lives), statistics

    def _renormalise(self, returns: NDArray[np.float32]) -> None:
        """Move the value normaliser towards these returns and keep the critic's meaning (PopArt)."""
        keep, mean, scale = _NORMALISER_MEMORY, self.value_mean, self.value_scale
        self.value_mean = keep * mean + (1 - keep) * float(returns.mean(dtype=np.float64))
        self.value_scale = max(keep * scale + (1 - keep) * float(returns.std(dtype=np.float64)), 1e-3)
        self.network.critic.scale_output(scale / self.value_scale, (mean - self.value_mean) / self.value_scale)

    def _minibatch(
        self, batch: Batch[Tensor], part: Tensor, ramp: Ramp, rng: np.random.Generator
    ) -> MinibatchStatistics | None:
        shown = None
        if ramp.actor > 0 and ramp.bc_weight > 0:
            shown = self._shown(batch, None if batch.taught is None else part[batch.taught[part]], len(part) // 4, rng)
        shards, spread = shards_of(batch, part, self._differentiator.shards, shown, norm_adv=self.spec.norm_adv)
        terms = self._differentiator.gradient(shards, batch, ramp)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.spec.max_grad_norm)
        # one wait for the device a minibatch: all numbers come over together, before anything is stepped
        grad_norm, spread_, total, *rest = torch.cat([torch.stack([norm, spread]), terms]).tolist()
        if not np.isfinite((grad_norm, total)).all():
            return None
        self.optimizer.step()
        policy_loss, value_loss, entropy, kl, clipped, pull = rest
        return MinibatchStatistics(policy_loss, value_loss, entropy, kl, clipped, grad_norm, pull, total, spread_)

    def _shown(
        self, batch: Batch[Tensor], theirs: Tensor | None, size: int, rng: np.random.Generator
    ) -> Labelled[Tensor] | None:
        """Return demonstrations: `size` of the captured ones, and the teacher's unforced decisions at `theirs`."""
        parts = []
        if self.demonstrations is not None:
            rows = moved(rng.integers(0, len(self.demonstrations.labels), max(size, 1)), self.device)
            parts.append(Labelled(*(values[rows] for values in self.demonstrations)))
        if theirs is not None:
            rows = theirs[batch.action_mask[theirs].sum(-1) > 1]
            if len(rows):
                parts.append(Labelled(batch.features[rows], batch.action_mask[rows], batch.actions[rows]))
        return Labelled(*(torch.cat(values) for values in zip(*parts, strict=True))) if parts else None


def _labelled(samples: Samples, device: torch.device) -> Labelled[Tensor]:
    return Labelled(moved(samples.features, device), moved(samples.action_mask, device), moved(samples.labels, device))
