"""How well a clone predicts the teacher on held-out decisions, beside its accuracy and its likelihood."""

from math import nan

import numpy as np
from numpy.typing import NDArray

from townlet.dto.actions import Actions, ActionSpec
from townlet.policy.data.dataset import Samples
from townlet.policy.distributions.acting import LOG_ROOT_2PI, log_probabilities, masked
from townlet.policy.model.forward import Layers, forward

__all__ = ["heldout_r2", "heldout_scores", "worst_recall"]

_COMMON = 0.005
"""Share of the held-out labels above which an action's recall counts."""


def heldout_scores(
    actor: Layers, log_std: NDArray[np.float32], heldout: Samples, actions: ActionSpec
) -> tuple[float, float, NDArray[np.float64]]:
    """Return the negative log-likelihood, the accuracy and the recalls [A] of an actor on held-out samples.

    Accuracy is the share of discrete heads in which the greedy option is the label's, NaN without such heads; a recall
    is NaN where the label does not occur.
    """
    outputs, rows = forward(actor, heldout.features), np.arange(len(heldout.labels))
    log_p = log_probabilities(masked(outputs[:, : actions.logits], heldout.action_mask), actions)
    likelihood, right, recalls = np.zeros(len(rows)), 0, np.full(actions.logits, nan)
    for column, (head, recall) in enumerate(zip(actions.segments(log_p), actions.segments(recalls), strict=True)):
        labels = heldout.labels[:, column].astype(np.int64)
        likelihood += head[rows, labels]
        hits = np.bincount(labels[head.argmax(-1) == labels], minlength=len(recall))
        counts = np.bincount(labels, minlength=len(recall))
        recall[counts > 0] = hits[counts > 0] / counts[counts > 0]
        right += int(hits.sum())
    if actions.box:
        z = (heldout.labels[:, len(actions.discrete) :] - outputs[:, actions.logits :]) * np.exp(-log_std)
        likelihood += (-0.5 * z * z - log_std - LOG_ROOT_2PI).sum(axis=-1, dtype=np.float64)
    heads = len(actions.discrete)
    return -float(likelihood.mean()), right / len(rows) / heads if heads else nan, recalls


def heldout_r2(actor: Layers, heldout: Samples, actions: ActionSpec) -> float | None:
    """Return R² of an actor's greedy action on held-out samples, the mean over the box columns d.

    R²_d = 1 − Σ_b (a_bd − μ_bd)² ÷ Σ_b (a_bd − ā_d)²

    a [B, D] are the teacher's numbers, μ [B, D] the actor's means, ā [D] the teacher's averages. A column that the
    teacher never changes is left out. Return None where no column is left, as where no head is a box.
    """
    labels = heldout.labels[:, len(actions.discrete) :].astype(np.float64)
    varied = (labels != labels[:1]).any(axis=0)
    if not varied.any():
        return None
    means = forward(actor, heldout.features)[:, actions.logits :][:, varied]
    labels = labels[:, varied]
    residual = np.square(labels - means).sum(axis=0)
    total = np.square(labels - labels.mean(axis=0)).sum(axis=0)
    return float(np.mean(1 - residual / total))


def worst_recall(recalls: NDArray[np.float64], labels: Actions, actions: ActionSpec) -> float:
    """Return the least recall over the options that are common among the labels; NaN where no head has options.

    `recalls` are [A], `labels` [B, C].
    """
    if not actions.discrete:
        return nan
    common = []
    for column, head in enumerate(actions.segments(recalls)):
        shares = np.bincount(labels[:, column].astype(np.int64), minlength=len(head)) / len(labels)
        common += head[shares >= _COMMON].tolist()
    return min(common, default=0.0)
