"""Advantages (GAE: Schulman et al. 2016, "High-dimensional continuous control", equation 16) and discounted returns."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["discounted_returns", "generalised_advantages", "return_horizon"]

_HORIZONS = 3.0
"""Effective horizons, each 1 ÷ (1 − γ) decisions, after which a return counts as complete."""


def generalised_advantages(
    r_t: NDArray[np.float32],
    v_t: NDArray[np.float32],
    v_tp1: NDArray[np.float32],
    ended_t: NDArray[np.bool_],
    cut_t: NDArray[np.bool_],
    *,
    gamma: float,
    gae_lambda: float,
) -> NDArray[np.float32]:
    """Return generalised advantages; all arrays are [T, W, N], ValueError otherwise.

    δₜ = rₜ + γ·V(sₜ₊₁) − V(sₜ)
    Âₜ = δₜ + γλ·Âₜ₊₁

    `v_tp1` is the value of the observation *after* the decision; for a truncated world, of its final observation.
    `ended_t` marks lives that ended: V(sₜ₊₁) and Âₜ₊₁ count as 0. `cut_t` marks truncated episodes: Âₜ₊₁ counts as 0.
    """
    if not r_t.shape == v_t.shape == v_tp1.shape == ended_t.shape == cut_t.shape or r_t.ndim != 3:
        raise ValueError(
            f"expected equal shapes [T, W, N], found {r_t.shape}, {v_t.shape}, {v_tp1.shape}, "
            f"{ended_t.shape}, {cut_t.shape}"
        )
    delta_t = r_t + np.float32(gamma) * np.where(ended_t, np.float32(0), v_tp1) - v_t
    carry_t = np.where(ended_t | cut_t, np.float32(0), np.float32(gamma * gae_lambda))
    advantages = np.empty_like(r_t)
    following = np.zeros_like(delta_t[0])
    for t in range(len(delta_t) - 1, -1, -1):
        following = delta_t[t] + carry_t[t] * following
        advantages[t] = following
    return advantages


def return_horizon(gamma: float) -> float:
    """Return the decisions that must follow before a return without bootstrap counts as complete: 3 ÷ (1 − γ)."""
    return _HORIZONS / max(1.0 - gamma, 1e-9)


def discounted_returns(
    r_t: NDArray[np.float32], ended_t: NDArray[np.bool_], cut_t: NDArray[np.bool_], *, gamma: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return discounted returns without bootstrap, and where they are complete; all arrays [T, …].

    Gₜ = rₜ + γ·Gₜ₊₁ within each life, which `ended_t` ends and `cut_t` cuts

    A return is complete if the life ended in the recording, or if at least 3 ÷ (1 − γ) decisions follow: the rewards
    after them have a weight of γ^(3 ÷ (1 − γ)) ≈ e⁻³ ≈ 5 %. An incomplete return would train the critic to expect a
    short future.
    """
    returns, complete = np.empty_like(r_t), np.empty(r_t.shape, np.bool_)
    following = np.zeros_like(r_t[0])
    life_ended, remaining = np.zeros(r_t.shape[1:], np.bool_), np.full(r_t.shape[1:], -1)
    horizon = return_horizon(gamma)
    for t in range(len(r_t) - 1, -1, -1):
        following = r_t[t] + np.float32(gamma) * np.where(ended_t[t] | cut_t[t], np.float32(0), following)
        life_ended = ended_t[t] | (life_ended & ~cut_t[t])
        remaining = np.where(cut_t[t], 0, remaining + 1)
        returns[t], complete[t] = following, life_ended | (remaining >= horizon)
    return returns, complete
