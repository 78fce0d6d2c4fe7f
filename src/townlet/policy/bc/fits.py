"""How far a fit of the actor or the critic is, and what it led to; torch is not needed to know."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.strategies import BCSpec
from townlet.policy.model.inference import Layers

__all__ = ["CloneResult", "CloneState", "ValueState"]


@frozen(kw_only=True, eq=False)
class CloneResult:
    """The actor of the best epoch and how it did."""

    layers: Layers
    """Of the epoch with the least held-out NLL."""
    heldout_nll: float
    """Nat per unforced held-out decision."""
    heldout_accuracy: float
    """Greedy agreement with the teacher on them."""
    train_accuracy: float
    """The same on the last training pass."""
    train_loss: float
    """Smoothed cross-entropy, mean of the last pass."""
    recalls: NDArray[np.float64]
    """[A] per label on held-out decisions; NaN where a label does not occur."""
    epochs: int
    """Passes made."""
    stopped_early: bool
    """Whether patience ran out."""
    samples_per_second: float
    """Training samples ÷ seconds of the passes."""


@frozen(kw_only=True, eq=False)
class CloneState:
    """The actor's fit between two passes: all that the next one goes on from but the generator."""

    layers: Layers
    """Of the actor now."""
    moments: Mapping[str, NDArray[Any]]
    """The optimizer's state."""
    best_layers: Layers
    """Of the best epoch."""
    best: tuple[float, float]
    """Its held-out NLL and accuracy."""
    recalls: NDArray[np.float64]
    """Its recalls [A]."""
    epoch: int = 0
    """Passes made."""
    since: int = 0
    """Passes since the best."""
    loss_sum: float = 0.0
    """Of the last pass."""
    hits: float = 0.0
    """Of the last pass."""
    seconds: float = 0.0
    """Of all passes."""

    def over(self, spec: BCSpec) -> bool:
        """Tell whether all passes are made or patience ran out."""
        return self.epoch >= spec.update_epochs or self.since >= spec.patience

    def fit(self, spec: BCSpec, samples: int) -> CloneResult:
        """Return what the passes over `samples` led to."""
        return CloneResult(
            layers=self.best_layers,
            heldout_nll=self.best[0],
            heldout_accuracy=self.best[1],
            train_accuracy=self.hits / samples,
            train_loss=self.loss_sum / samples,
            recalls=self.recalls,
            epochs=self.epoch,
            stopped_early=self.since >= spec.patience,
            samples_per_second=self.epoch * samples / max(self.seconds, 1e-9),
        )


@frozen(kw_only=True, eq=False)
class ValueState:
    """The critic's fit between two passes."""

    layers: Layers
    """Of the critic now."""
    moments: Mapping[str, NDArray[Any]]
    """The optimizer's state."""
    epoch: int
    """Passes made."""
    loss_sum: float
    """Mean of the last pass."""
