"""PPO's loss and its hand-written gradient on the CPU: numpy's matrix products, numba kernels between them. No torch.

The loss is that of `policy.ppo.objective`, which torch differentiates by autograd: term by term the same, with torch's
subgradients. The derivations stand in `policy.ppo.numba_kernels`, above each kernel. Back-propagation through a layer:

    y = relu(x·W + b),  u = x·W + b
    ∂L/∂u = ∂L/∂y where y > 0, and 0 elsewhere
    ∂L/∂W = xᵀ·∂L/∂u
    ∂L/∂b = Σ_rows ∂L/∂u
    ∂L/∂x = ∂L/∂u·Wᵀ
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from townlet.dto.strategies import PPOSpec
from townlet.policy.model.inference import ILLEGAL, Layers
from townlet.policy.ppo.batch import Batch, Shard, Terms
from townlet.policy.ppo.numba_kernels import (
    bias_relu,
    mask_and_shift,
    policy_logits_backward,
    relu_backward,
    softmax_divide,
    surrogate_backward,
    value_error_backward,
)
from townlet.policy.ppo.ramps import Ramp

__all__ = ["GradientBuffers", "MLPBackprop", "ScratchBuffer", "shard_gradient"]

Reals = NDArray[Any]

_GROWTH = 8
"""A scratch buffer that is too small is made larger by one in this many rows, so that it seldom grows again."""


class ScratchBuffer:
    """Reusable array [rows, …], allocated once and enlarged when more rows are needed."""

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self._array = np.empty((0, *shape), dtype)

    def first(self, rows: int) -> Reals:
        """Return a view of the first `rows` rows; their contents are undefined."""
        if rows > len(self._array):
            self._array = np.empty((rows + rows // _GROWTH, *self._array.shape[1:]), self._array.dtype)
        return self._array[:rows]

    def gather(self, source: Reals, rows: Reals) -> Reals:
        """Copy `source[rows]` to the first rows and return them."""
        return np.take(source, rows, 0, out=self.first(len(rows)), mode="clip")  # the mode that needs no copy


class MLPBackprop:
    """Forward and backward pass of one MLP, with views of its weights and gradients and scratch buffers."""

    def __init__(self, layers: Layers, gradients: Layers) -> None:
        self.layers, self.gradients = layers, gradients
        self.real = layers[0][0].dtype.type
        self._outputs = [ScratchBuffer(bias.shape, self.real) for _, bias in layers]
        self._grad_inputs = [ScratchBuffer(bias.shape, self.real) for _, bias in layers[:-1]]
        self._ones = ScratchBuffer((), self.real)

    def forward(self, x: Reals) -> Reals:
        """Return outputs [B, out] for inputs [B, in]: a scratch buffer, overwritten by the next forward pass."""
        for index, ((weight, bias), buffer) in enumerate(zip(self.layers, self._outputs, strict=True)):
            y = np.matmul(x, weight, out=buffer.first(len(x)))
            bias_relu(y, bias, self.real(0 if index < len(self.layers) - 1 else -np.inf))
            x = y
        return x

    def backward(self, x: Reals, grad_output: Reals) -> None:
        """Write ∂L/∂W and ∂L/∂b of every layer, from x [B, in] of the last forward pass and ∂L/∂output [B, out]."""
        ones = self._ones.first(len(x))
        ones.fill(1)
        grad_u = grad_output  # the last layer has no ReLU
        for index in range(len(self.layers) - 1, -1, -1):
            inputs = self._outputs[index - 1].first(len(x)) if index else x
            grad_weight, grad_bias = self.gradients[index]
            np.matmul(inputs.T, grad_u, out=grad_weight)
            np.matmul(ones, grad_u, out=grad_bias)
            if index:
                product = np.multiply if grad_u.shape[1] == 1 else np.matmul  # the same, and four times as fast
                grad_y = product(grad_u, self.layers[index][0].T, out=self._grad_inputs[index - 1].first(len(x)))
                relu_backward(grad_y, inputs, self.real(0))
                grad_u = grad_y  # the kernel applied ReLU's derivative in place


class GradientBuffers:
    """Gradient of one shard, and the scratch buffers of all arrays on the way to it."""

    def __init__(self, actor: Layers, critic: Layers) -> None:
        """Take the weights as views: the optimizer's changes in place are used by the next gradient."""
        sizes = [array.size for layers in (actor, critic) for layer in layers for array in layer]
        self.real = actor[0][0].dtype.type
        """Makes a number of the weights' precision."""
        self.gradient = np.zeros(sum(sizes), self.real)
        """[P], of all parameters: layer by layer weight and bias, actor before critic."""
        self.layer_gradients = _views(self.gradient, (*actor, *critic))
        """Views of `gradient` in the shapes of the layers."""
        self.actor = MLPBackprop(actor, self.layer_gradients[: len(actor)])
        self.critic = MLPBackprop(critic, self.layer_gradients[len(actor) :])
        self.actor_gradient = self.gradient[: sum(sizes[: 2 * len(actor)])]
        """View of the actor's part of `gradient`."""
        features, actions = actor[0][0].shape[0], actor[-1][1].shape[0]
        # [B, F] and [B, A], of all rows of a shard or of those that train the actor
        self.features = ScratchBuffer((features,), self.real)
        self.p, self.anchor_log_p, self.anchor_p = (ScratchBuffer((actions,), self.real) for _ in range(3))
        self.mask = ScratchBuffer((actions,), np.bool_)
        # [B]
        self.actions = ScratchBuffer((), np.int64)
        self.exp_sums, self.action_log_p, self.grad_action, self.ratio = (
            ScratchBuffer((), self.real) for _ in range(4)
        )
        self.targets, self.old_values = ScratchBuffer((), self.real), ScratchBuffer((), self.real)


