"""What a gradient is computed from, in arrays of numpy or of torch; its terms; and the options of a loss. No torch."""

from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

__all__ = ["Batch", "Demonstrations", "LossOptions", "Minibatch", "StepOptions", "Terms"]

Array = TypeVar("Array")
"""`NDArray` for the numpy backend, `Tensor` for the torch backend."""


class Batch(NamedTuple, Generic[Array]):
    """All decisions of a rollout, first axis B; a minibatch is a subset of the rows with a living agent."""

    features: Array
    """[B, F], normalised."""
    action_mask: Array
    """[B, A]."""
    actions: Array
    """[B, C]."""
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
    anchor_means: Array | None
    """[B, D], the parent's means; None without an anchor."""
    anchor_log_std: Array | None
    """[D], the parent's log σ; None without an anchor."""
    teacher_controlled: Array | None
    """[B], decisions that a teacher took; None where it took none."""

    @classmethod
    def without_decisions(cls, features: NDArray[Any], targets: NDArray[Any]) -> "Batch[NDArray[Any]]":
        """Return a batch that trains a critic only, from features [B, F] and targets [B]."""
        none, empty = features[:0, :0], features[:0, 0:0].sum(1)
        return Batch(
            features=features,
            action_mask=none.astype(np.bool_),
            actions=none,
            old_log_probs=empty,
            advantages=empty,
            targets=targets,
            old_values=empty,
            anchor_log_probs=None,
            anchor_means=None,
            anchor_log_std=None,
            teacher_controlled=None,
        )


class Demonstrations(NamedTuple, Generic[Array]):
    """A teacher's decisions, first axis B."""

    features: Array
    """[B, F], normalised."""
    action_mask: Array
    """[B, A]."""
    labels: Array
    """[B, C], the teacher's actions."""


class Terms(NamedTuple, Generic[Array]):
    """The loss and its terms: means over a minibatch."""

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
    imitation: Array
    """Negative log-likelihood of the demonstrations, with label smoothing, nat."""
    correct: Array
    """Share of the demonstrations' options that are the policy's most likely ones; 0 without discrete heads."""


@frozen(kw_only=True, eq=False)
class Minibatch:
    """Numbers of the rows that one step learns from."""

    rows: NDArray[np.int64]
    """[R], decisions, which train the critic."""
    policy_rows: NDArray[np.int64]
    """[O], those among them that the policy took: they train the actor by the surrogate."""
    demonstrations: NDArray[np.int64]
    """[Q], of the captured demonstrations; the actor imitates them."""
    teacher_rows: NDArray[np.int64]
    """[U], a teacher's decisions among the rows; the actor imitates them."""

    @property
    def imitations(self) -> int:
        """Number of decisions that the actor imitates."""
        return len(self.demonstrations) + len(self.teacher_rows)


@frozen(kw_only=True)
class LossOptions:
    """Options of the losses and of the steps against them, the same for every minibatch."""

    clip_coef: float = 0.2
    """ε of the clipped surrogate."""
    vf_coef: float = 1.0
    """Weight of the value loss."""
    vf_clip_coef: float | None = None
    """ε of the clipped value loss; None for the plain one."""
    ent_coef: float = 0.0
    """Weight of the entropy bonus."""
    norm_adv: bool = False
    """Normalise advantages over the minibatch."""
    label_smoothing: float = 0.0
    """s of the loss of demonstrations: −(1 − s)·l_label − s·mean over legal j of lⱼ, in discrete heads."""
    max_grad_norm: float = 0.5
    """Norm to which a gradient is clipped."""
    bf16: bool = False
    """Compute forward passes in bfloat16 on a GPU."""
    compiled: bool = False
    """Compile the network on a GPU."""


@frozen(kw_only=True)
class StepOptions:
    """Learning rates and weights of losses, which may change from step to step."""

    actor_rate: float = 0.0
    """Learning rate of the actor; at 0 it is not trained by its own decisions."""
    critic_rate: float = 0.0
    """Learning rate of the critic."""
    anchor_kl: float = 0.0
    """Weight of KL(parent ‖ policy)."""
    imitation: float = 0.0
    """Weight of the loss of demonstrations."""
