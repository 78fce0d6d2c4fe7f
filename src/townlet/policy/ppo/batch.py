"""The words of one PPO minibatch, spoken by both who differentiate it: arrays are numpy's or torch's. No torch here."""

from typing import Generic, NamedTuple, TypeVar

from attrs import frozen

__all__ = ["Batch", "Labelled", "Shard", "Terms"]

Array = TypeVar("Array")
"""`NDArray` on the processor, `Tensor` on a device."""


class Batch(NamedTuple, Generic[Array]):
    """All decisions of a rollout, first axis B; minibatches are rows of it that the living decided."""

    features: Array
    """[B, F], normalised."""
    action_mask: Array
    """[B, A]."""
    actions: Array
    """[B]."""
    old_log_probs: Array
    """[B]."""
    advantages: Array
    """[B]."""
    targets: Array
    """[B], returns in units of the value normaliser."""
    old_values: Array
    """[B], likewise."""
    anchor: Array | None
    """[B, A], the parent's log-probabilities; none where nothing pulls towards it."""
    taught: Array | None
    """[B], decisions that a teacher took; none where it took none."""


class Labelled(NamedTuple, Generic[Array]):
    """Demonstrations, first axis B."""

    features: Array
    """[B, F], normalised."""
    action_mask: Array
    """[B, A]."""
    labels: Array
    """[B]."""


class Terms(NamedTuple, Generic[Array]):
    """Means over a minibatch, or a shard's parts of them."""

    total: Array
    """What is minimised."""
    policy: Array
    """Clipped surrogate."""
    value: Array
    """In units of the value normaliser."""
    entropy: Array
    """Of the policy."""
    approx_kl: Array
    """KL(old ‖ new), estimated."""
    clip_fraction: Array
    """Share of clipped ratios."""
    anchor_kl: Array
    """KL(parent ‖ policy)."""


@frozen(kw_only=True, eq=False)
class Shard(Generic[Array]):
    """A part of a minibatch; what a teacher drove trains the critic and the demonstration loss only."""

    rows: Array
    """Of the batch."""
    own: Array
    """Those among them that the policy decided; the same array where it decided all."""
    advantages: Array
    """Of `own`, normalised over the whole minibatch."""
    shown: Labelled[Array] | None
    """Demonstrations."""
    shares: tuple[float, float, float]
    """Of the minibatch's rows, own rows and demonstrations."""
