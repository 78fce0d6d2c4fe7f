"""PPO's update in torch: minibatch passes over one rollout, with anchor, demonstrations and value normalisation."""

from typing import NamedTuple

import attrs
import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor

from townlet.dto.strategies import PPOSpec
from townlet.policy.advantages import generalised_advantages
from townlet.policy.dataset import Samples
from townlet.policy.losses import (
    anchor_kl,
    clipped_surrogate,
    masked_log_probabilities,
    smoothed_cross_entropy,
    value_error,
)
from townlet.policy.network import ActorCritic
from townlet.policy.ramps import Ramp
from townlet.policy.rollout import Rollout
from townlet.policy.weights import Weights

__all__ = ["Learner", "UpdateStatistics"]

_ADAM_EPSILON = 1.0e-5
_NORMALISER_MEMORY = 0.95
"""Share of the value normaliser kept per iteration."""


@frozen(kw_only=True)
class UpdateStatistics:
    """Means over the minibatches of one iteration."""

    policy_loss: float = 0.0
    """Clipped surrogate."""
    value_loss: float = 0.0
    """In units of the value normaliser."""
    entropy: float = 0.0
    """Of the policy."""
    approx_kl: float = 0.0
    """Of the policy that played and the updated one."""
    clip_fraction: float = 0.0
    """Share of clipped ratios."""
    grad_norm: float = 0.0
    """Before clipping."""
    anchor_kl: float = 0.0
    """KL(parent ‖ policy)."""
    explained_variance: float = 0.0
    """Of the returns, by the values the rollout was judged with."""
    finite: bool = True
    """False where a loss or gradient was not finite; the weights are those before that minibatch."""


class _Batch(NamedTuple):
    features: Tensor
    action_mask: Tensor
    actions: Tensor
    old_log_probs: Tensor
    advantages: Tensor
    targets: Tensor
    anchor: Tensor | None


