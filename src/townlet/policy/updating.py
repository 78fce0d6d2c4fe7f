"""PPO's update in torch: minibatch passes over one rollout, with anchor, demonstrations and value normalisation."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from townlet.dto.strategies import PPOSpec
from townlet.policy.advantages import generalised_advantages
from townlet.policy.dataset import Samples
from townlet.policy.experience import Played
from townlet.policy.losses import (
    anchor_kl,
    clipped_surrogate,
    clipped_value_error,
    masked_log_probabilities,
    smoothed_cross_entropy,
    value_error,
)
from townlet.policy.network import ActorCritic, choose_device, moments, moved, restore_moments
from townlet.policy.ramps import Ramp
from townlet.policy.statistics import MinibatchStatistics, UpdateStatistics, correlation, summary
from townlet.policy.weights import Weights

__all__ = ["Learner"]

_ADAM_EPSILON = 1.0e-5
_NORMALISER_MEMORY = 0.95
"""Share of the value normaliser kept per iteration."""


class _Batch(NamedTuple):
    features: Tensor
    action_mask: Tensor
    actions: Tensor
    old_log_probs: Tensor
    advantages: Tensor
    targets: Tensor
    old_values: Tensor
    anchor: Tensor | None
    taught: Tensor | None
    """[B], decisions that a teacher took; none where it took none."""


class _Labelled(NamedTuple):
    features: Tensor
    action_mask: Tensor
    labels: Tensor


class Learner:
    """The trainable copy of some weights, with a fresh optimizer; `weights` gives them back."""

    def __init__(self, parent: Weights, spec: PPOSpec, gamma: float, demonstrations: Samples | None) -> None:
        self.parent, self.spec, self.gamma, self.device = parent, spec, gamma, choose_device(spec.device)
        self.demonstrations = None if demonstrations is None else _labelled(demonstrations, self.device)
        self.network = ActorCritic(parent.actor, parent.critic).to(self.device)
        self.anchor = ActorCritic(parent.actor, parent.critic).actor.to(self.device)
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

    def update(self, rollout: Played, weights: Weights, ramp: Ramp, rng: np.random.Generator) -> UpdateStatistics:
        """Learn from one rollout that `weights` (the current ones) played, or from recorded play."""
        batch, whole = self._prepare(rollout, weights, ramp)
        for group, factor in zip(self.optimizer.param_groups, (ramp.actor, ramp.critic), strict=True):
            group["lr"] = self.spec.learning_rate * factor
        rows, size = len(batch.actions), self.spec.minibatch_size
        parts = self.spec.num_minibatches or max(1, rows // size)
        history: list[MinibatchStatistics] = []
        for _ in range(self.spec.update_epochs):
            order = moved(rng.permutation(rows), self.device)
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

    def _prepare(self, rollout: Played, weights: Weights, ramp: Ramp) -> tuple[_Batch, UpdateStatistics]:
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
        old_values = (v_t[lives] - np.float32(self.value_mean)) / np.float32(self.value_scale)
        features = moved(rollout.seen(weights)[lives], self.device)
        mask = moved(rollout.action_mask[lives], self.device)
        anchor = None
        if ramp.anchor_kl > 0 and ramp.actor > 0:
            with torch.no_grad():
                anchor = masked_log_probabilities(self.anchor(features), mask)
        return _Batch(
            features,
            mask,
            moved(rollout.actions[lives], self.device),
            moved(rollout.log_probs[lives], self.device),
            moved(advantage, self.device),
            moved(targets, self.device),
            moved(old_values, self.device),
            anchor,
            self._taught(rollout),
        ), UpdateStatistics(
            explained_variance=explained,
            advantage_mean=float(advantage.mean(dtype=np.float64)),
            advantage_std=float(advantage.std(dtype=np.float64)),
            reward_advantage_corr=correlation(rollout.rewards[lives], advantage),
            samples=len(advantage),
            learning_rate=self.spec.learning_rate * ramp.actor,
        )

    def _taught(self, rollout: Played) -> Tensor | None:
        if not rollout.taught.any():
            return None
        return moved(np.broadcast_to(rollout.taught[:, None], rollout.alive.shape)[rollout.alive], self.device)

    def _renormalise(self, returns: NDArray[np.float32]) -> None:
        """Move the value normaliser towards these returns and keep the critic's meaning (PopArt)."""
        keep, mean, scale = _NORMALISER_MEMORY, self.value_mean, self.value_scale
        self.value_mean = keep * mean + (1 - keep) * float(returns.mean(dtype=np.float64))
        self.value_scale = max(keep * scale + (1 - keep) * float(returns.std(dtype=np.float64)), 1e-3)
        self.network.critic.scale_output(scale / self.value_scale, (mean - self.value_mean) / self.value_scale)

    def _minibatch(
        self, batch: _Batch, part: Tensor, ramp: Ramp, rng: np.random.Generator
    ) -> MinibatchStatistics | None:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.spec.bf16 and self.device.type == "cuda"):
            loss, terms = self._loss(batch, part, ramp, rng)
        self.optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.spec.max_grad_norm)
        # one wait for the device a minibatch: all numbers come over together, before anything is stepped
        measured = torch.stack([norm.detach(), loss.detach(), *(term.detach() for term in terms)]).tolist()
        if not np.isfinite(measured[:2]).all():
            return None
        self.optimizer.step()
        grad_norm, total, policy_loss, value_loss, entropy, kl, clipped, pull, spread = measured
        return MinibatchStatistics(policy_loss, value_loss, entropy, kl, clipped, grad_norm, pull, total, spread)

    def _loss(
        self, batch: _Batch, part: Tensor, ramp: Ramp, rng: np.random.Generator
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return what is minimised, and policy loss, value loss, entropy, KL, clipped share, pull, advantages' spread.

        What a teacher drove trains the critic and the demonstration loss; the policy's own terms never see it.
        """
        spec = self.spec
        own, theirs = (part, None) if batch.taught is None else (part[~batch.taught[part]], part[batch.taught[part]])
        x, target = batch.features[part], batch.targets[part]
        value = self.network.value(x)
        critic = (
            value_error(value, target)
            if spec.vf_clip_coef is None
            else clipped_value_error(value, target, batch.old_values[part], spec.vf_clip_coef)
        )
        loss, zero = spec.vf_coef * critic, torch.zeros((), device=self.device)
        surrogate, entropy, kl, clipped, pull = zero, zero, zero, zero, zero
        advantage, mask = batch.advantages[own], batch.action_mask[own]
        spread = advantage.std(correction=min(1, len(own) - 1)) if len(own) else zero
        if ramp.actor > 0 and len(own):
            if spec.norm_adv:
                advantage = (advantage - advantage.mean()) / (spread + 1e-8)
            log_p = masked_log_probabilities(self.network.actor(x if theirs is None else batch.features[own]), mask)
            surrogate, entropy, kl, clipped = clipped_surrogate(
                log_p, mask, batch.actions[own], batch.old_log_probs[own], advantage, spec.clip_coef
            )
            loss = loss + surrogate - spec.ent_coef * entropy
            if batch.anchor is not None:
                pull = anchor_kl(batch.anchor[own], log_p, mask)
                loss = loss + ramp.anchor_kl * pull
        if ramp.actor > 0 and ramp.bc_weight > 0:
            shown = self._shown(batch, theirs, len(part) // 4, rng)
            if shown is not None:
                loss = loss + ramp.bc_weight * self._demonstration_loss(shown)
        return loss, (surrogate, critic, entropy, kl, clipped, pull, spread)

    def _shown(self, batch: _Batch, theirs: Tensor | None, size: int, rng: np.random.Generator) -> _Labelled | None:
        """Return demonstrations: `size` of the captured ones, and the teacher's unforced decisions at `theirs`."""
        parts = []
        if self.demonstrations is not None:
            rows = moved(rng.integers(0, len(self.demonstrations.labels), max(size, 1)), self.device)
            parts.append(_Labelled(*(values[rows] for values in self.demonstrations)))
        if theirs is not None:
            rows = theirs[batch.action_mask[theirs].sum(-1) > 1]
            if len(rows):
                parts.append(_Labelled(batch.features[rows], batch.action_mask[rows], batch.actions[rows]))
        return _Labelled(*(torch.cat(values) for values in zip(*parts, strict=True))) if parts else None

    def _demonstration_loss(self, shown: _Labelled) -> Tensor:
        log_p = masked_log_probabilities(self.network.actor(shown.features), shown.action_mask)
        return smoothed_cross_entropy(log_p, shown.action_mask, shown.labels, 0.0)


def _labelled(samples: Samples, device: torch.device) -> _Labelled:
    return _Labelled(moved(samples.features, device), moved(samples.action_mask, device), moved(samples.labels, device))
