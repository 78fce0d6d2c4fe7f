"""PPO's loss and its hand-written gradient on the CPU: numpy's products, numba kernels between them. No torch.

The loss is that of `policy.ppo.objective`, which torch differentiates by autograd: term by term the same, with torch's
subgradients. The derivations stand in `policy.ppo.backprop`, `policy.ppo.numba_kernels` and
`policy.distributions.backward`, above each kernel.
"""

from typing import NamedTuple

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
from townlet.policy.ppo.backprop import MLPBackprop, Reals, ScratchBuffer, TrunkPair
from townlet.policy.ppo.batch import Batch, Demonstrations, Shard, Terms
from townlet.policy.ppo.numba_kernels import surrogate_backward, value_error_backward
from townlet.policy.ppo.ramps import Ramp

__all__ = ["GradientBuffers", "shard_gradient"]


class GradientBuffers:
    """Gradient of one shard, and the scratch buffers of all arrays on the way to it."""

    def __init__(self, actor: Layers, critic: Layers, log_std: Reals, actions: ActionSpec, block_rows: int) -> None:
        """Take the weights as views: the optimizer's changes in place are used by the next gradient.

        Gradients of weights are sums over blocks of `block_rows` rows.
        """
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
        gradients = self.layer_gradients[: len(actor)], self.layer_gradients[len(actor) :]
        self.actor, self.critic = (
            MLPBackprop(layers, views, block_rows) for layers, views in zip((actor, critic), gradients, strict=True)
        )
        self.pair = TrunkPair(actor, critic, gradients, block_rows) if len(actor) > 1 else None
        """Both trunks at once; None where they have no hidden layer to share a product."""
        features, logits, heads = actor[0][0].shape[0], actions.logits, len(actions.discrete)
        # [B, F] and [B, A]
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
    buffers.gradient.fill(0)
    call = _Call(buffers, shard, batch, ramp, spec, np.zeros(5), np.zeros(2))
    policy_rows = shard.policy_rows if ramp.actor > 0 else shard.policy_rows[:0]
    if buffers.pair is not None and policy_rows is shard.rows:
        _add_pair(call, buffers.pair)
    else:
        _add_critic(call)
        if len(policy_rows):
            _add_actor(call)
    if shard.demos is not None:
        _add_demonstrations(call, shard.demos)
    return _terms(call, len(policy_rows)), len(policy_rows) > 0 or shard.demos is not None


class _Call(NamedTuple):
    """Arguments of `shard_gradient`, and sums over rows."""

    buffers: GradientBuffers
    shard: Shard[Reals]
    batch: Batch[Reals]
    ramp: Ramp
    spec: PPOSpec
    policy_sums: NDArray[np.float64]
    """Surrogate, approximate KL, clipped ratios, entropy, KL(parent ‖ policy)."""
    other_sums: NDArray[np.float64]
    """Squared errors of the values, log-probabilities of the demonstrations."""

    @property
    def row_weight(self) -> float:
        """Weight of one of the policy's rows in the minibatch's mean."""
        return self.shard.loss_shares[1] / max(len(self.shard.policy_rows), 1)


def _add_pair(call: _Call, pair: TrunkPair) -> None:
    """Add the gradient of rows that train actor and critic."""
    features = call.buffers.features.gather(call.batch.features, call.shard.rows)
    outputs, values = pair.forward(features)
    _value_backward(call, values)
    _policy_backward(call, outputs)
    pair.backward(features, outputs, values)


def _add_critic(call: _Call) -> None:
    """Add the gradient of rows that train the critic only."""
    features = call.buffers.features.gather(call.batch.features, call.shard.rows)
    values = call.buffers.critic.forward(features)
    _value_backward(call, values)
    call.buffers.critic.backward(features, values)


def _add_actor(call: _Call) -> None:
    """Add the gradient of rows that train the actor only."""
    features = call.buffers.features.gather(call.batch.features, call.shard.policy_rows)
    outputs = call.buffers.actor.forward(features)
    _policy_backward(call, outputs)
    call.buffers.actor.backward(features, outputs)


def _add_demonstrations(call: _Call, demos: Demonstrations[Reals]) -> None:
    """Add the gradient of demonstrations.

    Negative log-likelihood of a demonstration a:  −log π(a|s)  ⇒  ∂L/∂log π(a|s) = −1, times the row's weight.
    """
    buffers, count = call.buffers, len(demos.labels)
    outputs = buffers.actor.forward(demos.features)
    forward = _forward(buffers, outputs, demos.action_mask, demos.labels)
    call.other_sums[1] += forward.action_log_p.sum(dtype=np.float64)
    grad_action = buffers.grad_action.first(count)
    grad_action.fill(-call.shard.loss_shares[2] * call.ramp.bc_weight / count)
    _heads_backward(call, forward, demos.action_mask, grad_action, call.shard.policy_rows[:0])
    buffers.actor.backward(demos.features, outputs)


