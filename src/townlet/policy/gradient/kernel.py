"""PPO's loss and its hand-written gradient as one kernel, which never takes the interpreter's lock. No torch.

The loss is that of `policy.gradient.objective`, which torch differentiates by autograd: term by term the same, with
torch's subgradients. The derivations stand in `policy.gradient.trunks`, `policy.gradient.loss_kernels` and
`policy.distributions.backward`, above each kernel.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from townlet.compiled import entry_kernel, i64, kernel
from townlet.policy.distributions.backward import (
    Constants,
    add_box_log_density,
    add_log_probability,
    box_backward,
    log_softmax,
    logits_backward,
)
from townlet.policy.distributions.exponential import exponential
from townlet.policy.gradient.layout import Memory
from townlet.policy.gradient.loss_kernels import surrogate_backward, value_error_backward
from townlet.policy.gradient.trunks import trunk_backward, trunk_forward, wide_backward, wide_forward
from townlet.policy.model.products import matrix

__all__ = ["Coefficients", "Decisions", "Examples", "Losses", "Parameters", "add_gradient"]

Reals = NDArray[Any]


class Parameters(NamedTuple):
    """The network and where its gradient is added."""

    actor: NDArray[np.void]
    """[L], its layers, as in `policy.gradient.layout`."""
    critic: NDArray[np.void]
    values: Reals
    """[P], all parameters."""
    gradient: Reals
    """[P]."""


class Examples(NamedTuple):
    """Observations and actions, of which a kernel uses some rows."""

    features: Reals
    """[*, F], normalised."""
    mask: NDArray[np.bool_]
    """[*, A]."""
    actions: NDArray[Any]
    """[*, C]."""


class Decisions(NamedTuple):
    """What is known of the policy's own decisions, in the same rows as the examples."""

    advantages: Reals
    """[*], normalised over the minibatch; of its rows only."""
    old_log_probs: Reals
    """[*], log π_old(aₜ|sₜ)."""
    targets: Reals
    """[*], returns in units of the value normaliser."""
    old_values: Reals
    """[*], V_old(sₜ) in these units."""
    anchor_log_probs: Reals
    """[*, A], the parent's log-probabilities; no rows without an anchor."""
    anchor_means: Reals
    """[*, D], the parent's means; no rows without an anchor."""
    anchor_log_std: Reals
    """[D], the parent's log σ."""


class Losses(NamedTuple):
    """What some rows train."""

    policy: bool
    """The actor, by the surrogate, entropy and anchor."""
    imitation: bool
    """The actor, by the negative log-likelihood of the actions, with label smoothing."""
    critic: bool
    clips_values: bool


class Coefficients(NamedTuple):
    """Numbers of the loss, in the parameters' precision."""

    policy: Any
    """Weight w of one of the policy's rows in the mean."""
    value: Any
    """Weight of one row in the mean of the value loss, times `vf_coef`."""
    imitation: Any
    """Weight of one demonstration in the mean, times its coefficient."""
    smoothing: Any
    """s of label smoothing."""
    entropy: Any
    """w times `ent_coef`."""
    anchor: Any
    """w times `anchor_kl`."""
    low: Any
    """1 − ε."""
    high: Any
    """1 + ε."""
    clip: Any
    """ε."""
    value_clip: Any
    """ε of the value loss."""
    zero: Any
    half: Any
    one: Any
    illegal: Any
    """Logit of an illegal option."""
    log_root: Any
    """½·log 2π."""
    exp: Constants
    """Of `exponential`."""


