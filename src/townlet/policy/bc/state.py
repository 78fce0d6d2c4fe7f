"""State of a fit between two epochs, and the result of cloning: plain arrays, so that they load without torch."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.strategies import BCSpec
from townlet.policy.model.forward import Layers

__all__ = ["CloneResult", "CloneState", "ValueState"]


@frozen(kw_only=True, eq=False)
class CloneResult:
    """The actor of the best epoch and its statistics."""

    layers: Layers
    """Actor of the epoch with the smallest held-out NLL."""
    heldout_nll: float
    """Negative log-likelihood, nat per unforced held-out decision."""
    heldout_accuracy: float
    """Share of these decisions in which the greedy options are the teacher's, mean over the discrete heads."""
    train_accuracy: float
    """The same share on the training samples of the last epoch."""
    train_loss: float
    """Smoothed cross-entropy, mean of the last epoch."""
    recalls: NDArray[np.float64]
    """[A], recall of each label on held-out decisions; NaN where a label does not occur."""
    log_std: NDArray[np.float32]
    """[D], log σ of the same epoch."""
    epochs: int
    """Number of epochs."""
    stopped_early: bool
    """True if patience ran out."""
    samples_per_second: float
    """Training samples ÷ seconds of the epochs."""


@frozen(kw_only=True, eq=False)
class CloneState:
    """State of the actor's fit between two epochs: all that the next epoch needs, except the generator."""

    layers: Layers
    """The current actor."""
    adam_state: Mapping[str, NDArray[Any]]
    """Adam's state, as `model.adam` returns it; empty before the first epoch."""
    best_layers: Layers
    """The actor of the best epoch."""
    best: tuple[float, float]
    """Held-out NLL and accuracy of the best epoch."""
    log_std: NDArray[np.float32]
    """[D], log σ of the box heads."""
    best_log_std: NDArray[np.float32]
    """[D], log σ of the best epoch."""
    recalls: NDArray[np.float64]
    """[A], recalls of the best epoch."""
    epoch: int = 0
    """Number of finished epochs."""
    epochs_since_best: int = 0
    """Epochs after the best one."""
    loss_sum: float = 0.0
    """Sum of the training losses of the last epoch."""
    correct: float = 0.0
    """Number of training samples of the last epoch in which the greedy action was the label."""
    seconds: float = 0.0
    """Duration of all epochs."""

    def finished(self, spec: BCSpec) -> bool:
        """Return whether all epochs are done or patience ran out."""
        return self.epoch >= spec.update_epochs or self.epochs_since_best >= spec.patience

    def result(self, spec: BCSpec, samples: int) -> CloneResult:
        """Return the result of the fit to `samples` training samples."""
        return CloneResult(
            layers=self.best_layers,
            log_std=self.best_log_std,
            heldout_nll=self.best[0],
            heldout_accuracy=self.best[1],
            train_accuracy=self.correct / samples,
            train_loss=self.loss_sum / samples,
            recalls=self.recalls,
            epochs=self.epoch,
            stopped_early=self.epochs_since_best >= spec.patience,
            samples_per_second=self.epoch * samples / max(self.seconds, 1e-9),
        )


@frozen(kw_only=True, eq=False)
class ValueState:
    """State of the critic's fit between two epochs."""

    layers: Layers
    """The current critic."""
    adam_state: Mapping[str, NDArray[Any]]
    """Adam's state; empty before the first epoch."""
    epoch: int
    """Number of finished epochs."""
    loss: float
    """Value loss, mean of the last epoch."""