class Learner:
    """The trainable copy of some weights, with a fresh optimizer; `weights` gives them back."""

    def __init__(self, parent: Weights, spec: PPOSpec, gamma: float, demonstrations: Samples | None) -> None:
        self.parent, self.spec, self.gamma, self.demonstrations = parent, spec, gamma, demonstrations
        self.network = ActorCritic(parent.actor, parent.critic)
        self.anchor = ActorCritic(parent.actor, parent.critic).actor
        self.optimizer = torch.optim.Adam(
            [
                {"params": list(self.network.actor.parameters()), "lr": 0.0},
                {"params": list(self.network.critic.parameters()), "lr": 0.0},
            ],
            eps=_ADAM_EPSILON,
            fused=True,
        )
        self.value_mean, self.value_scale = parent.value_mean, parent.value_scale

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

    def update(self, rollout: Rollout, weights: Weights, ramp: Ramp, rng: np.random.Generator) -> UpdateStatistics:
        """Learn from one rollout that `weights` (the current ones) played."""
        batch, explained = self._prepare(rollout, weights, ramp)
        for group, factor in zip(self.optimizer.param_groups, (ramp.actor, ramp.critic), strict=True):
            group["lr"] = self.spec.learning_rate * factor
        rows, size = len(batch.actions), self.spec.minibatch_size
        history: list[tuple[float, ...]] = []
        for _ in range(self.spec.update_epochs):
            order = torch.from_numpy(rng.permutation(rows))
            epoch_kl: list[float] = []
            for part in torch.tensor_split(order, max(1, rows // size)):
                numbers = self._minibatch(batch, part, ramp, rng)
                if numbers is None:
                    return attrs.evolve(self._summary(history, explained), finite=False)
                history.append(numbers)
                epoch_kl.append(numbers[3])
            if float(np.mean(epoch_kl)) > self.spec.target_kl:
                break
        return self._summary(history, explained)

    def _prepare(self, rollout: Rollout, weights: Weights, ramp: Ramp) -> tuple[_Batch, float]:
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
        targets = (returns - np.float32(self.value_mean)) / np.float32(self.value_scale)
        features = torch.from_numpy(rollout.features[:-1][lives])
        mask = torch.from_numpy(rollout.action_mask[lives])
        anchor = None
        if ramp.anchor_kl > 0 and ramp.actor > 0:
            with torch.no_grad():
                anchor = masked_log_probabilities(self.anchor(features), mask)
        return _Batch(
            features,
            mask,
            torch.from_numpy(rollout.actions[lives]),
            torch.from_numpy(rollout.log_probs[lives]),
            torch.from_numpy(advantage),
            torch.from_numpy(targets),
            anchor,
        ), explained

    def _renormalise(self, returns: NDArray[np.float32]) -> None:
        """Move the value normaliser towards these returns and keep the critic's meaning (PopArt)."""
        keep, mean, scale = _NORMALISER_MEMORY, self.value_mean, self.value_scale
        self.value_mean = keep * mean + (1 - keep) * float(returns.mean(dtype=np.float64))
        self.value_scale = max(keep * scale + (1 - keep) * float(returns.std(dtype=np.float64)), 1e-3)
        self.network.critic.scale_output(scale / self.value_scale, (mean - self.value_mean) / self.value_scale)

    def _minibatch(self, batch: _Batch, part: Tensor, ramp: Ramp, rng: np.random.Generator) -> tuple[float, ...] | None:
        spec, x = self.spec, batch.features[part]
        critic = value_error(self.network.value(x), batch.targets[part])
        loss, zero = spec.vf_coef * critic, torch.zeros(())
        surrogate, entropy, kl, clipped, pull = zero, zero, zero, zero, zero
        if ramp.actor > 0:
            advantage, mask = batch.advantages[part], batch.action_mask[part]
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
            log_p = masked_log_probabilities(self.network.actor(x), mask)
            surrogate, entropy, kl, clipped = clipped_surrogate(
                log_p, mask, batch.actions[part], batch.old_log_probs[part], advantage, spec.clip_coef
            )
            loss = loss + surrogate - spec.ent_coef * entropy
            if batch.anchor is not None:
                pull = anchor_kl(batch.anchor[part], log_p, mask)
                loss = loss + ramp.anchor_kl * pull
            if ramp.bc_weight > 0 and self.demonstrations is not None:
                loss = loss + ramp.bc_weight * self._demonstration_loss(self.demonstrations, len(part) // 4, rng)
        self.optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), spec.max_grad_norm)
        if not bool(torch.isfinite(loss)) or not bool(torch.isfinite(norm)):
            return None
        self.optimizer.step()
        return tuple(float(number.detach()) for number in (surrogate, critic, entropy, kl, clipped, norm, pull))

    def _demonstration_loss(self, samples: Samples, size: int, rng: np.random.Generator) -> Tensor:
        rows = rng.integers(0, len(samples.labels), max(size, 1))
        mask = torch.from_numpy(samples.action_mask[rows])
        log_p = masked_log_probabilities(self.network.actor(torch.from_numpy(samples.features[rows])), mask)
        return smoothed_cross_entropy(log_p, mask, torch.from_numpy(samples.labels[rows]), 0.0)

    @staticmethod
    def _summary(history: list[tuple[float, ...]], explained: float) -> UpdateStatistics:
        if not history:
            return UpdateStatistics(explained_variance=explained)
        means = [float(number) for number in np.mean(np.array(history, np.float64), axis=0)]
        policy_loss, value_loss, entropy, approx_kl, clip_fraction, grad_norm, pull = means
        return UpdateStatistics(
            policy_loss=policy_loss,
            value_loss=value_loss,
            entropy=entropy,
            approx_kl=approx_kl,
            clip_fraction=clip_fraction,
            grad_norm=grad_norm,
            anchor_kl=pull,
            explained_variance=explained,
        )
