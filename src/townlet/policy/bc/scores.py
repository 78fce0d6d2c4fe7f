"""How well a clone reproduces what it was not trained on."""

from math import nan

import numpy as np
from numpy.typing import NDArray

from townlet.dto.actions import Actions, ActionSpec
from townlet.policy.data.dataset import Samples
from townlet.policy.model.inference import Layers, forward

__all__ = ["coefficient_of_determination", "worst_recall"]

_COMMON = 0.005
"""Share of the held-out labels above which an action's recall counts."""


def worst_recall(recalls: NDArray[np.float64], labels: Actions, actions: ActionSpec) -> float:
    """Return the least recall over the options that are common among the labels; NaN where no head has options."""
    if not actions.discrete:
        return nan
    common = []
    for column, head in enumerate(actions.segments(recalls)):
        shares = np.bincount(labels[:, column].astype(np.int64), minlength=len(head)) / len(labels)
        common += head[shares >= _COMMON].tolist()
    return min(common, default=0.0)


def coefficient_of_determination(layers: Layers, samples: Samples, actions: ActionSpec) -> float | None:
    """Return R² of the mean actions of an actor: 1 − residual ÷ total sum of squares, mean over the box heads.

    1 is exact, 0 as good as the labels' mean, and it has no lower bound. A head whose labels do not vary is left out;
    None where none is left.
    """
    heads = len(actions.discrete)
    labels = samples.labels[:, heads:].astype(np.float64)
    total = np.square(labels - labels.mean(0)).sum(0)
    varies = total > 0
    if not varies.any():
        return None
    residual = np.square(labels - forward(layers, samples.features)[:, actions.logits :]).sum(0)
    return float(np.mean(1 - residual[varies] / total[varies]))