@entry_kernel
def add_gradient(
    memory: Memory,
    parameters: Parameters,
    examples: Examples,
    decisions: Decisions,
    rows: NDArray[np.int64],
    losses: Losses,
    c: Coefficients,
    sums: NDArray[np.float64],
) -> None:
    """Add the gradient of these rows [R] to `parameters.gradient`, and their terms to the sums [8].

    The sums are those of policy loss, approximate KL, clipped ratios, entropy, KL(parent ‖ policy), squared errors of
    the values, losses of demonstrations, and their options that are the most likely ones. Rows pass through the whole
    network in blocks, whose intermediate results stay in the processor's cache.
    """
    split, wide = memory.sizes.split, memory.sizes.wide
    trains_actor = losses.policy or losses.imitation
    first = 0 if trains_actor and len(parameters.actor) > 1 else split
    end = wide if losses.critic and len(parameters.critic) > 1 else split
    for start in range(0, len(rows), memory.sizes.rows):
        block = rows[start : start + memory.sizes.rows]
        count = len(block)
        x = matrix(memory.scratch, memory.places.features, count, memory.sizes.features)
        for i in range(count):
            row = examples.features[block[i]]
            for j in range(len(row)):
                x[i, j] = row[j]
        if first < end:
            wide_forward(memory, parameters.values, count, first, end, c.zero)
        if trains_actor:
            trunk_forward(memory, parameters.actor, parameters.values, count, c.zero)
            _actor_backward(memory, parameters, examples, decisions, block, losses, c, sums)
            trunk_backward(memory, parameters.actor, parameters.values, parameters.gradient, count, c.zero)
        if losses.critic:
            trunk_forward(memory, parameters.critic, parameters.values, count, c.zero)
            _critic_backward(memory, parameters.critic, decisions, block, losses, c, sums)
            trunk_backward(memory, parameters.critic, parameters.values, parameters.gradient, count, c.zero)
        if first < end:
            wide_backward(memory, parameters.gradient, count, first, end, c.zero)


@kernel
def _critic_backward(
    memory: Memory,
    critic: NDArray[np.void],
    decisions: Decisions,
    rows: NDArray[np.int64],
    losses: Losses,
    c: Coefficients,
    sums: NDArray[np.float64],
) -> None:
    """Turn values v [B] into ∂L/∂v, in place."""
    v = matrix(memory.scratch, critic[len(critic) - 1]["y"], 1, len(rows))[0]
    vectors = matrix(memory.scratch, memory.places.vectors, 2, len(rows))
    targets, old_v = vectors[0], vectors[1]
    for i in range(len(rows)):
        targets[i] = decisions.targets[rows[i]]
        old_v[i] = decisions.old_values[rows[i]] if losses.clips_values else v[i]
    value_error_backward(v, targets, old_v, (c.value, c.value_clip, c.zero, c.half, c.one), sums[5:6])


@kernel
def _actor_backward(
    memory: Memory,
    parameters: Parameters,
    examples: Examples,
    decisions: Decisions,
    rows: NDArray[np.int64],
    losses: Losses,
    c: Coefficients,
    sums: NDArray[np.float64],
) -> None:
    """Turn the actor's outputs [A + D, B] into ∂L/∂outputs, in place."""
    logits, boxes, count = memory.sizes.logits, memory.sizes.boxes, len(rows)
    vectors = matrix(memory.scratch, memory.places.vectors, 7, count)
    scratch, log_p, grad_action, entropy, kl = vectors[0], vectors[1], vectors[2], vectors[3], vectors[4]
    place = parameters.actor[len(parameters.actor) - 1]["y"]
    z, means = (
        matrix(memory.scratch, place, logits, count),
        matrix(memory.scratch, place + logits * count, boxes, count),
    )
    p = matrix(memory.scratch, memory.places.p, logits, count)
    legal = matrix(memory.scratch, memory.places.legal, logits, count)
    for i in range(count):
        log_p[i], entropy[i], kl[i] = c.zero, c.zero, c.zero
        for option in range(logits):
            legal[option, i] = c.one if examples.mask[rows[i], option] else c.zero
    log_softmax(z, p, legal, memory.offsets, scratch, c.illegal, c.exp)
    add_log_probability(z, examples.actions, rows, memory.offsets, log_p)
    if losses.imitation:
        sums[7] += _correct_options(z, examples.actions, rows, memory.offsets)
        for i in range(count):
            log_p[i] *= c.one - c.smoothing
    log_std = matrix(parameters.values, memory.sizes.log_std, 1, boxes)
    add_box_log_density(means, log_std, examples.actions, rows, log_p, (c.half, c.log_root), c.exp)
    grad_box = grad_action
    if losses.imitation:
        grad_box = vectors[5]
        for i in range(count):
            grad_action[i], grad_box[i] = -c.imitation * (c.one - c.smoothing), -c.imitation
    else:
        _surrogate_backward(decisions, rows, (vectors[5], vectors[6], log_p, grad_action), c, sums)
    entropy_weight = c.entropy if losses.policy else c.zero
    anchor_weight = c.anchor if losses.policy else c.imitation * c.smoothing
    _write_anchor(memory, decisions, rows, losses.policy, c)
    anchor = (
        matrix(memory.scratch, memory.places.anchor_log_p, logits, count),
        matrix(memory.scratch, memory.places.anchor_p, logits, count),
    )
    options, outs = (examples.actions, rows, memory.offsets), (entropy, kl, scratch)
    logits_backward(z, p, legal, options, grad_action, anchor, (entropy_weight, anchor_weight, c.zero, c.one), outs)
    grad_log_std = matrix(parameters.gradient, memory.sizes.log_std, 1, boxes)
    parent_means = decisions.anchor_means[0 : len(decisions.anchor_means) if losses.policy else 0]
    constants = (entropy_weight, anchor_weight, c.half, c.one, c.log_root)
    parent = (parent_means, decisions.anchor_log_std)
    numbers, box_outs = (examples.actions, rows), (grad_log_std, entropy, kl)
    box_backward(means, log_std, numbers, grad_box, parent, constants, c.exp, box_outs)
    for i in range(count):
        if losses.policy:
            sums[3] += entropy[i]
            sums[4] += kl[i]
        else:
            sums[6] += c.smoothing * kl[i] - log_p[i]


