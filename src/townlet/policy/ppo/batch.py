"""Data types of PPO: what it learns from, and its minibatches, whose arrays are numpy's or torch's. No torch here."""

from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.actions import Actions
from townlet.policy.model.weights import Weights

__all__ = ["Batch", "Demonstrations", "Minibatch", "Terms", "TrajectoryBatch"]

Array = TypeVar("Array")
"""`NDArray` for the numpy backend, `Tensor` for the torch backend."""


class TrajectoryBatch(Protocol):
    """Decisions that PPO can learn from: T decisions of W worlds and N agents."""

    @property
    def rewards(self) -> NDArray[np.float32]:
        """[T, W, N], reward of each decision."""

    @property
    def terminations(self) -> NDArray[np.bool_]:
        """[T, W, N], True where the agent's life ended in the decision."""

    @property
    def truncations(self) -> NDArray[np.bool_]:
        """[T, W, N], True where the episode or the recording was cut."""

    @property
    def alive(self) -> NDArray[np.bool_]:
        """[T, W, N], True for a living agent."""

    @property
    def action_mask(self) -> NDArray[np.bool_]:
        """[T, W, N, A], True for a legal option."""

    @property
    def actions(self) -> Actions:
        """[T, W, N, C], the actions taken."""

    @property
    def log_probs(self) -> NDArray[np.float32]:
        """[T, W, N], log π_old(aₜ|sₜ) of the actions taken."""

    @property
    def teacher_controlled(self) -> NDArray[np.bool_]:
        """[W], worlds in which a teacher decided, so that the policy gradient does not use them."""

    def normalised_features(self, weights: Weights) -> NDArray[np.float32]:
        """Return features [T, W, N, F], normalised by these weights."""

    def values(self, weights: Weights) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return V(sₜ) and V(sₜ₊₁) [T, W, N], in units of reward."""


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
