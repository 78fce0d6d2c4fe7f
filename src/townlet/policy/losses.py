"""Losses in torch, each with its equation and paper; B samples.

What depends on the heads of an action stands in `policy.distributions`. Autograd differentiates the losses; the same
derivatives by hand stand in `policy.gradient.loss_kernels`.
"""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["SurrogateTerms", "clipped_surrogate", "clipped_value_error", "value_error"]


def _check_rank(rank: int, **tensors: Tensor) -> None:
    for name, tensor in tensors.items():
        if tensor.ndim != rank:
            raise ValueError(f"{name}: expected rank {rank}, found shape {tuple(tensor.shape)}")


class SurrogateTerms(NamedTuple):
    """Terms of the policy loss over one minibatch, all scalars."""

    loss: Tensor
    """Clipped surrogate, to be minimised."""
    approx_kl: Tensor
    """E[(ρ − 1) − log ρ], Schulman's low-variance estimate of KL(old ‖ new), nat."""
    clip_fraction: Tensor
    """Share of ratios outside the clip range."""


def clipped_surrogate(log_p_t: Tensor, old_log_p_t: Tensor, advantage_t: Tensor, clip_coef: float) -> SurrogateTerms:
    """Return the clipped surrogate with approximate KL and clip fraction (Schulman et al. 2017, eq. 7).

    ρ = π(aₜ|sₜ) ÷ π_old(aₜ|sₜ)
    L = E[max(−ρÂ, −clip(ρ, 1 − ε, 1 + ε)·Â)]

    All tensors are [B]; ValueError for another rank.
    """
    _check_rank(1, log_p_t=log_p_t, old_log_p_t=old_log_p_t, advantage_t=advantage_t)
    log_ratio = log_p_t - old_log_p_t
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - clip_coef, 1 + clip_coef)
    loss = torch.maximum(-ratio * advantage_t, -clipped * advantage_t).mean()
    with torch.no_grad():
        approx_kl = ((ratio - 1) - log_ratio).mean()
        outside = ((ratio - 1).abs() > clip_coef).float().mean()
    return SurrogateTerms(loss, approx_kl, outside)


def value_error(v_t: Tensor, target_t: Tensor) -> Tensor:
    """Return ½·E[(v − y)²] with target y, both [B] in units of the value normaliser."""
    _check_rank(1, v_t=v_t, target_t=target_t)
    return 0.5 * (v_t - target_t).square().mean()


def clipped_value_error(v_t: Tensor, target_t: Tensor, old_v_t: Tensor, clip_coef: float) -> Tensor:
    """Return the clipped value loss of values, targets y and old values, all [B].

    v_clip = v_old + clip(v − v_old, −ε, ε)
    L = ½·E[max((v − y)², (v_clip − y)²)]
    """
    _check_rank(1, v_t=v_t, target_t=target_t, old_v_t=old_v_t)
    clipped = old_v_t + (v_t - old_v_t).clamp(-clip_coef, clip_coef)
    return 0.5 * torch.maximum((v_t - target_t).square(), (clipped - target_t).square()).mean()
