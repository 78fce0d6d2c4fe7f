"""The gradient of the actor's loss by the network's outputs, by hand: kernels between the matrix products.

Every array has its rows as the last axis, so that a loop takes many rows at once. Plain Python computes the same bits
as numba: every constant that must have the arrays' precision is an argument, because a literal would be a double.

Notation, the same as in docs/reference/ppo.md: z logits, l = log π = log_softmax(z) within a head, p = exp(l), q the
parent's probabilities; μ means, σ = exp(s) standard deviations, a action, w weight of one row in the mean, L loss.
B rows, K discrete heads with A options together, D box heads.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townlet.compiled import i64, kernel
from townlet.policy.distributions.exponential import exponential

__all__ = [
    "Constants",
    "Real",
    "Reals",
    "add_box_log_density",
    "add_log_probability",
    "box_backward",
    "log_softmax",
    "logits_backward",
]

Reals = NDArray[np.floating[Any]]
Real = np.floating[Any]
Constants = tuple[Real, ...]
Actions = NDArray[Any]
"""[*, C], one column for each head, of which `rows` [B] are used."""
Rows = NDArray[np.int64]
Offsets = NDArray[np.int64]
"""[K + 1]: the logits of head k are offsets[k] up to offsets[k + 1]."""


@kernel
def log_softmax(z: Reals, p: Reals, legal: Reals, offsets: Offsets, sums: Reals, illegal: Real, e: Constants) -> None:
    """Turn logits z [A, B] into log-probabilities, in place; write probabilities to p [A, B]. `sums` [B] is scratch.

    Illegal options, where `legal` [A, B] is 0, have the logit `illegal` within each head:
        l = z − max(z) − log Σₖ exp(zₖ − max(z)),  p = exp(l)
    `e` are the constants of `exponential`.
    """
    for head in range(len(offsets) - 1):
        first, end = offsets[head], offsets[head + 1]
        _mask_and_shift(z, legal, first, end, sums, illegal)
        for i in range(z.shape[1]):
            sums[i] = 0
        for option in range(first, end):
            for i in range(z.shape[1]):
                p[option, i] = exponential(z[option, i], e)
                sums[i] += p[option, i]
        for option in range(first, end):
            for i in range(z.shape[1]):
                p[option, i] /= sums[i]
        for i in range(z.shape[1]):
            sums[i] = math.log(np.float64(sums[i]))  # rounded from double precision it has the same bits everywhere
        for option in range(first, end):
            for i in range(z.shape[1]):
                z[option, i] -= sums[i]


@kernel
def _mask_and_shift(z: Reals, legal: Reals, first: int, end: int, largest: Reals, illegal: Real) -> None:
    """Mask the logits of a head and subtract the largest of each row, in place, so that no exponential overflows.

    zⱼ ← illegal where option j is not legal;  zⱼ ← zⱼ − maxₖ zₖ
    """
    for i in range(z.shape[1]):
        largest[i] = illegal
    for option in range(first, end):
        for i in range(z.shape[1]):
            number = z[option, i] if legal[option, i] > 0 else illegal
            z[option, i] = number
            largest[i] = largest[i] if largest[i] >= number else number
    for option in range(first, end):
        for i in range(z.shape[1]):
            z[option, i] -= largest[i]


@kernel
def add_log_probability(log_p: Reals, actions: Actions, rows: Rows, offsets: Offsets, total: Reals) -> None:
    """Add the log-probabilities of the options that the actions consist of to `total` [B]; `log_p` is [A, B]."""
    for head in range(len(offsets) - 1):
        for i in range(len(rows)):
            total[i] += log_p[offsets[head] + i64(actions[rows[i], head]), i]


@kernel
def logits_backward(
    log_p: Reals,
    p: Reals,
    legal: Reals,
    options: tuple[Actions, Rows, Offsets],
    grad_action: Reals,
    anchor: tuple[Reals, Reals],
    constants: Constants,
    rows_out: tuple[Reals, Reals, Reals],
) -> None:
    """Turn l = log π [A, B] into ∂L/∂z [A, B], in place; add entropy [B] and KL(parent ‖ policy) [B] of each row.

    Log-softmax of a head, l = z − log Σₖ exp(zₖ), with Gⱼ = ∂L/∂lⱼ:
        ∂lⱼ/∂zᵢ = [i = j] − pᵢ
        ∂L/∂zᵢ = Gᵢ − pᵢ·ΣⱼGⱼ
    Entropy bonus, weight e per row, pⱼ = exp(lⱼ):
        −e·H = e·Σⱼ pⱼ·lⱼ                  ⇒  Gⱼ = e·pⱼ·(lⱼ + 1)
    Anchor, weight k per row, q = parent:
        k·KL(q ‖ p) = k·Σⱼ qⱼ·(log qⱼ − lⱼ)  ⇒  Gⱼ = −k·qⱼ
    The surrogate (or the cross-entropy of a demonstration) depends on log π(a|s) only, the sum of the l of the
    options that a consists of, one of each head:
        Gₐ += `grad_action`

    `options` are the actions, their rows and where the heads begin, `grad_action` is [B]. `anchor` holds the parent's
    log-probabilities and probabilities [A, B]; with both zero the KL term is zero. `constants` are (e, k, 0, 1).
    Illegal options get 0. `rows_out` are entropy, KL and scratch for sums of G.
    """
    actions, rows, offsets = options
    anchor_log_p, anchor_p = anchor
    entropy_weight, anchor_weight, zero, one = constants
    entropy, kl, grad_sum = rows_out
    grad = log_p  # the same memory: option by option it holds l, then G, then ∂L/∂z
    for head in range(len(offsets) - 1):
        first, end = offsets[head], offsets[head + 1]
        for i in range(len(rows)):
            grad_sum[i] = grad_action[i]
        for option in range(first, end):
            for i in range(len(rows)):
                probability, logarithm, q = p[option, i], log_p[option, i], anchor_p[option, i]
                is_legal = legal[option, i] > 0
                entropy[i] -= probability * logarithm if is_legal else zero
                kl[i] += q * (anchor_log_p[option, i] - logarithm) if is_legal else zero
                g = entropy_weight * probability * (logarithm + one) - anchor_weight * q
                g = g if is_legal else zero
                grad[option, i] = g
                grad_sum[i] += g
        for i in range(len(rows)):
            grad[first + i64(actions[rows[i], head]), i] += grad_action[i]
        for option in range(first, end):
            for i in range(len(rows)):
                number = grad[option, i] - p[option, i] * grad_sum[i]
                grad[option, i] = number if legal[option, i] > 0 else zero


@kernel
def add_box_log_density(
    means: Reals, log_std: Reals, actions: Actions, rows: Rows, total: Reals, constants: Constants, e: Constants
) -> None:
    """Add the log-density of the box heads' numbers to `total` [B]: Σ_d (−½·u² − s − ½·log 2π), u = (a − μ) ÷ σ.

    `means` are [D, B], `log_std` is s [1, D]; the numbers stand in the last D columns of `actions`. `constants` are
    (½, ½·log 2π), `e` those of `exponential`.
    """
    half, log_root = constants
    column = actions.shape[1] - log_std.shape[1]
    for box in range(log_std.shape[1]):
        shift, inverse = log_std[0, box], exponential(-log_std[0, box], e)
        for i in range(len(rows)):
            u = (actions[rows[i], column + box] - means[box, i]) * inverse
            total[i] += -half * u * u - shift - log_root


@kernel
def box_backward(
    means: Reals,
    log_std: Reals,
    numbers: tuple[Actions, Rows],
    grad_action: Reals,
    anchor: tuple[Reals, Reals],
    constants: Constants,
    e: Constants,
    outs: tuple[Reals, Reals, Reals],
) -> None:
    """Turn means [D, B] into ∂L/∂μ, in place; add ∂L/∂s [1, D], entropy [B] and KL(parent ‖ policy) [B] of each row.

    Log-density, G = ∂L/∂log π(a|s) = `grad_action` [B], u = (a − μ) ÷ σ:
        ∂L/∂μ = G·u ÷ σ
        ∂L/∂s = Σ_rows G·(u² − 1)
    Entropy bonus, weight e for each row, H = Σ_d s + ½·log 2πe:
        −e·H  ⇒  ∂L/∂s = −e·rows
    Anchor, weight k for each row, ν and τ the parent's means and standard deviations:
        k·KL = k·Σ_d (s − log τ + (τ² + (ν − μ)²) ÷ 2σ² − ½)
        ⇒  ∂L/∂μ = k·(μ − ν) ÷ σ²,  ∂L/∂s = k·Σ_rows (1 − (τ² + (ν − μ)²) ÷ σ²)

    `numbers` are actions and the rows that are used, the numbers in the last D columns. `anchor` holds ν [*, D], of
    which the same rows are used, and log τ [D]; without rows there is no anchor. `constants` are (e, k, ½, 1,
    ½·log 2π).
    """
    actions, rows = numbers
    entropy_weight, anchor_weight, half, one, log_root = constants
    parent_means, parent_log_std = anchor
    grad_log_std, entropy, kl = outs
    column = actions.shape[1] - log_std.shape[1]
    for box in range(log_std.shape[1]):
        s, inverse = log_std[0, box], exponential(-log_std[0, box], e)
        slope = np.float64(0)
        for i in range(len(rows)):
            u = (actions[rows[i], column + box] - means[box, i]) * inverse
            entropy[i] += s + log_root + half
            slope += grad_action[i] * (u * u - one) - entropy_weight
            grad = grad_action[i] * u * inverse
            if len(parent_means):
                difference = means[box, i] - parent_means[rows[i], box]
                variance = exponential(parent_log_std[box] + parent_log_std[box], e)
                ratio = (variance + difference * difference) * (inverse * inverse)
                kl[i] += s - parent_log_std[box] + half * (ratio - one)
                grad += anchor_weight * difference * (inverse * inverse)
                slope += anchor_weight * (one - ratio)
            means[box, i] = grad
        grad_log_std[0, box] += slope
