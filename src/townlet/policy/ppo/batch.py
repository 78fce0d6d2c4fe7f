"""Data types of one PPO minibatch, for both gradient backends: their arrays are numpy's or torch's. No torch here."""

from typing import Generic, NamedTuple, TypeVar

from attrs import frozen

__all__ = ["Batch", "Demonstrations", "Shard", "Terms"]

Array = TypeVar("Array")
"""`NDArray` for the numpy backend, `Tensor` for the torch backend."""


class Batch(NamedTuple, Generic[Array]):
    """All decisions of a rollout, first axis B; a minibatch is a subset of the rows with a living agent."""

    features: Array
    """[B, F], normalised."""
    action_mask: Array
    """[B, A]."""
    actions: Array
    """[B]."""
    old_log_probs: Array
    """[B], log π_old(aₜ|sₜ)."""
    advantages: Array
    """[B], Âₜ."""
    targets: Array
    """[B], returns in units of the value normaliser."""
    old_values: Array
    """[B], V_old(sₜ) in units of the value normaliser."""
    anchor_log_probs: Array | None
    """[B, A], the parent's log-probabilities; None without an anchor."""
    teacher_controlled: Array | None
    """[B], decisions that a teacher took; None where it took none."""


class Demonstrations(NamedTuple, Generic[Array]):
    """A teacher's decisions, first axis B."""

    features: Array
    """[B, F], normalised."""
    action_mask: Array
    """[B, A]."""
    labels: Array
    """[B], the teacher's actions."""


class Terms(NamedTuple, Generic[Array]):
    """The loss and its terms: means over a minibatch, or a shard's parts of those means."""

    total: Array
    """The loss that is minimised."""
    policy: Array
    """Clipped surrogate."""
    value: Array
    """Value loss, in units of the value normaliser."""
    entropy: Array
    """Entropy of the policy, nat."""
    approx_kl: Array
    """Estimate of KL(old ‖ new), nat."""
    clip_fraction: Array
    """Share of clipped ratios."""
    anchor_kl: Array
    """KL(parent ‖ policy), nat."""


@frozen(kw_only=True, eq=False)
class Shard(Generic[Array]):
    """A part of a minibatch; a teacher's decisions train the critic and the demonstration loss only."""

    rows: Array
    """[R], rows of the batch."""
    policy_rows: Array
    """[O], the rows among them that the policy decided; the same array as `rows` where it decided all."""
    advantages: Array
    """[O], of `policy_rows`, normalised over the whole minibatch."""
    demos: Demonstrations[Array] | None
    """Demonstrations; None where none are used."""
    loss_shares: tuple[float, float, float]
    """This shard's share of the minibatch's rows, policy rows and demonstrations."""
