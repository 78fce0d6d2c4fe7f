"""Ramps: loss weights and learning-rate factors as piecewise linear functions of the agent-steps in a visit."""

import numpy as np
from attrs import frozen

from townlet.dto.strategies import RampSpec

__all__ = ["Ramp", "factor_at", "ramp_at"]


@frozen(kw_only=True)
class Ramp:
    """Loss weights and learning-rate factors of one iteration."""

    actor: float
    """Factor of the actor's learning rate."""
    critic: float
    """Factor of the critic's learning rate."""
    anchor_kl: float
    """Weight of KL(parent ‖ policy)."""
    bc_weight: float
    """Weight of the demonstration loss."""
    teacher_share: float = 0.0
    """Share of the worlds in which the teacher decides."""


def ramp_at(ramps: tuple[RampSpec, ...], ramp_index: int, agent_steps: int) -> Ramp:
    """Return the ramp at `agent_steps` since the visit began; entry `ramp_index` is used, the last entry repeats."""
    spec = ramps[min(ramp_index, len(ramps) - 1)]
    return Ramp(
        actor=factor_at(spec.actor, agent_steps),
        critic=factor_at(spec.critic, agent_steps),
        anchor_kl=factor_at(spec.anchor_kl, agent_steps),
        bc_weight=factor_at(spec.bc_weight, agent_steps),
        teacher_share=factor_at(spec.teacher_share, agent_steps),
    )


def factor_at(points: tuple[tuple[float, float], ...], agent_steps: float) -> float:
    """Return the factor at `agent_steps`: linear between points, flat outside."""
    x, y = zip(*points, strict=True)
    return float(np.interp(agent_steps, x, y))