@kernel
def _correct_options(log_p: Reals, actions: Reals, rows: NDArray[np.int64], offsets: NDArray[np.int64]) -> int:
    """Return how many options of the actions are the most likely ones, the first of equal ones; `log_p` is [A, B]."""
    correct = 0
    for head in range(len(offsets) - 1):
        for i in range(len(rows)):
            label = offsets[head] + i64(actions[rows[i], head])
            is_best = True
            for option in range(offsets[head], offsets[head + 1]):
                before, number = option < label, log_p[option, i]
                is_best &= number < log_p[label, i] if before else number <= log_p[label, i]
            correct += is_best
    return correct


@kernel
def _surrogate_backward(
    decisions: Decisions,
    rows: NDArray[np.int64],
    vectors: tuple[Reals, Reals, Reals, Reals],
    c: Coefficients,
    sums: NDArray[np.float64],
) -> None:
    """Write ∂L/∂log π(a|s) [B] to the last of the vectors; the third is log π(a|s) [B], which is overwritten."""
    ratio, advantages, log_p, grad_action = vectors
    for i in range(len(rows)):
        log_p[i] -= decisions.old_log_probs[rows[i]]
        advantages[i] = decisions.advantages[rows[i]]
    for i in range(len(rows)):
        ratio[i] = exponential(log_p[i], c.exp)
    constants = (c.policy, c.low, c.high, c.clip, c.zero, c.half, c.one)
    surrogate_backward(grad_action, ratio, log_p, advantages, constants, sums[0:3])


@kernel
def _write_anchor(
    memory: Memory, decisions: Decisions, rows: NDArray[np.int64], is_policy: bool, c: Coefficients
) -> None:
    """Write log-probabilities and probabilities [A, B] of what KL(anchor ‖ policy) pulls the policy to.

    For the policy's decisions those of the parent; zeros, hence no KL term, without one. For demonstrations all legal
    options alike with the logarithm 0, so that the term is label smoothing: −Σ over legal j of lⱼ ÷ their number.
    """
    logits, is_parent = memory.sizes.logits, is_policy and len(decisions.anchor_log_probs) > 0
    log_p = matrix(memory.scratch, memory.places.anchor_log_p, logits, len(rows))
    p = matrix(memory.scratch, memory.places.anchor_p, logits, len(rows))
    legal = matrix(memory.scratch, memory.places.legal, logits, len(rows))
    for i in range(len(rows)):
        for option in range(logits):
            log_p[option, i] = decisions.anchor_log_probs[rows[i], option] if is_parent else c.zero
    for option in range(logits):
        for i in range(len(rows)):
            p[option, i] = exponential(log_p[option, i], c.exp) if is_parent else c.zero
    if is_policy or c.smoothing == c.zero:
        return
    for head in range(len(memory.offsets) - 1):
        for i in range(len(rows)):
            count = c.zero
            for option in range(memory.offsets[head], memory.offsets[head + 1]):
                count += legal[option, i]
            for option in range(memory.offsets[head], memory.offsets[head + 1]):
                p[option, i] = legal[option, i] / (count if count > c.zero else c.one)
