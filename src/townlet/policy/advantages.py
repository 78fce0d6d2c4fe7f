"""Generalised advantage estimation (Schulman et al. 2016, "High-dimensional continuous control", equation 16)."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["discounted_returns", "generalised_advantages"]


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
    """Return advantages Âₜ = δₜ + γλ·Âₜ₊₁ with δₜ = rₜ + γ·V(sₜ₊₁) − V(sₜ); all arrays [T, W, N].

    `v_tp1` is the value of what was seen *after* the decision, so for a truncated world that of its final observation.
    `ended_t` marks lives that ended (no bootstrap, no carry), `cut_t` truncated episodes (bootstrap, no carry).
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


def discounted_returns(
    r_t: NDArray[np.float32], ended_t: NDArray[np.bool_], *, gamma: float
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return Gₜ = rₜ + γ·Gₜ₊₁ within each life, bootstrap-free, and which Gₜ are trustworthy; time is axis 0.

    A return is trusted where the life ended inside the recording or at least 3 ÷ (1 − γ) decisions follow it: before
    that the missing tail would teach the critic that the future is short.
    """
    returns, known = np.empty_like(r_t), np.empty(r_t.shape, np.bool_)
    following = np.zeros_like(r_t[0])
    closed = np.zeros(r_t.shape[1:], np.bool_)
    horizon = 3.0 / max(1.0 - gamma, 1e-9)
    for t in range(len(r_t) - 1, -1, -1):
        following = r_t[t] + np.float32(gamma) * np.where(ended_t[t], np.float32(0), following)
        closed = closed | ended_t[t]
        returns[t], known[t] = following, closed | (len(r_t) - 1 - t >= horizon)
    return returns, known
