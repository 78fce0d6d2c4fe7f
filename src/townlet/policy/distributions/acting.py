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
    "gaussian",
    "log_probabilities",
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
) -> tuple[Actions, NDArray[np.float32]]:
    """Return draws [B, C] by the inverse of the cumulative distribution, and log π(a|s) [B] of each.

    `logits` [B, A] are masked, `means` are [B, D], `log_std` is [D], `numbers` are uniform [B, C] in [0, 1).

    log π = Σ_heads log p(option) + Σ_d (−½·((a − μ) ÷ σ)² − log σ − ½·log 2π)
    """
    actions, rows = np.empty((len(logits), spec.columns), spec.dtype), np.arange(len(logits))
    total: NDArray[np.float32] = np.zeros(len(logits), np.float32)
    for column, z in enumerate(spec.segments(logits)):
        shifted = z - z.max(axis=-1, keepdims=True)
        weights = np.exp(shifted)
        cumulative = np.cumsum(weights, axis=-1)
        # An illegal option has weight 0, so the first sum above the threshold belongs to a legal one.
        above = cumulative > (numbers[:, column] * cumulative[:, -1])[:, None]
        options = above.argmax(axis=-1)
        actions[:, column] = options
        total += shifted[rows, options] - np.log(weights.sum(axis=-1))
    if spec.box:
        drawn = means + np.exp(log_std) * gaussian(numbers[:, len(spec.discrete) :])
        actions[:, len(spec.discrete) :] = drawn
        z = (drawn - means) * np.exp(-log_std)
        total += (-0.5 * z * z - log_std - np.float32(LOG_ROOT_2PI)).sum(axis=-1, dtype=np.float32)
    return actions, total


def gaussian(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return standard Gaussian numbers from numbers uniform in [0, 1), by the inverse of the distribution."""
    from scipy.special import ndtri  # its import takes longer than everything else that acting needs

    drawn: NDArray[np.float32] = ndtri(numbers.astype(np.float64) + _HALF_STEP).astype(np.float32)
    return drawn
