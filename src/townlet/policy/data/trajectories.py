"""Trajectories: a policy's recorded decisions with log-probabilities and value predictions, for PPO to learn from."""

from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.actions import Actions
from townlet.dto.array_fields import array
from townlet.dto.codec import Record
from townlet.dto.samples import RecordedMetrics
from townlet.errors import BadInputError
from townlet.policy.data.dataset import Dataset, label_entropy, read_dataset_and_extras
from townlet.policy.model.forward import normalise
from townlet.policy.model.weights import Weights
from townlet.store.samples import REQUIRED_FEATURES

__all__ = ["Trajectories", "read_trajectories", "trajectory_metrics"]

_ROUNDING = 1e-5
"""Largest log-probability that rounding can make of a certain action, whose logarithm is 0."""


@frozen(kw_only=True)
class Trajectories(Record):
    """Recorded decisions of a policy: log-probabilities and value predictions; U = T + 1 time points.

    Fits the protocol `policy.gradient.batch.TrajectoryBatch`.
    """

    dataset: Dataset
    """Observations, masks, rewards; its labels are the actions taken, its teacher is the policy that decided."""
    log_probs: NDArray[np.float32] = array("T W N", np.float32)
    """log π_old(aₜ|sₜ) of the actions taken; 0 for a script."""
    predictions: NDArray[np.float32] = array("U W N", np.float32)
    """V_old(sₜ), in units of reward; 0 for a script."""
    truncations: NDArray[np.bool_] = array("T W N", np.bool_)
    """True where the recording was cut."""
    sums: NDArray[np.float64] = array("M", np.float64)
    """KPI sums, in the order of the environment's metrics; empty where they were not recorded."""

    def __attrs_post_init__(self) -> None:
        shape = self.dataset.alive.shape
        if self.log_probs.shape != shape or self.predictions.shape != (shape[0] + 1, *shape[1:]):
            raise ValueError(
                f"expected log_probs {shape} and predictions {(shape[0] + 1, *shape[1:])}, "
                f"found {self.log_probs.shape} and {self.predictions.shape}"
            )

    @property
    def rewards(self) -> NDArray[np.float32]:
        """[T, W, N]."""
        return self.dataset.rewards

    @property
    def terminations(self) -> NDArray[np.bool_]:
        """[T, W, N]."""
        return self.dataset.terminations

    @property
    def alive(self) -> NDArray[np.bool_]:
        """[T, W, N]."""
        return self.dataset.alive

    @property
    def action_mask(self) -> NDArray[np.bool_]:
        """[T, W, N, A]."""
        return self.dataset.action_mask

    @property
    def actions(self) -> Actions:
        """[T, W, N, C]."""
        return self.dataset.labels.astype(self.dataset.metadata.spec.dtype)

    @property
    def teacher_controlled(self) -> NDArray[np.bool_]:
        """[W], all False: a policy made every recorded decision."""
        return np.zeros(self.dataset.labels.shape[1], np.bool_)

    def normalised_features(self, weights: Weights) -> NDArray[np.float32]:
        """Return features [T, W, N, F], normalised by these weights."""
        observations = self.dataset.observations
        flat = observations.reshape(-1, observations.shape[-1])
        return normalise(flat, weights.mean, weights.scale).reshape(observations.shape)

    def values(self, weights: Weights) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the recorded V(sₜ) and V(sₜ₊₁) [T, W, N], whatever the weights."""
        return self.predictions[:-1], self.predictions[1:]

    def to_bytes(self) -> bytes:
        """Return the safetensors file; equal trajectories give equal bytes."""
        return self.dataset.to_bytes(
            {
                "log_probs": self.log_probs,
                "predictions": self.predictions,
                "truncations": self.truncations,
                "sums": self.sums,
            }
        )


def read_trajectories(data: bytes, source: str) -> Trajectories:
    """Return the trajectories of a safetensors file; BadInputError naming `source` if the file does not hold any."""
    dataset, extras = read_dataset_and_extras(data, source)
    try:
        trajectories = Trajectories(dataset=dataset, **extras)
    except (TypeError, ValueError) as error:
        raise BadInputError(f"{source}: not a policy's recorded play ({error})") from error
    numbers = (trajectories.log_probs, trajectories.predictions, trajectories.sums)
    if not all(np.isfinite(values).all() for values in numbers):
        raise BadInputError(f"{source}: holds numbers that are not finite")
    above = (trajectories.log_probs > _ROUNDING) & trajectories.alive
    if above.any():
        t, world, agent = (int(index) for index in np.argwhere(above)[0])
        raise BadInputError(
            f"{source}: log_probs holds a probability above 1 at decision {t} of world {world}, agent {agent}; "
            "expected at most 0"
        )
    return trajectories


def trajectory_metrics(trajectories: Trajectories) -> RecordedMetrics:
    """Return the mean reward, log-probability, action entropy and rivalry of trajectories, over living agents."""
    dataset, alive = trajectories.dataset, trajectories.dataset.alive
    count = max(int(alive.sum()), 1)
    rivalry: dict[str, Any] = {}
    for name in REQUIRED_FEATURES:
        values = np.zeros(1, np.float32)
        if name in dataset.metadata.features and alive.any():
            values = dataset.observations[..., dataset.metadata.features.index(name)][alive]
        rivalry |= {f"{name}_mean": float(values.mean(dtype=np.float64)), f"{name}_max": float(values.max())}
    last = trajectories.predictions[-1]
    return RecordedMetrics(
        timesteps=len(dataset.labels),
        reward_sum=float(dataset.rewards.sum(dtype=np.float64)),
        reward_mean=float(dataset.rewards[alive].sum(dtype=np.float64)) / count,
        log_prob_mean=float(trajectories.log_probs[alive].sum(dtype=np.float64)) / count,
        value_pred_last=float(last.mean(dtype=np.float64)) if last.size else 0.0,
        action_entropy=label_entropy(dataset),
        **rivalry,
    )
