"""PPO's loss in torch, in shards whose parts add up to the minibatch's mean, and its gradient by autograd.

    L = L_policy + vf_coef·L_value − ent_coef·H + anchor_kl·KL(parent ‖ policy) + bc_weight·L_imitation

The terms stand in `policy.losses` and `policy.distributions`. This is the definition: on the CPU
`policy.ppo.numpy_gradient` computes the same by hand, and the tests compare the two.
"""

import torch
from torch import Tensor

from townlet.dto.strategies import PPOSpec
from townlet.policy.distributions.autograd import ActionDistribution
from townlet.policy.losses import clipped_surrogate, clipped_value_error, value_error
from townlet.policy.model.torch_network import ActorCritic
from townlet.policy.ppo.batch import Batch, Demonstrations, Shard, Terms
from townlet.policy.ppo.ramps import Ramp

__all__ = ["autograd_gradient", "split_minibatch", "terms"]

_ADVANTAGE_EPSILON = 1.0e-8
"""Added to the standard deviation that advantages are divided by."""


def terms(shard: Shard[Tensor], network: ActorCritic, batch: Batch[Tensor], ramp: Ramp, spec: PPOSpec) -> Terms[Tensor]:
    """Return a shard's part of the loss and of each term, scalars; only the loss carries a gradient."""
    features, targets, zero = batch.features[shard.rows], batch.targets[shard.rows], batch.targets.new_zeros(())
    rows_share, policy_share, demos_share = shard.loss_shares
    values = network.value(features)
    value = rows_share * (
        value_error(values, targets)
        if spec.vf_clip_coef is None
        else clipped_value_error(values, targets, batch.old_values[shard.rows], spec.vf_clip_coef)
    )
    loss = spec.vf_coef * value
    policy, entropy, approx_kl, clip_fraction, anchor = zero, zero, zero, zero, zero
    rows = shard.policy_rows
    if ramp.actor > 0 and len(rows):
        own = network.actor.distribution(
            features if rows is shard.rows else batch.features[rows], batch.action_mask[rows]
        )
        surrogate = clipped_surrogate(
            own.log_prob(batch.actions[rows]), batch.old_log_probs[rows], shard.advantages, spec.clip_coef
        )
        policy, approx_kl, clip_fraction = (policy_share * term for term in surrogate)
        entropy = policy_share * own.entropy().mean()
        loss = loss + policy - spec.ent_coef * entropy
        parent = _parent(batch, rows, own)
        if parent is not None:
            anchor = policy_share * own.kl_from(parent).mean()
            loss = loss + ramp.anchor_kl * anchor
    if shard.demos is not None:
        demonstrated = network.actor.distribution(shard.demos.features, shard.demos.action_mask)
        imitation = demonstrated.imitation_loss(shard.demos.labels, 0.0).mean()
        loss = loss + demos_share * ramp.bc_weight * imitation
    detached = (term.detach() for term in (policy, value, entropy, approx_kl, clip_fraction, anchor))
    return Terms(loss, *detached)


def _parent(batch: Batch[Tensor], rows: Tensor, own: ActionDistribution) -> ActionDistribution | None:
    """Return what the parent would do in these rows; None without an anchor."""
    if batch.anchor_log_probs is None or batch.anchor_means is None or batch.anchor_log_std is None:
        return None
    sizes = [len(head.options) for head in own.spec.discrete]
    log_p = batch.anchor_log_probs[rows].split(sizes, -1)
    return own._replace(log_p=log_p, means=batch.anchor_means[rows], log_std=batch.anchor_log_std)


def autograd_gradient(
    shard: Shard[Tensor], network: ActorCritic, batch: Batch[Tensor], ramp: Ramp, spec: PPOSpec
) -> tuple[Terms[Tensor], tuple[Tensor | None, ...]]:
    """Return the terms and the gradient by parameter, None where the loss does not depend on the parameter."""
    bf16 = spec.bf16 and batch.features.device.type == "cuda"
    with torch.autocast(batch.features.device.type, torch.bfloat16, enabled=bf16):
        result = terms(shard, network, batch, ramp, spec)
    gradients = torch.autograd.grad(result.total, list(network.parameters()), allow_unused=True)
    return result._replace(total=result.total.detach()), gradients


def split_minibatch(
    batch: Batch[Tensor], rows: Tensor, count: int, demos: Demonstrations[Tensor] | None, *, norm_adv: bool
) -> tuple[list[Shard[Tensor]], Tensor]:
    """Return `count` shards of the minibatch `rows`, at most one per row, and the advantages' standard deviation.

    With `norm_adv`, Â ← (Â − mean(Â)) ÷ (std(Â) + 10⁻⁸) over the policy's rows of the whole minibatch.
    """
    policy_rows = rows if batch.teacher_controlled is None else rows[~batch.teacher_controlled[rows]]
    advantages = batch.advantages[policy_rows]
    std = (
        advantages.std(correction=min(1, len(policy_rows) - 1)) if len(policy_rows) else batch.advantages.new_zeros(())
    )
    if norm_adv and len(policy_rows):
        advantages = (advantages - advantages.mean()) / (std + _ADVANTAGE_EPSILON)
    count = min(count, len(rows))
    rows_parts = rows.tensor_split(count)
    policy_parts = rows_parts if batch.teacher_controlled is None else policy_rows.tensor_split(count)
    demos_parts: list[Demonstrations[Tensor] | None] = [None] * count
    if demos is not None:
        columns = [values.tensor_split(count) for values in demos]
        demos_parts = [Demonstrations(*part) if len(part[0]) else None for part in zip(*columns, strict=True)]
    parts = zip(rows_parts, policy_parts, advantages.tensor_split(count), demos_parts, strict=True)
    shards = [
        Shard(
            rows=shard_rows,
            policy_rows=shard_policy_rows,
            advantages=shard_advantages,
            demos=shard_demos,
            loss_shares=(
                len(shard_rows) / len(rows),
                len(shard_policy_rows) / max(len(policy_rows), 1),
                0.0 if shard_demos is None or demos is None else len(shard_demos.labels) / len(demos.labels),
            ),
        )
        for shard_rows, shard_policy_rows, shard_advantages, shard_demos in parts
    ]
    return shards, std
