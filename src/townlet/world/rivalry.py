"""Rivalry: grudges between pairs, grown by conflicts, faded by time."""

from townlet.world.compiled import compiled, f32
from townlet.world.needs import level
from townlet.world.rules import Rules
from townlet.world.state import NOBODY, Town

__all__ = ["avoids", "fade", "forget", "quarrel"]

_ZERO, _ONE = f32(0), f32(1)
_LEAST, _MOST, _PER_WAITING = f32(0.1), f32(5), f32(0.25)


@compiled
def quarrel(town: Town, rules: Rules, i: int, j: int, base: float, waiting: int) -> None:  # kernels take no keywords
    """Count one conflict of two agents: intensity = clamp(base + 0.25·(waiting - 1), 0.1, 5)."""
    intensity = min(max(base + _PER_WAITING * f32(waiting - 1), _LEAST), _MOST)
    grown = min(town.rivalry[i, j] + rules.laws[0].rivalry_gain * intensity, _ONE)
    town.rivalry[i, j] = grown
    town.rivalry[j, i] = grown
    town.agents[i].strife += intensity
    town.agents[j].strife += intensity
    town.ledger.conflicts += 1
    town.ledger.intensity += intensity


@compiled
def fade(town: Town, rules: Rules) -> None:
    """Let every grudge shrink by one tick."""
    lost = rules.laws[0].rivalry_decay
    for i in range(len(town.agents)):
        for j in range(len(town.agents)):
            town.rivalry[i, j] = max(town.rivalry[i, j] - lost, _ZERO)


@compiled
def forget(town: Town, i: int) -> None:
    """Clear the grudges of and against one agent."""
    for j in range(len(town.agents)):
        town.rivalry[i, j] = _ZERO
        town.rivalry[j, i] = _ZERO


@compiled
def avoids(town: Town, rules: Rules, i: int, o: int) -> bool:
    """Tell whether an agent will not join a queue: a rival stands in it or uses the object, and no urgent need."""
    law = rules.laws[0]
    if level(town.agents[i], rules.affordances[town.things[o].kind].serves) < law.urgent:
        return False
    if town.things[o].holder == NOBODY and town.things[o].waiting == 0:
        return False
    for j in range(len(town.agents)):
        if j != i and town.agents[j].queue == o and town.rivalry[i, j] >= law.avoid:
            return True
    return False
