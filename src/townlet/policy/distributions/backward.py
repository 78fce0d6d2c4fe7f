"""The gradient of the actor's loss by the network's outputs, by hand: kernels between the matrix products.

The kernels contain no exponential and no logarithm (numpy computes those, vectorised), so plain Python computes the
same bits as numba. Every constant that must have the arrays' precision is an argument: a literal would be a double.

Notation, the same as in docs/reference/ppo.md: z logits, l = log π = log_softmax(z) within a head, p = exp(l), q the
parent's probabilities; μ means, σ = exp(s) standard deviations, a action, w weight of one row in the mean, L loss.
B rows, K discrete heads with A options together, D box heads.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from townlet.compiled import entry_kernel
from townlet.policy.distributions.acting import LOG_ROOT_2PI

__all__ = [
    "BoxTerms",
    "Constants",
    "Real",
    "Reals",
    "box_backward",
    "box_deviations",
    "box_log_density",
    "mask_and_shift",
    "policy_logits_backward",
    "softmax_divide",
]

Reals = NDArray[np.floating[Any]]
Real = np.floating[Any]
Constants = tuple[Real, ...]
Offsets = NDArray[np.int64]
"""[K + 1]: the logits of head k are offsets[k] up to offsets[k + 1]."""


@entry_kernel
def mask_and_shift(logits: Reals, mask: NDArray[np.bool_], offsets: Offsets, illegal: Real) -> None:
    """Mask logits [B, A] and subtract the maximum of each row and head, in place, so that no exponential overflows.

    zⱼ ← illegal where option j is not legal;  zⱼ ← zⱼ − maxₖ zₖ
    """
    for i in range(logits.shape[0]):
        for head in range(len(offsets) - 1):
            first, end = offsets[head], offsets[head + 1]
            largest = logits[i, first] if mask[i, first] else illegal
            for a in range(first, end):
                number = logits[i, a] if mask[i, a] else illegal
                logits[i, a] = number
                largest = max(largest, number)
            for a in range(first, end):
                logits[i, a] -= largest


@entry_kernel
def softmax_divide(
    p: Reals, shifted: Reals, options: NDArray[np.int64], offsets: Offsets, exp_sums: Reals, option_logits: Reals
) -> None:
    """Divide exponentials p [B, A] by the sums of each row and head, in place.

    Writes the sums [B, K] and the shifted logit [B, K] of each head's option, `options` [B, K].

    pⱼ ← exp(zⱼ) ÷ Σₖ exp(zₖ), where p holds exp(z) at first and z is `shifted` [B, A]
    """
    for i in range(p.shape[0]):
        for head in range(len(offsets) - 1):
            first, end = offsets[head], offsets[head + 1]
            total = p[i, first]
            for a in range(first + 1, end):
                total += p[i, a]
            for a in range(first, end):
                p[i, a] /= total
            exp_sums[i, head], option_logits[i, head] = total, shifted[i, first + options[i, head]]


@entry_kernel
def policy_logits_backward(
    log_p: Reals,
    p: Reals,
    mask: NDArray[np.bool_],
    heads: tuple[NDArray[np.int64], Offsets],
    grad_action: Reals,
    anchor: tuple[Reals, Reals],
    constants: Constants,
    sums: NDArray[np.float64],
) -> None:
    """Turn l = log π [B, A] into ∂L/∂z [B, A], in place; add to the sums of entropy and KL(parent ‖ policy).

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

    `heads` are the options [B, K] and the offsets, `grad_action` is [B]. `anchor` holds the parent's log-probabilities
    and probabilities [O, A]: entropy and anchor apply to the first O rows (the policy's own), the rows after them are
    demonstrations. With both zero the KL term is zero. `constants` are (e, k, 0, 1). Illegal options get 0.
    """
    options, offsets = heads
    anchor_log_p, anchor_p = anchor
    entropy_weight, anchor_weight, zero, one = constants
    grad = log_p  # the same memory: row by row it holds l, then G, then ∂L/∂z
    for i in range(log_p.shape[0]):
        is_own = i < anchor_log_p.shape[0]
        for head in range(len(offsets) - 1):
            first, end = offsets[head], offsets[head + 1]
            grad_sum = grad_action[i]
            for a in range(first, end):
                g = zero
                if is_own and mask[i, a]:
                    sums[0] -= p[i, a] * log_p[i, a]
                    sums[1] += anchor_p[i, a] * (anchor_log_p[i, a] - log_p[i, a])
                    g = entropy_weight * p[i, a] * (log_p[i, a] + one) - anchor_weight * anchor_p[i, a]
                    grad_sum += g
                grad[i, a] = g
            grad[i, first + options[i, head]] += grad_action[i]
            for a in range(first, end):
                grad[i, a] = grad[i, a] - p[i, a] * grad_sum if mask[i, a] else zero


class BoxTerms(NamedTuple):
    """What the box heads add to the actor's loss and gradient."""

    grad_means: Reals
    """∂L/∂μ [B, D]."""
    grad_log_std: Reals
    """∂L/∂s [D]."""
    entropy: float
    """Sum of the entropies of the policy's own rows, nat."""
    anchor_kl: float
    """Sum of KL(parent ‖ policy) of the same rows, nat."""


def box_deviations(numbers: Reals, means: Reals, log_std: Reals) -> Reals:
    """Return z = (a − μ) ÷ σ [B, D] for the numbers a [B, D] of an action."""
    return (numbers - means) * np.exp(-log_std)


def box_log_density(z: Reals, log_std: Reals) -> Reals:
    """Return the log-density [B] of deviations z [B, D]: Σ_d (−½·z² − s − ½·log 2π)."""
    real = z.dtype.type
    density: Reals = (real(-0.5) * z * z - log_std - real(LOG_ROOT_2PI)).sum(-1, dtype=z.dtype)
    return density


def box_backward(
    z: Reals,
    means: Reals,
    log_std: Reals,
    grad_action: Reals,
    rows: int,
    weights: tuple[float, float],
    anchor: tuple[Reals, Reals] | None,
) -> BoxTerms:
    """Return the box heads' part of the gradient, from deviations z [B, D], means [B, D] and log σ = s [D].

    Log-density, G = ∂L/∂log π(a|s) = `grad_action` [B]:
        ∂L/∂μ = G·z ÷ σ
        ∂L/∂s = Σ_rows G·(z² − 1)
    Entropy bonus, weight e for each of the policy's own rows, H = Σ_d s + ½·log 2πe:
        −e·H  ⇒  ∂L/∂s = −e·rows
    Anchor, weight k for each of these rows, ν and τ the parent's means and standard deviations:
        k·KL = k·Σ_d (s − log τ + (τ² + (ν − μ)²) ÷ 2σ² − ½)
        ⇒  ∂L/∂μ = k·(μ − ν) ÷ σ²,  ∂L/∂s = k·Σ_rows (1 − (τ² + (ν − μ)²) ÷ σ²)

    The first `rows` rows are the policy's own, those after them are demonstrations. `weights` are (e, k), `anchor`
    holds ν [rows, D] and log τ [D]; None without an anchor.
    """
    real, inverse = z.dtype.type, np.exp(-log_std)
    grad_means = grad_action[:, None] * z * inverse
    grad_log_std = (grad_action[:, None] * (z * z - real(1))).sum(0, dtype=np.float64)
    entropy_weight, anchor_weight = weights
    entropy = rows * float(log_std.sum(dtype=np.float64) + len(log_std) * (LOG_ROOT_2PI + 0.5))
    grad_log_std -= entropy_weight * rows
    if anchor is None:
        return BoxTerms(grad_means, grad_log_std.astype(z.dtype), entropy, 0.0)
    parent_means, parent_log_std = anchor
    difference = means[:rows] - parent_means
    ratio = (np.exp(2 * parent_log_std) + difference * difference) * (inverse * inverse)
    kl = log_std - parent_log_std + real(0.5) * (ratio - real(1))
    grad_means[:rows] += real(anchor_weight) * difference * (inverse * inverse)
    grad_log_std += anchor_weight * (real(1) - ratio).sum(0, dtype=np.float64)
    return BoxTerms(grad_means, grad_log_std.astype(z.dtype), entropy, float(kl.sum(dtype=np.float64)))
