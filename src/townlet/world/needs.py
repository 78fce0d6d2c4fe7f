"""Needs: numbers in [0, 1], one field of `Agent` each, that fall with time."""

from townlet.compiled import f32, kernel
from townlet.dto.town_rules import NEEDS
from townlet.world.rows import Agent
from townlet.world.rules import Rules
from townlet.world.state import Town

__all__ = ["NEED_COUNT", "bounded", "decay", "level", "levels", "lowest", "set_level"]

NEED_COUNT = len(NEEDS)
_ZERO, _ONE = f32(0), f32(1)


@kernel
def bounded(value: float) -> float:
    """Return a value clipped to [0, 1]."""
    return min(max(value, _ZERO), _ONE)


@kernel
def level(agent: Agent, need: int) -> float:
    """Return the level of a need by its number in `NEEDS`."""
    if need == 0:
        return agent.hunger
    if need == 1:
        return agent.hygiene
    return agent.energy


@kernel
def levels(agent: Agent) -> tuple[float, float, float]:
    """Return the levels of all needs, in the order of `NEEDS`; loops over objects read them from registers."""
    return agent.hunger, agent.hygiene, agent.energy


@kernel
def set_level(agent: Agent, need: int, value: float) -> None:
    """Set the level of a need by its number in `NEEDS`."""
    if need == 0:
        agent.hunger = value
    elif need == 1:
        agent.hygiene = value
    else:
        agent.energy = value


@kernel
def lowest(agent: Agent) -> float:
    """Return the level of an agent's lowest need."""
    least = _ONE
    for need in range(NEED_COUNT):
        least = min(least, level(agent, need))
    return least


@kernel
def decay(town: Town, rules: Rules) -> None:
    """Lower the needs of the living by one tick."""
    for i in range(len(town.agents)):
        agent = town.agents[i]
        if agent.respawn == 0:
            for need in range(NEED_COUNT):
                set_level(agent, need, bounded(level(agent, need) - rules.needs[need].decay))
