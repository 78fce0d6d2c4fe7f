"""PPO's loss and its hand-written gradient on the CPU: numpy's matrix products, numba kernels between them. No torch.

The loss is that of `policy.ppo.objective`, which torch differentiates by autograd: term by term the same, with torch's
subgradients. The derivations stand in `policy.ppo.numba_kernels` and `policy.distributions.backward`, above each
kernel. Back-propagation through a layer:

    y = relu(x·W + b),  u = x·W + b
    ∂L/∂u = ∂L/∂y where y > 0, and 0 elsewhere
    ∂L/∂W = xᵀ·∂L/∂u
    ∂L/∂b = Σ_rows ∂L/∂u
    ∂L/∂x = ∂L/∂u·Wᵀ
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from townlet.dto.actions import ActionSpec
from townlet.dto.strategies import PPOSpec
from townlet.policy.distributions.acting import ILLEGAL
from townlet.policy.distributions.backward import (
    BoxTerms,
    box_backward,
    box_deviations,
    box_log_density,
    mask_and_shift,
    policy_logits_backward,
    softmax_divide,
)
from townlet.policy.model.forward import Layers
from townlet.policy.ppo.batch import Batch, Shard, Terms
from townlet.policy.ppo.numba_kernels import bias_relu, relu_backward, surrogate_backward, value_error_backward
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

    def __init__(self, actor: Layers, critic: Layers, log_std: Reals, actions: ActionSpec) -> None:
        """Take the weights as views: the optimizer's changes in place are used by the next gradient."""
        sizes = [array.size for layers in (actor, critic) for layer in layers for array in layer]
        self.real = actor[0][0].dtype.type
        """Makes a number of the weights' precision."""
        self.spec, self.log_std = actions, log_std
        self.offsets = np.array(actions.offsets, np.int64)
        """[K + 1], where the logits of each discrete head begin."""
        self.gradient = np.zeros(sum(sizes) + log_std.size, self.real)
        """[P], of all parameters: layer by layer weight and bias, actor before critic, then log σ of the box heads."""
        self.layer_gradients = _views(self.gradient, (*actor, *critic))
        """Views of `gradient` in the shapes of the layers."""
        self.log_std_gradient = self.gradient[sum(sizes) :]
        """[D], view of the end of `gradient`."""
        self.actor = MLPBackprop(actor, self.layer_gradients[: len(actor)])
        self.critic = MLPBackprop(critic, self.layer_gradients[len(actor) :])
        self.actor_gradient = self.gradient[: sum(sizes[: 2 * len(actor)])]
        """View of the actor's part of `gradient`."""
        features, logits, heads = actor[0][0].shape[0], actions.logits, len(actions.discrete)
        # [B, F] and [B, A], of all rows of a shard or of those that train the actor
        self.features = ScratchBuffer((features,), self.real)
        self.logits, self.p, self.anchor_log_p, self.anchor_p = (ScratchBuffer((logits,), self.real) for _ in range(4))
        self.mask = ScratchBuffer((logits,), np.bool_)
        # [B, C], [B, K] and [B]
        self.actions = ScratchBuffer((actions.columns,), self.real if actions.box else np.int64)
        self.exp_sums, self.head_log_p = (ScratchBuffer((heads,), self.real) for _ in range(2))
        self.grad_action, self.ratio = ScratchBuffer((), self.real), ScratchBuffer((), self.real)
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
        buffers.log_std_gradient.fill(0)
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

    Negative log-likelihood of a demonstration a:  −log π(a|s)  ⇒  ∂L/∂log π(a|s) = −1, times the row's weight.
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
    forward = _forward(buffers, features, mask, actions)
    action_log_p = forward.action_log_p
    imitation = -float(action_log_p[count:].mean(dtype=np.float64)) if count < len(features) else 0.0
    old_log_p = buffers.ratio.gather(batch.old_log_probs, policy_rows)
    log_ratio = np.subtract(action_log_p[:count], old_log_p, out=action_log_p[:count])
    ratio = np.exp(log_ratio, out=old_log_p)
    bounds = (real(1 - clip), real(1 + clip), real(clip))
    constants = (real(row_weight), *bounds, real(0), real(0.5), real(1))
    surrogate_backward(grad_action, ratio, log_ratio, shard.advantages, constants, sums[:3])
    weights = (spec.ent_coef * row_weight, ramp.anchor_kl * row_weight)
    sums[3:] += _heads_backward(buffers, forward, mask, grad_action, policy_rows, batch, weights)
    buffers.actor.backward(features, forward.outputs)
    policy, approx_kl, clip_fraction, entropy, anchor_kl = (row_weight * float(number) for number in sums)
    total = policy - spec.ent_coef * entropy + ramp.anchor_kl * anchor_kl + demo_share * imitation
    return Terms(total, policy, 0.0, entropy, approx_kl, clip_fraction, anchor_kl)


