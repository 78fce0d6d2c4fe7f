"""What one minibatch of PPO minimises, in shards whose parts add up to the whole, and its gradient."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from attrs import frozen
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
from townlet.policy.network import ActorCritic
from townlet.policy.ramps import Ramp

__all__ = ["Batch", "Labelled", "Shard", "Terms", "added", "shards_of"]


class Batch(NamedTuple):
    """The living decisions of a rollout, first axis B."""

    features: Tensor
    """[B, F], normalised."""
    action_mask: Tensor
    """[B, A]."""
    actions: Tensor
    """[B]."""
    old_log_probs: Tensor
    """[B]."""
    advantages: Tensor
    """[B]."""
    targets: Tensor
    """[B], returns in units of the value normaliser."""
    old_values: Tensor
    """[B], likewise."""
    anchor: Tensor | None
    """[B, A], the parent's log-probabilities; none where nothing pulls towards it."""
    taught: Tensor | None
    """[B], decisions that a teacher took; none where it took none."""


class Labelled(NamedTuple):
    """Demonstrations, first axis B."""

    features: Tensor
    """[B, F], normalised."""
    action_mask: Tensor
    """[B, A]."""
    labels: Tensor
    """[B]."""


class Terms(NamedTuple):
    """Means over a minibatch, or a shard's parts of them."""

    total: Tensor
    """What is minimised."""
    policy: Tensor
    """Clipped surrogate."""
    value: Tensor
    """In units of the value normaliser."""
    entropy: Tensor
    """Of the policy."""
    approx_kl: Tensor
    """KL(old ‖ new), estimated."""
    clip_fraction: Tensor
    """Share of clipped ratios."""
    anchor_kl: Tensor
    """KL(parent ‖ policy)."""


@frozen(kw_only=True, eq=False)
class Shard:
    """A part of a minibatch; what a teacher drove trains the critic and the demonstration loss only."""

    rows: Tensor
    """Of the batch."""
    own: Tensor
    """Those among them that the policy decided."""
    advantages: Tensor
    """Of `own`, normalised over the whole minibatch."""
    shown: Labelled | None
    """Demonstrations."""
    shares: tuple[float, float, float]
    """Of the minibatch's rows, own rows and demonstrations."""

    def terms(self, network: ActorCritic, batch: Batch, ramp: Ramp, spec: PPOSpec) -> Terms:
        """Return this shard's part of each mean."""
        x, target, zero = batch.features[self.rows], batch.targets[self.rows], batch.targets.new_zeros(())
        of_rows, of_own, of_shown = self.shares
        value = network.value(x)
        critic = of_rows * (
            value_error(value, target)
            if spec.vf_clip_coef is None
            else clipped_value_error(value, target, batch.old_values[self.rows], spec.vf_clip_coef)
        )
        loss = spec.vf_coef * critic
        surrogate, entropy, kl, clipped, pull = zero, zero, zero, zero, zero
        if ramp.actor > 0 and len(self.own):
            mask = batch.action_mask[self.own]
            log_p = masked_log_probabilities(
                network.actor(x if self.own is self.rows else batch.features[self.own]), mask
            )
            surrogate, entropy, kl, clipped = (
                of_own * term
                for term in clipped_surrogate(
                    log_p, mask, batch.actions[self.own], batch.old_log_probs[self.own], self.advantages, spec.clip_coef
                )
            )
            loss = loss + surrogate - spec.ent_coef * entropy
            if batch.anchor is not None:
                pull = of_own * anchor_kl(batch.anchor[self.own], log_p, mask)
                loss = loss + ramp.anchor_kl * pull
        if self.shown is not None:
            log_p = masked_log_probabilities(network.actor(self.shown.features), self.shown.action_mask)
            imitation = smoothed_cross_entropy(log_p, self.shown.action_mask, self.shown.labels, 0.0)
            loss = loss + of_shown * ramp.bc_weight * imitation
        return Terms(*(term.detach() if term is not loss else term for term in
                       (loss, surrogate, critic, entropy, kl, clipped, pull)))  # fmt: skip

    def gradient(
        self, network: ActorCritic, batch: Batch, ramp: Ramp, spec: PPOSpec
    ) -> tuple[Terms, tuple[Tensor | None, ...]]:
        """Return the terms and their gradient by parameter, none for one that plays no part."""
        bf16 = spec.bf16 and batch.features.device.type == "cuda"
        with torch.autocast(batch.features.device.type, torch.bfloat16, enabled=bf16):
            terms = self.terms(network, batch, ramp, spec)
        found = torch.autograd.grad(terms.total, list(network.parameters()), allow_unused=True)
        return terms._replace(total=terms.total.detach()), found


def shards_of(
    batch: Batch, part: Tensor, count: int, shown: Labelled | None, *, norm_adv: bool
) -> tuple[list[Shard], Tensor]:
    """Return `count` shards of the rows `part`, fewer where there are fewer rows, and the advantages' spread."""
    own = part if batch.taught is None else part[~batch.taught[part]]
    advantages = batch.advantages[own]
    spread = advantages.std(correction=min(1, len(own) - 1)) if len(own) else batch.advantages.new_zeros(())
    if norm_adv and len(own):
        advantages = (advantages - advantages.mean()) / (spread + 1e-8)
    count = min(count, len(part))
    rows = part.tensor_split(count)
    owns = rows if batch.taught is None else own.tensor_split(count)
    shows: Sequence[Labelled | None] = [None] * count
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


def added(parts: Sequence[Tensor | None]) -> Tensor | None:
    """Return the sum of a parameter's gradients in the order of the shards; none where none has one."""
    found = [part for part in parts if part is not None]
    return torch.stack(found).sum(0) if len(found) > 1 else (found[0] if found else None)
