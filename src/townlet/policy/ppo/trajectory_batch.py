"""What PPO learns from: decisions with rewards, log-probabilities and values. No torch here."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from townlet.dto.actions import Actions
from townlet.policy.model.weights import Weights

__all__ = ["TrajectoryBatch"]


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
