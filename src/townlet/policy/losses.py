"""Losses, each the equation of its paper. Logits [B, A] are masked first; B samples, A actions."""

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
    """Return log π(a | s) [B, A]; illegal actions get about −1e9."""
    _check_rank(2, logits=logits, mask=mask)
    return torch.log_softmax(torch.where(mask, logits, float(ILLEGAL)), dim=-1)


class SurrogateTerms(NamedTuple):
    """The policy's terms of one minibatch, all scalars."""

    loss: Tensor
    """Clipped surrogate, to be minimised."""
    entropy: Tensor
    """Mean entropy over legal actions."""
    approx_kl: Tensor
    """E[(ρ − 1) − log ρ], Schulman's low-variance estimate of KL(old ‖ new)."""
    clip_fraction: Tensor
    """Share of ratios outside the clip range."""


def clipped_surrogate(
    log_p: Tensor, mask: Tensor, a_t: Tensor, old_log_p_t: Tensor, advantage_t: Tensor, clip_coef: float
) -> SurrogateTerms:
    """Return E[max(−ρÂ, −clip(ρ, 1−ε, 1+ε)Â)] with ρ = π(aₜ|sₜ) ÷ π_old(aₜ|sₜ) (Schulman et al. 2017, eq. 7)."""
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
    """Return ½·E[(v − target)²], both in units of the value normaliser."""
    _check_rank(1, v_t=v_t, target_t=target_t)
    return 0.5 * (v_t - target_t).square().mean()


def clipped_value_error(v_t: Tensor, target_t: Tensor, old_v_t: Tensor, clip_coef: float) -> Tensor:
    """Return ½·E[max((v − target)², (v_clip − target)²)] with v_clip = v_old + clip(v − v_old, −ε, ε)."""
    _check_rank(1, v_t=v_t, target_t=target_t, old_v_t=old_v_t)
    clipped = old_v_t + (v_t - old_v_t).clamp(-clip_coef, clip_coef)
    return 0.5 * torch.maximum((v_t - target_t).square(), (clipped - target_t).square()).mean()


def anchor_kl(anchor_log_p: Tensor, log_p: Tensor, mask: Tensor) -> Tensor:
    """Return E[KL(parent ‖ policy)] over legal actions (kickstarting, Schmitt et al. 2018)."""
    _check_rank(2, anchor_log_p=anchor_log_p, log_p=log_p, mask=mask)
    return torch.where(mask, anchor_log_p.exp() * (anchor_log_p - log_p), 0.0).sum(-1).mean()


def smoothed_cross_entropy(log_p: Tensor, mask: Tensor, label_t: Tensor, smoothing: float) -> Tensor:
    """Return the cross-entropy with (1 − s) on the label and s spread evenly over the legal actions."""
    _check_rank(2, log_p=log_p, mask=mask)
    _check_rank(1, label_t=label_t)
    label = log_p.gather(1, label_t[:, None]).squeeze(1)
    legal = torch.where(mask, log_p, 0.0).sum(-1) / mask.sum(-1)
    return -((1 - smoothing) * label + smoothing * legal).mean()