class _Forward(NamedTuple):
    """The actor's forward pass: what the backward pass of the heads needs of it."""

    outputs: Reals
    """[B, A + D], the network's; the backward pass writes ∂L/∂outputs there."""
    options: NDArray[np.int64]
    """[B, K], options of the actions."""
    log_p: Reals
    """[B, A], log-probabilities; the same memory as `outputs` where there is no box head."""
    p: Reals
    """[B, A], probabilities."""
    z: Reals
    """[B, D], deviations of the box heads."""
    action_log_p: Reals
    """[B], log π(aₜ|sₜ)."""


def _forward(buffers: GradientBuffers, features: Reals, mask: Reals, actions: Reals) -> _Forward:
    """Pass features [B, F] through the actor and its heads.

    log π = z − log Σₖ exp(zₖ) within each discrete head, with z masked and shifted by its row maximum
    """
    spec, heads, rows = buffers.spec, len(buffers.spec.discrete), len(features)
    outputs = buffers.actor.forward(features)
    logits, options, z = outputs, actions, outputs[:, spec.logits :]
    if spec.box:
        logits, options = buffers.logits.first(rows), actions[:, :heads].astype(np.int64)
        logits[:] = outputs[:, : spec.logits]
        z = box_deviations(actions[:, heads:], outputs[:, spec.logits :], buffers.log_std)
    mask_and_shift(logits, mask, buffers.offsets, buffers.real(ILLEGAL))
    exp_logits = np.exp(logits, out=buffers.p.first(rows))
    exp_sums, option_logits = buffers.exp_sums.first(rows), buffers.head_log_p.first(rows)
    softmax_divide(exp_logits, logits, options, buffers.offsets, exp_sums, option_logits)
    p = exp_logits  # the kernel divided it by the sums of its heads
    log_sums = np.log(exp_sums, out=exp_sums)
    for head, part in enumerate(spec.segments(logits)):
        np.subtract(part, log_sums[:, head, None], out=part)
    log_p = logits
    head_log_p = np.subtract(option_logits, log_sums, out=option_logits)
    action_log_p = head_log_p[:, 0] if heads == 1 else head_log_p.sum(1)
    if spec.box:
        action_log_p += box_log_density(z, buffers.log_std)
    return _Forward(outputs, options, log_p, p, z, action_log_p)


def _heads_backward(
    buffers: GradientBuffers,
    forward: _Forward,
    mask: Reals,
    grad_action: Reals,
    policy_rows: Reals,
    batch: Batch[Reals],
    weights: tuple[float, float],
) -> tuple[float, float]:
    """Write ∂L/∂outputs where the outputs were, and ∂L/∂log σ; return the sums of entropy and KL(parent ‖ policy).

    `weights` are those of the entropy and of the anchor, for each of the policy's rows.
    """
    real, sums, logits = buffers.real, np.zeros(2), buffers.spec.logits
    anchor = _anchor_probs(buffers, policy_rows, batch)
    constants = (real(weights[0]), real(weights[1]), real(0), real(1))
    policy_logits_backward(
        forward.log_p, forward.p, mask, (forward.options, buffers.offsets), grad_action, anchor, constants, sums
    )
    grad_logits = forward.log_p  # the kernel wrote ∂L/∂z where log π was
    if not buffers.spec.box:
        return sums[0], sums[1]
    box = _box_backward(buffers, forward, grad_action, policy_rows, batch, weights)
    forward.outputs[:, :logits], forward.outputs[:, logits:] = grad_logits, box.grad_means
    buffers.log_std_gradient[:] = box.grad_log_std
    return sums[0] + box.entropy, sums[1] + box.anchor_kl


def _box_backward(
    buffers: GradientBuffers,
    forward: _Forward,
    grad_action: Reals,
    policy_rows: Reals,
    batch: Batch[Reals],
    weights: tuple[float, float],
) -> BoxTerms:
    means, anchor = forward.outputs[:, buffers.spec.logits :], None
    if batch.anchor_means is not None and batch.anchor_log_std is not None:
        anchor = (batch.anchor_means[policy_rows], batch.anchor_log_std)
    return box_backward(forward.z, means, buffers.log_std, grad_action, len(policy_rows), weights, anchor)


def _anchor_probs(buffers: GradientBuffers, policy_rows: Reals, batch: Batch[Reals]) -> tuple[Reals, Reals]:
    """Return the parent's log-probabilities and probabilities [O, A]; zeros, hence no KL term, without an anchor."""
    log_p, p = buffers.anchor_log_p.first(len(policy_rows)), buffers.anchor_p.first(len(policy_rows))
    if batch.anchor_log_probs is None:
        log_p.fill(0)
        p.fill(0)
    else:
        np.exp(buffers.anchor_log_p.gather(batch.anchor_log_probs, policy_rows), out=p)
    return log_p, p
