"""Distributions of actions in numpy: what every policy acts with.

A discrete head is a categorical distribution over its legal options. The box heads are a Gaussian with independent
columns, whose standard deviation does not depend on the state; its draw is not clipped, so its density is exact. Heads
are independent given the state: their log-probabilities add up. B rows, A logits, D box heads, C columns.
"""

import math

import numpy as np
from numpy.typing import NDArray

from townlet.dto.actions import Actions, ActionSpec

__all__ = [
    "ILLEGAL",
    "choose_greedily",
    "log_probabilities",
    "log_probability",
    "masked",
    "sample",
]

ILLEGAL = np.float32(-1.0e9)
"""Logit of an illegal option; exp of it is 0 in float32."""
LOG_ROOT_2PI = 0.5 * math.log(2 * math.pi)
"""Logarithm of the Gaussian's normaliser √(2π)."""
_HALF_STEP = 2.0**-25
"""Half the distance of two uniform numbers: with it none is 0, where the inverse of the Gaussian is infinite."""


def masked(logits: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return logits [B, A] with illegal options at `ILLEGAL`."""
    return np.where(mask, logits, ILLEGAL)


def log_probabilities(logits: NDArray[np.float32], spec: ActionSpec) -> NDArray[np.float32]:
    """Return the log-probabilities [B, A] of all options for masked logits [B, A].

    Within each head: z − max(z) − log Σₖ exp(zₖ − max(z))
    """
    result = np.empty_like(logits)
    for z, log_p in zip(spec.segments(logits), spec.segments(result), strict=True):
        shifted = z - z.max(axis=-1, keepdims=True)
        np.subtract(shifted, np.log(np.exp(shifted).sum(axis=-1, keepdims=True)), out=log_p)
    return result


def choose_greedily(logits: NDArray[np.float32], means: NDArray[np.float32], spec: ActionSpec) -> Actions:
    """Return the mode [B, C]: the option with the largest masked logit, the first of equal ones, and the means."""
    actions = np.empty((len(logits), spec.columns), spec.dtype)
    for column, z in enumerate(spec.segments(logits)):
        actions[:, column] = z.argmax(axis=-1)
    actions[:, len(spec.discrete) :] = means
    return actions


def sample(
    logits: NDArray[np.float32],
    means: NDArray[np.float32],
    log_std: NDArray[np.float32],
    numbers: NDArray[np.float32],
    spec: ActionSpec,
) -> Actions:
    """Return draws [B, C] by the inverse of the cumulative distribution, from uniform numbers [B, C] in [0, 1).

    `logits` [B, A] are masked, `means` are [B, D], `log_std` is [D].
    """
    actions = np.empty((len(logits), spec.columns), spec.dtype)
    for column, z in enumerate(spec.segments(logits)):
        weights = np.exp(z - z.max(axis=-1, keepdims=True))
        cumulative = np.cumsum(weights, axis=-1)
        # An illegal option has weight 0, so the first sum above the threshold belongs to a legal one.
        above = cumulative > (numbers[:, column] * cumulative[:, -1])[:, None]
        actions[:, column] = above.argmax(axis=-1)
    if spec.box:
        from scipy.special import ndtri  # its import takes longer than everything else that acting needs

        gaussian = ndtri(numbers[:, len(spec.discrete) :].astype(np.float64) + _HALF_STEP)
        actions[:, len(spec.discrete) :] = means + np.exp(log_std) * gaussian.astype(np.float32)
    return actions


def log_probability(
    log_p: NDArray[np.float32],
    means: NDArray[np.float32],
    log_std: NDArray[np.float32],
    actions: Actions,
    spec: ActionSpec,
) -> NDArray[np.float32]:
    """Return log π(a|s) [B] of actions [B, C]; `log_p` [B, A] as `log_probabilities` returns them.

    log π = Σ_heads log p(option) + Σ_d (−½·((a − μ) ÷ σ)² − log σ − ½·log 2π)
    """
    rows = np.arange(len(actions))
    total: NDArray[np.float32] = np.zeros(len(actions), np.float32)
    for column, head in enumerate(spec.segments(log_p)):
        chosen = head[rows, actions[:, column].astype(np.intp)]
        total = total + chosen if column else chosen
    if spec.box:
        z = (actions[:, len(spec.discrete) :] - means) * np.exp(-log_std)
        density = -0.5 * z * z - log_std - np.float32(LOG_ROOT_2PI)
        total = total + density.sum(axis=-1, dtype=np.float32)
    return total.astype(np.float32, copy=False)
