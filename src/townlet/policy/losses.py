"""Losses in torch, each with its equation and paper; B samples, A actions, l = log π(·|s).

Autograd differentiates them; the same derivatives by hand stand in `policy.ppo.numba_kernels`.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from townlet.policy.model.inference import ILLEGAL

__all__ = [
    "SurrogateTerms",
    "anchor_kl",
    "clipped_surrogate",
    "clipped_value_error",
    "masked_log_probabilities",
    "smoothed_cross_entropy",
    "value_error",
]


def _check_rank(rank: int, **tensors: Tensor) -> None:
    for name, tensor in tensors.items():
        if tensor.ndim != rank:
            raise ValueError(f"{name}: expected rank {rank}, found shape {tuple(tensor.shape)}")


def masked_log_probabilities(logits: Tensor, mask: Tensor) -> Tensor:
    """Return log π(·|s) [B, A]; illegal actions get about −1e9.

    l = z − log Σₖ exp(zₖ), with zⱼ = −10⁹ where action j is illegal
    """
    _check_rank(2, logits=logits, mask=mask)
    return torch.log_softmax(torch.where(mask, logits, float(ILLEGAL)), dim=-1)


class SurrogateTerms(NamedTuple):
    """Terms of the policy loss over one minibatch, all scalars."""

    loss: Tensor
    """Clipped surrogate, to be minimised."""
    entropy: Tensor
    """H = E[−Σⱼ pⱼ·lⱼ] over legal actions, nat."""
    approx_kl: Tensor
    """E[(ρ − 1) − log ρ], Schulman's low-variance estimate of KL(old ‖ new), nat."""
    clip_fraction: Tensor
    """Share of ratios outside the clip range."""


def clipped_surrogate(
    log_p: Tensor, mask: Tensor, a_t: Tensor, old_log_p_t: Tensor, advantage_t: Tensor, clip_coef: float
) -> SurrogateTerms:
    """Return the clipped surrogate with entropy, approximate KL and clip fraction (Schulman et al. 2017, eq. 7).

    ρ = π(aₜ|sₜ) ÷ π_old(aₜ|sₜ)
    L = E[max(−ρÂ, −clip(ρ, 1 − ε, 1 + ε)·Â)]

    `log_p` and `mask` are [B, A], the others [B]; ValueError for another rank.
    """
    _check_rank(2, log_p=log_p, mask=mask)
    _check_rank(1, a_t=a_t, old_log_p_t=old_log_p_t, advantage_t=advantage_t)
    log_ratio = log_p.gather(1, a_t[:, None]).squeeze(1) - old_log_p_t
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1 - clip_coef, 1 + clip_coef)
    loss = torch.maximum(-ratio * advantage_t, -clipped * advantage_t).mean()
    entropy = -torch.where(mask, log_p.exp() * log_p, 0.0).sum(-1).mean()
    with torch.no_grad():
        approx_kl = ((ratio - 1) - log_ratio).mean()
        outside = ((ratio - 1).abs() > clip_coef).float().mean()
    return SurrogateTerms(loss, entropy, approx_kl, outside)


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


def anchor_kl(anchor_log_p: Tensor, log_p: Tensor, mask: Tensor) -> Tensor:
    """Return KL(parent ‖ policy) over legal actions (kickstarting, Schmitt et al. 2018).

    L = E[Σⱼ qⱼ·(log qⱼ − lⱼ)], q the parent's probabilities; all arguments are [B, A]
    """
    _check_rank(2, anchor_log_p=anchor_log_p, log_p=log_p, mask=mask)
    return torch.where(mask, anchor_log_p.exp() * (anchor_log_p - log_p), 0.0).sum(-1).mean()


def smoothed_cross_entropy(log_p: Tensor, mask: Tensor, label_t: Tensor, smoothing: float) -> Tensor:
    """Return the cross-entropy with label smoothing s over the legal actions.

    L = −E[(1 − s)·l_label + s·mean over legal j of lⱼ]
    """
    _check_rank(2, log_p=log_p, mask=mask)
    _check_rank(1, label_t=label_t)
    label = log_p.gather(1, label_t[:, None]).squeeze(1)
    legal = torch.where(mask, log_p, 0.0).sum(-1) / mask.sum(-1)
    return -((1 - smoothing) * label + smoothing * legal).mean()
