"""Rivalry: a number per pair in [0, 1] that conflicts raise and time lowers."""

from townlet.compiled import f32, kernel
from townlet.dto.town_rules import DAY
from townlet.world.needs import level
from townlet.world.rows import NEVER, NOBODY
from townlet.world.rules import Rules
from townlet.world.state import Town

__all__ = ["add_rivalry", "decay_rivalry", "record_avoidance", "record_conflict", "reset_relations", "rival_in_queue"]

_ZERO, _ONE = f32(0), f32(1)
_LEAST, _MOST, _PER_WAITING = f32(0.1), f32(5), f32(0.25)


@kernel
def add_rivalry(town: Town, i: int, j: int, change: float) -> None:
    """Add to the rivalry of a pair, clipped to [0, 1]."""
    grown = min(max(town.rivalry[i, j] + change, _ZERO), _ONE)
    town.rivalry[i, j], town.rivalry[j, i] = grown, grown


@kernel
def set_conflict_chain(town: Town, i: int, j: int, chain: int, when: int) -> None:
    """Note the conflicts of two that no avoidance has followed yet."""
    town.relations[i, j].chain_length, town.relations[j, i].chain_length = chain, chain
    town.relations[i, j].chain_tick, town.relations[j, i].chain_tick = when, when


@kernel
def record_conflict(
    town: Town, rules: Rules, i: int, j: int, base: float, waiting: int
) -> None:  # kernels take no keywords
    """Count one conflict of two agents: intensity = clamp(base + 0.25·(waiting - 1), 0.1, 5)."""
    intensity, now = min(max(base + _PER_WAITING * f32(waiting - 1), _LEAST), _MOST), town.clock.tick
    add_rivalry(town, i, j, rules.constants.rivalry_gain * intensity)
    chain = town.relations[i, j].chain_length + 1 if now - town.relations[i, j].chain_tick <= DAY else 1
    set_conflict_chain(town, i, j, chain, now)
    town.agents[i].conflict_sum += intensity
    town.agents[j].conflict_sum += intensity
    town.ledger.conflicts += 1
    town.ledger.intensity += intensity


@kernel
def record_avoidance(town: Town, i: int, j: int) -> None:
    """Count an avoidance, and the conflicts of the two that led to it."""
    town.ledger.avoidances += 1
    if town.clock.tick - town.relations[i, j].chain_tick <= DAY:
        town.ledger.escalations += town.relations[i, j].chain_length
    set_conflict_chain(town, i, j, 0, NEVER)


@kernel
def decay_rivalry(town: Town, rules: Rules) -> None:
    """Lower the rivalry of every pair by one tick."""
    lost = rules.constants.rivalry_decay
    for i in range(len(town.agents)):
        for j in range(len(town.agents)):
            town.rivalry[i, j] = max(town.rivalry[i, j] - lost, _ZERO)


@kernel
def reset_relations(town: Town, i: int) -> None:
    """Make one agent a stranger to everybody and everybody a stranger to it."""
    for j in range(len(town.agents)):
        town.rivalry[i, j], town.rivalry[j, i] = _ZERO, _ZERO
        town.relations[i, j].trust, town.relations[j, i].trust = _ZERO, _ZERO
        town.relations[i, j].familiarity, town.relations[j, i].familiarity = _ZERO, _ZERO
        set_conflict_chain(town, i, j, 0, NEVER)


@kernel
def rival_in_queue(town: Town, rules: Rules, i: int, o: int) -> int:
    """Return the rival for whose sake an agent will not join a queue, the worst of those in it; NOBODY for none.

    With an urgent need it joins whoever is there. An object that serves no need has no urgency.
    """
    constants, serves = rules.constants, rules.affordances[town.objects[o].kind].serves
    worst = NOBODY
    if serves != NOBODY and level(town.agents[i], serves) < constants.urgent:
        return worst
    if town.objects[o].holder == NOBODY and town.objects[o].waiting == 0:
        return worst
    for j in range(len(town.agents)):
        if j == i or town.agents[j].queue != o or town.rivalry[i, j] < constants.avoid:
            continue
        if worst == NOBODY or town.rivalry[i, j] > town.rivalry[i, worst]:
            worst = j
    return worst
