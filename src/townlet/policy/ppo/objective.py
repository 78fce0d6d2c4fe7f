"""What a minibatch of PPO minimises in torch, in shards whose parts add up to the whole, and its gradient by autograd.

On a GPU this is how ppo learns; on the processor `policy.gradient` does the same by hand and is tested against this.
"""

import torch
from torch import Tensor

from townlet.dto.strategies import PPOSpec
from townlet.policy.losses import (
    anchor_kl,
    clipped_surrogate,
    clipped_value_error,
    masked_log_probabilities,
    smoothed_cross_entropy,
    value_error,
)
from townlet.policy.model.torch_network import ActorCritic
from townlet.policy.ppo.batch import Batch, Labelled, Shard, Terms
from townlet.policy.ppo.ramps import Ramp

__all__ = ["gradient", "shards_of", "terms"]


def terms(shard: Shard[Tensor], network: ActorCritic, batch: Batch[Tensor], ramp: Ramp, spec: PPOSpec) -> Terms[Tensor]:
    """Return a shard's part of each mean."""
    x, target, zero = batch.features[shard.rows], batch.targets[shard.rows], batch.targets.new_zeros(())
    of_rows, of_own, of_shown = shard.shares
    value = network.value(x)
    critic = of_rows * (
        value_error(value, target)
        if spec.vf_clip_coef is None
        else clipped_value_error(value, target, batch.old_values[shard.rows], spec.vf_clip_coef)
    )
    loss = spec.vf_coef * critic
    surrogate, entropy, kl, clipped, pull = zero, zero, zero, zero, zero
    if ramp.actor > 0 and len(shard.own):
        mask = batch.action_mask[shard.own]
        log_p = masked_log_probabilities(
            network.actor(x if shard.own is shard.rows else batch.features[shard.own]), mask
        )
        surrogate, entropy, kl, clipped = (
            of_own * term
            for term in clipped_surrogate(
                log_p, mask, batch.actions[shard.own], batch.old_log_probs[shard.own], shard.advantages, spec.clip_coef
            )
        )
        loss = loss + surrogate - spec.ent_coef * entropy
        if batch.anchor is not None:
            pull = of_own * anchor_kl(batch.anchor[shard.own], log_p, mask)
            loss = loss + ramp.anchor_kl * pull
    if shard.shown is not None:
        log_p = masked_log_probabilities(network.actor(shard.shown.features), shard.shown.action_mask)
        imitation = smoothed_cross_entropy(log_p, shard.shown.action_mask, shard.shown.labels, 0.0)
        loss = loss + of_shown * ramp.bc_weight * imitation
    return Terms(*(term.detach() if term is not loss else term for term in
                   (loss, surrogate, critic, entropy, kl, clipped, pull)))  # fmt: skip


def gradient(
    shard: Shard[Tensor], network: ActorCritic, batch: Batch[Tensor], ramp: Ramp, spec: PPOSpec
) -> tuple[Terms[Tensor], tuple[Tensor | None, ...]]:
    """Return the terms and their gradient by parameter, none for one that plays no part."""
    bf16 = spec.bf16 and batch.features.device.type == "cuda"
    with torch.autocast(batch.features.device.type, torch.bfloat16, enabled=bf16):
        found = terms(shard, network, batch, ramp, spec)
    by_parameter = torch.autograd.grad(found.total, list(network.parameters()), allow_unused=True)
    return found._replace(total=found.total.detach()), by_parameter


def shards_of(
    batch: Batch[Tensor], part: Tensor, count: int, shown: Labelled[Tensor] | None, *, norm_adv: bool
) -> tuple[list[Shard[Tensor]], Tensor]:
    """Return `count` shards of the rows `part`, fewer where there are fewer rows, and the advantages' spread."""
    own = part if batch.taught is None else part[~batch.taught[part]]
    advantages = batch.advantages[own]
    spread = advantages.std(correction=min(1, len(own) - 1)) if len(own) else batch.advantages.new_zeros(())
    if norm_adv and len(own):
        advantages = (advantages - advantages.mean()) / (spread + 1e-8)
    count = min(count, len(part))
    rows = part.tensor_split(count)
    owns = rows if batch.taught is None else own.tensor_split(count)
    shows: list[Labelled[Tensor] | None] = [None] * count
    if shown is not None:
        split = [values.tensor_split(count) for values in shown]
        shows = [Labelled(*values) if len(values[0]) else None for values in zip(*split, strict=True)]
    return [
        Shard(
            rows=each, own=mine, advantages=advantage, shown=show,
            shares=(
                len(each) / len(part), len(mine) / max(len(own), 1),
                0.0 if show is None or shown is None else len(show.labels) / len(shown.labels),
            ),
        )
        for each, mine, advantage, show in zip(rows, owns, advantages.tensor_split(count), shows, strict=True)
    ], spread  # fmt: skip
