"""Rewards: what a tick was worth, each term kept apart."""

import numpy as np
from numpy.typing import NDArray

from townlet.compiled import f32, kernel
from townlet.world.features import (
    ABSENT_TERM,
    CHAT_TERM,
    CONFLICT,
    EVICTION,
    FAINT,
    LATE_TERM,
    PUNCTUALITY,
    SHAPING,
    SURVIVAL,
    WAGE,
)
from townlet.world.jobs import missed_ticks
from townlet.world.needs import NEED_COUNT, level, levels
from townlet.world.rows import Agent
from townlet.world.rules import Rules
from townlet.world.state import Town

__all__ = ["add_rewards", "potential", "sum_terms"]

_ZERO, _ONE = f32(0), f32(1)


@kernel
def potential(agent: Agent, rules: Rules) -> float:
    """Return phi = shaping·Σ w·need."""
    total = _ZERO
    for need in range(NEED_COUNT):
        total += rules.needs[need].weight * level(agent, need)
    return rules.constants.shaping * total


@kernel
def add_rewards(town: Town, rules: Rules, terms: NDArray[np.float32], ended: NDArray[np.bool_]) -> None:
    """Add this tick's terms [K, N].

    The tick in which a life ends still counts; nothing after it does, not even where the slot lives again within
    the decision: that life begins with the next one.
    """
    constants = rules.constants
    for i in range(len(town.agents)):
        agent = town.agents[i]
        if ended[i] or (agent.respawn > 0 and agent.fainted == 0 and agent.evicted == 0):
            continue
        penalty, own = _ZERO, levels(agent)  # Σ w·(1 - need)²
        for need in range(NEED_COUNT):
            gap = _ONE - own[need]
            penalty += rules.needs[need].weight * gap * gap
        terms[SURVIVAL, i] += constants.alive - constants.needs * penalty
        short = constants.hungry_below - agent.hunger
        if short > _ZERO:
            terms[SURVIVAL, i] -= constants.hungry * short / constants.hungry_below
        terms[CONFLICT, i] -= constants.conflict * agent.conflict_sum
        if agent.wage > _ZERO:
            terms[WAGE, i] += constants.wage * agent.wage
            if missed_ticks(agent) <= constants.grace:
                terms[PUNCTUALITY, i] += constants.punctual
        if agent.turned_late == 1:
            terms[LATE_TERM, i] -= constants.late
        if agent.late == 1 and agent.arrived == 0:
            terms[LATE_TERM, i] -= constants.lateness
        if agent.turned_absent == 1:
            terms[ABSENT_TERM, i] -= constants.absent
        if agent.fainted == 1:
            terms[FAINT, i] -= constants.faint
            ended[i] = True
        elif agent.evicted == 1:
            terms[EVICTION, i] -= constants.eviction
            ended[i] = True
        terms[CHAT_TERM, i] += agent.chat_reward


@kernel
def add_shaping(town: Town, rules: Rules, terms: NDArray[np.float32], ended: NDArray[np.bool_]) -> None:
    """Add gamma·phi' - phi of the decision (Ng, Harada & Russell 1999); phi' is 0 after a life's end."""
    constants = rules.constants
    if constants.shaping == _ZERO:
        return
    for i in range(len(town.agents)):
        agent = town.agents[i]
        if ended[i]:
            terms[SHAPING, i] = -agent.potential
        elif agent.respawn == 0:
            terms[SHAPING, i] = constants.discount * potential(agent, rules) - agent.potential
        agent.potential = potential(agent, rules)


@kernel
def sum_terms(
    town: Town, rules: Rules, terms: NDArray[np.float32], ended: NDArray[np.bool_], rewards: NDArray[np.float32]
) -> None:
    """Add the terms of a decision up, in their order, into rewards [N]."""
    add_shaping(town, rules, terms, ended)
    for i in range(len(town.agents)):
        total = _ZERO
        for k in range(len(terms)):
            total += terms[k, i]
        rewards[i] = total
        town.agents[i].episode_return += total
