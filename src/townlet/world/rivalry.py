"""Rivalry: grudges between pairs, grown by conflicts, faded by time."""

from townlet.compiled import compiled, f32
from townlet.dto.town_rules import DAY
from townlet.world.needs import level
from townlet.world.rows import NEVER, NOBODY
from townlet.world.rules import Rules
from townlet.world.state import Town

__all__ = ["avoid", "avoided", "fade", "forget", "quarrel", "resent"]

_ZERO, _ONE = f32(0), f32(1)
_LEAST, _MOST, _PER_WAITING = f32(0.1), f32(5), f32(0.25)


@compiled
def resent(town: Town, i: int, j: int, change: float) -> None:
    """Change the grudge between two, kept in [0, 1]."""
    grown = min(max(town.rivalry[i, j] + change, _ZERO), _ONE)
    town.rivalry[i, j], town.rivalry[j, i] = grown, grown


@compiled
def remember(town: Town, i: int, j: int, chain: int, when: int) -> None:
    """Note the conflicts of two that no avoidance has followed yet."""
    town.ties[i, j].feuds, town.ties[j, i].feuds = chain, chain
    town.ties[i, j].feud_at, town.ties[j, i].feud_at = when, when


@compiled
def quarrel(town: Town, rules: Rules, i: int, j: int, base: float, waiting: int) -> None:  # kernels take no keywords
    """Count one conflict of two agents: intensity = clamp(base + 0.25·(waiting - 1), 0.1, 5)."""
    intensity, now = min(max(base + _PER_WAITING * f32(waiting - 1), _LEAST), _MOST), town.clock.tick
    resent(town, i, j, rules.law.rivalry_gain * intensity)
    chain = town.ties[i, j].feuds + 1 if now - town.ties[i, j].feud_at <= DAY else 1
    remember(town, i, j, chain, now)
    town.agents[i].strife += intensity
    town.agents[j].strife += intensity
    town.ledger.conflicts += 1
    town.ledger.intensity += intensity


@compiled
def avoid(town: Town, i: int, j: int) -> None:
    """Count an avoidance, and the conflicts of the two that led to it."""
    town.ledger.avoidances += 1
    if town.clock.tick - town.ties[i, j].feud_at <= DAY:
        town.ledger.escalated += town.ties[i, j].feuds
    remember(town, i, j, 0, NEVER)


@compiled
def fade(town: Town, rules: Rules) -> None:
    """Let every grudge shrink by one tick."""
    lost = rules.law.rivalry_decay
    for i in range(len(town.agents)):
        for j in range(len(town.agents)):
            town.rivalry[i, j] = max(town.rivalry[i, j] - lost, _ZERO)


@compiled
def forget(town: Town, i: int) -> None:
    """Make one agent a stranger to everybody and everybody a stranger to it."""
    for j in range(len(town.agents)):
        town.rivalry[i, j], town.rivalry[j, i] = _ZERO, _ZERO
        town.ties[i, j].trust, town.ties[j, i].trust = _ZERO, _ZERO
        town.ties[i, j].familiarity, town.ties[j, i].familiarity = _ZERO, _ZERO
        remember(town, i, j, 0, NEVER)


@compiled
def avoided(town: Town, rules: Rules, i: int, o: int) -> int:
    """Return the rival for whose sake an agent will not join a queue, the worst of those in it; NOBODY for none.

    With an urgent need it joins whoever is there. An object that serves no need has no urgency.
    """
    law, serves = rules.law, rules.affordances[town.things[o].kind].serves
    worst = NOBODY
    if serves != NOBODY and level(town.agents[i], serves) < law.urgent:
        return worst
    if town.things[o].holder == NOBODY and town.things[o].waiting == 0:
        return worst
    for j in range(len(town.agents)):
        if j == i or town.agents[j].queue != o or town.rivalry[i, j] < law.avoid:
            continue
        if worst == NOBODY or town.rivalry[i, j] > town.rivalry[i, worst]:
            worst = j
    return worst
