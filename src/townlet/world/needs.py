"""Needs: three numbers in [0, 1] that fall with time."""

from townlet.compiled import f32, kernel
from townlet.world.rows import Agent
from townlet.world.rules import Rules
from townlet.world.state import Town

__all__ = ["bounded", "decay", "level"]

_ZERO, _ONE = f32(0), f32(1)


@kernel
def bounded(value: float) -> float:
    """Return a need kept in [0, 1]."""
    return min(max(value, _ZERO), _ONE)


@kernel
def level(agent: Agent, need: int) -> float:
    """Return a need by its index."""
    if need == 0:
        return agent.hunger
    if need == 1:
        return agent.hygiene
    return agent.energy


@kernel
def decay(town: Town, rules: Rules) -> None:
    """Let the needs of the living fall by one tick."""
    constants = rules.constants
    for i in range(len(town.agents)):
        agent = town.agents[i]
        if agent.respawn == 0:
            agent.hunger = bounded(agent.hunger - constants.hunger_decay)
            agent.hygiene = bounded(agent.hygiene - constants.hygiene_decay)
            agent.energy = bounded(agent.energy - constants.energy_decay)
