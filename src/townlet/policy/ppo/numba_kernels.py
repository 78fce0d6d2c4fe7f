"""What lies between the matrix products of PPO's gradient, in one pass each over its numbers.

The kernels hold no exponential and no logarithm (numpy has them by the dozen), so plain Python computes the same bits.
Whatever is a number of the caller's precision comes as an argument: a bare literal would be a double.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from townlet.compiled import entry

__all__ = ["lift", "normalise", "shift", "spread", "stop", "surrogate", "value_errors"]

Numbers = NDArray[np.floating[Any]]
Number = np.floating[Any]
Weights = tuple[Number, ...]


@entry
def lift(y: Numbers, bias: Numbers, floor: Number) -> None:
    """Add the bias [H] to y [B, H] and raise to the floor what lies below: 0 is ReLU, −∞ is none."""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            number = y[i, j] + bias[j]
            y[i, j] = floor if number <= floor else number  # what is not a number stays so


@entry
def stop(d: Numbers, y: Numbers, zero: Number) -> None:
    """Let nothing through d [B, H] where ReLU's answer y [B, H] was 0."""
    for i in range(d.shape[0]):
        for j in range(d.shape[1]):
            d[i, j] = zero if y[i, j] <= zero else d[i, j]


@entry
def shift(logits: Numbers, mask: NDArray[np.bool_], illegal: Number) -> None:
    """Mask logits [B, A] and take each row's largest from it."""
    for i in range(logits.shape[0]):
        largest = logits[i, 0] if mask[i, 0] else illegal
        for a in range(logits.shape[1]):
            number = logits[i, a] if mask[i, a] else illegal
            logits[i, a] = number
            largest = number if number > largest else largest
        for a in range(logits.shape[1]):
            logits[i, a] -= largest


@entry
def normalise(p: Numbers, shifted: Numbers, actions: NDArray[np.int64], sums: Numbers, chosen: Numbers) -> None:
    """Divide exponentials p [B, A] by their sums [B], and note the shifted logit [B] of each action."""
    for i in range(p.shape[0]):
        total = p[i, 0]
        for a in range(1, p.shape[1]):
            total += p[i, a]
        for a in range(p.shape[1]):
            p[i, a] /= total
        sums[i], chosen[i] = total, shifted[i, actions[i]]


@entry
def surrogate(
    slope: Numbers, ratio: Numbers, log_ratio: Numbers, advantages: Numbers, weights: Weights, sums: NDArray[np.float64]
) -> None:
    """Write ∂L/∂log π(aₜ|sₜ) of the clipped surrogate, and add up it, the estimated KL and the clipped ratios.

    `slope` may be longer than `ratio` [B]; its rest stays. `weights` are (each row's share, 1 − ε, 1 + ε, ε, 0, ½, 1).
    Equal arms share the slope, as `torch.maximum` has it.
    """
    share, low, high, epsilon, zero, half, one = weights
    for i in range(len(ratio)):
        r = ratio[i]
        held = low if r < low else (high if r > high else r)
        free, bound = -r * advantages[i], -held * advantages[i]
        arm = one if free > bound else (half if free == bound else zero)
        inside = one if low <= r <= high else zero
        slope[i] = -share * advantages[i] * r * (arm + (one - arm) * inside)
        sums[0] += free if free > bound else bound
        sums[1] += (r - one) - log_ratio[i]
        sums[2] += one if abs(r - one) > epsilon else zero


@entry
def spread(
    log_p: Numbers,
    p: Numbers,
    mask: NDArray[np.bool_],
    actions: NDArray[np.int64],
    slope: Numbers,
    parent: tuple[Numbers, Numbers],
    weights: Weights,
    sums: NDArray[np.float64],
) -> None:
    """Turn log-probabilities [B, A] into ∂L/∂logits, and add up entropy and KL(parent ‖ policy).

    `slope` [B] is ∂L/∂log π of the actions. The first rows, as many as the `parent`'s log-probabilities and
    probabilities [O, A] have, bear entropy and anchor as well; where both are zeros nothing pulls.
    `weights` are (a row's share of the entropy's, of the anchor's, 0, 1).
    """
    anchor, q = parent
    entropy, pull, zero, one = weights
    for i in range(log_p.shape[0]):
        whole = slope[i]
        own = i < anchor.shape[0]
        for a in range(log_p.shape[1]):
            g = zero
            if own and mask[i, a]:
                sums[0] -= p[i, a] * log_p[i, a]
                sums[1] += q[i, a] * (anchor[i, a] - log_p[i, a])
                g = entropy * p[i, a] * (log_p[i, a] + one) - pull * q[i, a]
                whole += g
            log_p[i, a] = g
        log_p[i, actions[i]] += slope[i]
        for a in range(log_p.shape[1]):
            log_p[i, a] = log_p[i, a] - p[i, a] * whole if mask[i, a] else zero


@entry
def value_errors(v: Numbers, targets: Numbers, old: Numbers, weights: Weights, sums: NDArray[np.float64]) -> None:
    """Turn values [B] into ∂L/∂v of ½·max((v − target)², (v_clip − target)²), and add up the maxima.

    `weights` are (each row's share, ε, 0, ½, 1). Where `old` is `v` itself nothing is clipped.
    """
    share, epsilon, zero, half, one = weights
    for i in range(len(v)):
        moved = v[i] - old[i]
        inside = one if -epsilon <= moved <= epsilon else zero
        held = old[i] + (-epsilon if moved < -epsilon else (epsilon if moved > epsilon else moved))
        free, bound = v[i] - targets[i], held - targets[i]
        arm = one if free * free > bound * bound else (half if free * free == bound * bound else zero)
        sums[0] += free * free if free * free > bound * bound else bound * bound
        v[i] = share * (arm * free + (one - arm) * inside * bound)
