"""PPO's loss in torch, and its gradient by autograd.

    L = L_policy + vf_coef·L_value − ent_coef·H + anchor_kl·KL(parent ‖ policy) + bc_weight·L_imitation

The terms stand in `policy.losses` and `policy.distributions`. This is the definition: on the CPU
`policy.gradient.kernel` computes the same by hand, and the tests compare the two.
"""

import torch
from torch import Tensor

from townlet.policy.distributions.autograd import ActionDistribution
from townlet.policy.gradient.batch import Batch, Demonstrations, LossOptions, StepOptions, Terms
from townlet.policy.losses import clipped_surrogate, clipped_value_error, value_error
from townlet.policy.model.torch_network import ActorCritic

__all__ = ["autograd_gradient", "normalised", "terms"]

_ADVANTAGE_EPSILON = 1.0e-8
"""Added to the standard deviation that advantages are divided by."""


def terms(
    network: ActorCritic,
    batch: Batch[Tensor],
    rows: Tensor,
    policy_rows: Tensor,
    advantages: Tensor,
    demos: Demonstrations[Tensor] | None,
    step: StepOptions,
    options: LossOptions,
) -> Terms[Tensor]:
    """Return the loss and each term, scalars; only the loss carries a gradient.

    `rows` [R] train the critic, `policy_rows` [O] among them the actor; `advantages` [O] are theirs.
    """
    features, targets, zero = batch.features[rows], batch.targets[rows], batch.targets.new_zeros(())
    value = zero
    if len(rows):
        values = network.value(features)
        value = (
            value_error(values, targets)
            if options.vf_clip_coef is None
            else clipped_value_error(values, targets, batch.old_values[rows], options.vf_clip_coef)
        )
    loss = options.vf_coef * value
    policy, entropy, approx_kl, clip_fraction, anchor, imitation, correct = (zero for _ in range(7))
    if step.actor_rate > 0 and len(policy_rows):
        own = network.actor.distribution(batch.features[policy_rows], batch.action_mask[policy_rows])
        policy, approx_kl, clip_fraction = clipped_surrogate(
            own.log_prob(batch.actions[policy_rows]), batch.old_log_probs[policy_rows], advantages, options.clip_coef
        )
        entropy = own.entropy().mean()
        loss = loss + policy - options.ent_coef * entropy
        parent = _parent(batch, policy_rows, own)
        if parent is not None:
            anchor = own.kl_from(parent).mean()
            loss = loss + step.anchor_kl * anchor
    if demos is not None:
        demonstrated = network.actor.distribution(demos.features, demos.action_mask)
        imitation = demonstrated.imitation_loss(demos.labels, options.label_smoothing).mean()
        loss = loss + step.imitation * imitation
        heads = len(demonstrated.spec.discrete)
        if heads:
            correct = (demonstrated.mode() == demos.labels[:, :heads]).to(zero.dtype).mean()
    parts = (policy, value, entropy, approx_kl, clip_fraction, anchor, imitation, correct)
    detached = (term.detach() for term in parts)
    return Terms(loss, *detached)


def _parent(batch: Batch[Tensor], rows: Tensor, own: ActionDistribution) -> ActionDistribution | None:
    """Return what the parent would do in these rows; None without an anchor."""
    if batch.anchor_log_probs is None or batch.anchor_means is None or batch.anchor_log_std is None:
        return None
    sizes = [len(head.options) for head in own.spec.discrete]
    log_p = batch.anchor_log_probs[rows].split(sizes, -1)
    return own._replace(log_p=log_p, means=batch.anchor_means[rows], log_std=batch.anchor_log_std)


def autograd_gradient(
    network: ActorCritic,
    batch: Batch[Tensor],
    rows: Tensor,
    policy_rows: Tensor,
    demos: Demonstrations[Tensor] | None,
    step: StepOptions,
    options: LossOptions,
) -> tuple[Terms[Tensor], Tensor, tuple[Tensor | None, ...]]:
    """Return the terms, the advantages' standard deviation, and the gradient by parameter.

    It is None where the loss does not depend on the parameter.
    """
    advantages, std = normalised(batch.advantages[policy_rows])
    bf16 = options.bf16 and batch.features.device.type == "cuda"
    with torch.autocast(batch.features.device.type, torch.bfloat16, enabled=bf16):
        used = advantages if options.norm_adv else batch.advantages[policy_rows]
        result = terms(network, batch, rows, policy_rows, used, demos, step, options)
    gradients = torch.autograd.grad(result.total, list(network.parameters()), allow_unused=True)
    return result._replace(total=result.total.detach()), std, gradients


def normalised(advantages: Tensor) -> tuple[Tensor, Tensor]:
    """Return (Â − mean(Â)) ÷ (std(Â) + 10⁻⁸) of advantages [O], and their standard deviation; 0 for none."""
    if not len(advantages):
        return advantages, advantages.new_zeros(())
    std = advantages.std(correction=min(1, len(advantages) - 1))
    return (advantages - advantages.mean()) / (std + _ADVANTAGE_EPSILON), std