def _value_backward(call: _Call, values: Reals) -> None:
    """Turn values [B, 1] into ∂L/∂v, in place; add to the sum of squared errors."""
    buffers, rows, spec = call.buffers, call.shard.rows, call.spec
    row_weight, real = call.shard.loss_shares[0] / len(rows), buffers.real
    v, targets = values[:, 0], buffers.targets.gather(call.batch.targets, rows)
    old_v = v if spec.vf_clip_coef is None else buffers.old_values.gather(call.batch.old_values, rows)
    constants = (real(spec.vf_coef * row_weight), real(spec.vf_clip_coef or 0), real(0), real(0.5), real(1))
    value_error_backward(v, targets, old_v, constants, call.other_sums[:1])


def _policy_backward(call: _Call, outputs: Reals) -> None:
    """Turn the actor's outputs [B, A + D] for the policy's rows into ∂L/∂outputs, in place; add to the sums."""
    buffers, rows, real, clip = call.buffers, call.shard.policy_rows, call.buffers.real, call.spec.clip_coef
    mask = buffers.mask.gather(call.batch.action_mask, rows)
    forward = _forward(buffers, outputs, mask, buffers.actions.gather(call.batch.actions, rows))
    old_log_p = buffers.ratio.gather(call.batch.old_log_probs, rows)
    log_ratio = np.subtract(forward.action_log_p, old_log_p, out=forward.action_log_p)
    ratio = np.exp(log_ratio, out=old_log_p)
    bounds = (real(1 - clip), real(1 + clip), real(clip))
    constants = (real(call.row_weight), *bounds, real(0), real(0.5), real(1))
    grad_action = buffers.grad_action.first(len(rows))
    surrogate_backward(grad_action, ratio, log_ratio, call.shard.advantages, constants, call.policy_sums[:3])
    _heads_backward(call, forward, mask, grad_action, rows)


def _terms(call: _Call, policy_rows: int) -> Terms[float]:
    """Return the shard's part of the loss and of each term, from the sums over its rows."""
    shard, spec, ramp, demos = call.shard, call.spec, call.ramp, call.shard.demos
    policy, approx_kl, clip_fraction, entropy, anchor_kl = (call.row_weight * float(each) for each in call.policy_sums)
    value = 0.5 * shard.loss_shares[0] / len(shard.rows) * float(call.other_sums[0])
    imitation = 0.0 if demos is None else -float(call.other_sums[1]) / len(demos.labels)
    total = policy - spec.ent_coef * entropy + ramp.anchor_kl * anchor_kl if policy_rows else 0.0
    total += shard.loss_shares[2] * ramp.bc_weight * imitation + spec.vf_coef * value
    return Terms(total, policy, value, entropy, approx_kl, clip_fraction, anchor_kl)


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


def _forward(buffers: GradientBuffers, outputs: Reals, mask: Reals, actions: Reals) -> _Forward:
    """Return the actions' log-probabilities, from the actor's outputs [B, A + D].

    log π = z − log Σₖ exp(zₖ) within each discrete head, with z masked and shifted by its row maximum
    """
    spec, heads, rows = buffers.spec, len(buffers.spec.discrete), len(outputs)
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


def _heads_backward(call: _Call, forward: _Forward, mask: Reals, grad_action: Reals, policy_rows: Reals) -> None:
    """Write ∂L/∂outputs where the outputs were, and add ∂L/∂log σ; add to the sums of entropy and KL(parent ‖ policy).

    Entropy and anchor apply to the policy's rows, whose numbers are `policy_rows`; demonstrations have none.
    """
    buffers, batch = call.buffers, call.batch
    weights = (call.spec.ent_coef * call.row_weight, call.ramp.anchor_kl * call.row_weight)
    real, logits, sums = buffers.real, buffers.spec.logits, call.policy_sums[3:]
    anchor = _anchor_probs(buffers, policy_rows, batch)
    constants = (real(weights[0]), real(weights[1]), real(0), real(1))
    policy_logits_backward(
        forward.log_p, forward.p, mask, (forward.options, buffers.offsets), grad_action, anchor, constants, sums
    )
    grad_logits = forward.log_p  # the kernel wrote ∂L/∂z where log π was
    if buffers.spec.box:
        box = _box_backward(buffers, forward, grad_action, policy_rows, batch, weights)
        forward.outputs[:, :logits], forward.outputs[:, logits:] = grad_logits, box.grad_means
        buffers.log_std_gradient[:] += box.grad_log_std
        sums += (box.entropy, box.anchor_kl)


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