def _views(flat: Reals, layers: Layers) -> Layers:
    """Return views of a flat array [P] in the shapes of the layers."""
    views, start = [], 0
    for layer in layers:
        parts = []
        for array in layer:
            parts.append(flat[start : start + array.size].reshape(array.shape))
            start += array.size
        views.append((parts[0], parts[1]))
    return tuple(views)


@np.errstate(over="ignore", invalid="ignore", divide="ignore")
def shard_gradient(
    buffers: GradientBuffers, shard: Shard[Reals], batch: Batch[Reals], ramp: Ramp, spec: PPOSpec
) -> tuple[Terms[float], bool]:
    """Write a shard's gradient to `buffers.gradient`; return its parts of the terms, and whether it trains the actor.

    L = L_policy + vf_coef·L_value − ent_coef·H + anchor_kl·KL(parent ‖ policy) + bc_weight·L_imitation

    A shard that does not train the actor leaves zeros as the actor's gradient. Numbers that are not finite raise
    nothing here: they reach the total or the gradient, and the learner checks both.
    """
    policy_rows = shard.policy_rows if ramp.actor > 0 else shard.policy_rows[:0]
    features = _gather_features(buffers, policy_rows, shard, batch)
    value = _critic_gradient(buffers, features[: len(shard.rows)], shard, batch, spec)
    actor_rows = len(policy_rows) + (0 if shard.demos is None else len(shard.demos.labels))
    if actor_rows:
        terms = _actor_gradient(buffers, features[len(features) - actor_rows :], policy_rows, shard, batch, ramp, spec)
    else:
        buffers.actor_gradient.fill(0)
        terms = Terms(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    return terms._replace(total=terms.total + spec.vf_coef * value, value=value), actor_rows > 0


def _gather_features(buffers: GradientBuffers, policy_rows: Reals, shard: Shard[Reals], batch: Batch[Reals]) -> Reals:
    """Return the features of all rows, then of the policy's rows where they differ, then of the demonstrations."""
    same = policy_rows is shard.rows or not len(policy_rows)
    rows = shard.rows if same else np.concatenate((shard.rows, policy_rows))
    if shard.demos is None:
        return buffers.features.gather(batch.features, rows)
    features = buffers.features.first(len(rows) + len(shard.demos.labels))
    buffers.features.gather(batch.features, rows)
    features[len(rows) :] = shard.demos.features
    return features


def _critic_gradient(
    buffers: GradientBuffers, features: Reals, shard: Shard[Reals], batch: Batch[Reals], spec: PPOSpec
) -> float:
    """Write the critic's gradient and return this shard's part of the value loss."""
    row_weight, real, sums = shard.loss_shares[0] / len(features), buffers.real, np.zeros(1)
    values = buffers.critic.forward(features)
    v, targets = values[:, 0], buffers.targets.gather(batch.targets, shard.rows)
    old_v = v if spec.vf_clip_coef is None else buffers.old_values.gather(batch.old_values, shard.rows)
    constants = (real(spec.vf_coef * row_weight), real(spec.vf_clip_coef or 0), real(0), real(0.5), real(1))
    value_error_backward(v, targets, old_v, constants, sums)
    grad_values = values  # the kernel wrote ∂L/∂v where v was
    buffers.critic.backward(features, grad_values)
    return float(0.5 * row_weight * sums[0])


def _actor_gradient(
    buffers: GradientBuffers,
    features: Reals,
    policy_rows: Reals,
    shard: Shard[Reals],
    batch: Batch[Reals],
    ramp: Ramp,
    spec: PPOSpec,
) -> Terms[float]:
    """Write the actor's gradient from the policy's rows and the demonstrations below them; return its terms.

    Cross-entropy of a demonstration, label a:  −log π(a|s)  ⇒  ∂L/∂log π(a|s) = −1, times the row's weight.
    """
    count, real, clip, sums = len(policy_rows), buffers.real, spec.clip_coef, np.zeros(5)
    row_weight, demo_share = shard.loss_shares[1] / max(count, 1), shard.loss_shares[2] * ramp.bc_weight
    mask, actions, grad_action = (
        buffer.first(len(features)) for buffer in (buffers.mask, buffers.actions, buffers.grad_action)
    )
    buffers.mask.gather(batch.action_mask, policy_rows)
    buffers.actions.gather(batch.actions, policy_rows)
    if shard.demos is not None:
        mask[count:], actions[count:] = shard.demos.action_mask, shard.demos.labels
        grad_action[count:] = -demo_share / (len(features) - count)
    log_p, p, action_log_p = _log_softmax(buffers, buffers.actor.forward(features), mask, actions)
    imitation = -float(action_log_p[count:].mean(dtype=np.float64)) if count < len(features) else 0.0
    old_log_p = buffers.ratio.gather(batch.old_log_probs, policy_rows)
    log_ratio = np.subtract(action_log_p[:count], old_log_p, out=action_log_p[:count])
    ratio = np.exp(log_ratio, out=old_log_p)
    bounds = (real(1 - clip), real(1 + clip), real(clip))
    constants = (real(row_weight), *bounds, real(0), real(0.5), real(1))
    surrogate_backward(grad_action, ratio, log_ratio, shard.advantages, constants, sums[:3])
    anchor = _anchor_probs(buffers, policy_rows, batch)
    weights = (real(spec.ent_coef * row_weight), real(ramp.anchor_kl * row_weight), real(0), real(1))
    policy_logits_backward(log_p, p, mask, actions, grad_action, anchor, weights, sums[3:])
    grad_logits = log_p  # the kernel wrote ∂L/∂z where log π was
    buffers.actor.backward(features, grad_logits)
    policy, approx_kl, clip_fraction, entropy, anchor_kl = (row_weight * float(number) for number in sums)
    total = policy - spec.ent_coef * entropy + ramp.anchor_kl * anchor_kl + demo_share * imitation
    return Terms(total, policy, 0.0, entropy, approx_kl, clip_fraction, anchor_kl)


def _log_softmax(buffers: GradientBuffers, logits: Reals, mask: Reals, actions: Reals) -> tuple[Reals, Reals, Reals]:
    """Turn logits z [B, A] into log-probabilities, in place; return them, probabilities [B, A], log π(aₜ|sₜ) [B].

    log π = z − log Σₖ exp(zₖ), with z masked and shifted by its row maximum
    """
    rows = len(logits)
    mask_and_shift(logits, mask, buffers.real(ILLEGAL))
    exp_logits = np.exp(logits, out=buffers.p.first(rows))
    exp_sums, action_logits = buffers.exp_sums.first(rows), buffers.action_log_p.first(rows)
    softmax_divide(exp_logits, logits, actions, exp_sums, action_logits)
    p = exp_logits  # the kernel divided it by its row sums
    log_sums = np.log(exp_sums, out=exp_sums)
    log_p = np.subtract(logits, log_sums[:, None], out=logits)
    action_log_p = np.subtract(action_logits, log_sums, out=action_logits)
    return log_p, p, action_log_p


def _anchor_probs(buffers: GradientBuffers, policy_rows: Reals, batch: Batch[Reals]) -> tuple[Reals, Reals]:
    """Return the parent's log-probabilities and probabilities [O, A]; zeros, hence no KL term, without an anchor."""
    log_p, p = buffers.anchor_log_p.first(len(policy_rows)), buffers.anchor_p.first(len(policy_rows))
    if batch.anchor_log_probs is None:
        log_p.fill(0)
        p.fill(0)
    else:
        np.exp(buffers.anchor_log_p.gather(batch.anchor_log_probs, policy_rows), out=p)
    return log_p, p
