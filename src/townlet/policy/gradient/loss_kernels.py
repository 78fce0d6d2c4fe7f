"""Derivatives of PPO's losses by hand: kernels that end at log π(a|s) and at the value.

Plain Python computes the same bits as numba: every constant that must have the arrays' precision is an argument,
because a literal would be a double.

Notation, the same as in docs/reference/ppo.md: ρ = π(a|s) ÷ π_old(a|s), Â advantage, ε clip range, w weight of one row
in the mean, L loss, B rows.
"""

import numpy as np
from numpy.typing import NDArray

from townlet.compiled import kernel
from townlet.policy.distributions.backward import Constants, Reals

__all__ = ["surrogate_backward", "value_error_backward"]


@kernel
def surrogate_backward(
    grad: Reals, ratio: Reals, log_ratio: Reals, advantages: Reals, constants: Constants, sums: NDArray[np.float64]
) -> None:
    """Write ∂L/∂log π(a|s) of the clipped surrogate to `grad`; add to the sums of loss, approximate KL, clipped ratios.

    Loss of a row, ρ_clip = clip(ρ, 1 − ε, 1 + ε):
        ℓ = max(−ρÂ, −ρ_clip·Â)
    The first argument of max is active where it is larger; where both are equal each counts half (`torch.maximum`):
        active = 1 where −ρÂ > −ρ_clip·Â;  ½ where they are equal;  0 elsewhere
    Clipping passes the derivative on inside its range only (`torch.clamp`):
        inside = ∂ρ_clip/∂ρ = 1 where 1 − ε ≤ ρ ≤ 1 + ε;  0 elsewhere
    The ratio is an exponential, ρ = exp(log π − log π_old):
        ∂ρ/∂log π = ρ
    The chain rule gives
        ∂ℓ/∂log π = −Â·ρ·(active + (1 − active)·inside)
    Approximate KL(old ‖ new) of a row (Schulman):
        (ρ − 1) − log ρ

    `ratio`, `log_ratio` and `advantages` are [B]; `grad` may be longer, its rest is unchanged.
    `constants` are (w, 1 − ε, 1 + ε, ε, 0, ½, 1).
    """
    row_weight, low, high, epsilon, zero, half, one = constants
    for i in range(len(ratio)):
        r = ratio[i]
        clipped_r = low if r < low else (high if r > high else r)
        free_loss, clipped_loss = -r * advantages[i], -clipped_r * advantages[i]
        active = one if free_loss > clipped_loss else (half if free_loss == clipped_loss else zero)
        inside = one if low <= r <= high else zero
        grad[i] = -row_weight * advantages[i] * r * (active + (one - active) * inside)
        sums[0] += free_loss if free_loss > clipped_loss else clipped_loss
        sums[1] += (r - one) - log_ratio[i]
        sums[2] += one if abs(r - one) > epsilon else zero


@kernel
def value_error_backward(
    v: Reals, targets: Reals, old_v: Reals, constants: Constants, sums: NDArray[np.float64]
) -> None:
    """Turn values v [B] into ∂L/∂v [B] of the (clipped) value loss, in place; add to the sum of squared errors.

    Loss of a row, y the target, v_clip = v_old + clip(v − v_old, −ε, ε):
        ℓ = ½·max((v − y)², (v_clip − y)²)
    As in the surrogate, the larger argument of max is active and equal ones count half:
        active = 1 where (v − y)² > (v_clip − y)²;  ½ where they are equal;  0 elsewhere
        inside = ∂v_clip/∂v = 1 where |v − v_old| ≤ ε;  0 elsewhere
        ∂ℓ/∂v = active·(v − y) + (1 − active)·inside·(v_clip − y)

    `targets` and `old_v` are [B]; with `old_v` = `v` nothing is clipped. `constants` are (w, ε, 0, ½, 1).
    """
    row_weight, epsilon, zero, half, one = constants
    grad = v  # the same memory: row by row it holds v, then ∂L/∂v
    for i in range(len(v)):
        change = v[i] - old_v[i]
        inside = one if -epsilon <= change <= epsilon else zero
        clipped_v = old_v[i] + (-epsilon if change < -epsilon else (epsilon if change > epsilon else change))
        error, clipped_error = v[i] - targets[i], clipped_v - targets[i]
        active = (
            one
            if error * error > clipped_error * clipped_error
            else (half if error * error == clipped_error * clipped_error else zero)
        )
        sums[0] += error * error if error * error > clipped_error * clipped_error else clipped_error * clipped_error
        grad[i] = row_weight * (active * error + (one - active) * inside * clipped_error)
