"""Rewards: what a tick was worth, each term kept apart."""

import numpy as np
from numpy.typing import NDArray

from townlet.compiled import compiled, f32
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
from townlet.world.jobs import missed
from townlet.world.rows import Agent
from townlet.world.rules import Rules, TownConstants
from townlet.world.state import Town

__all__ = ["promise", "reward", "settle"]

_ZERO, _ONE = f32(0), f32(1)


@compiled
def promise(agent: Agent, law: TownConstants) -> float:
    """Return phi = shaping·Σ w·need."""
    return law.shaping * (
        law.hunger_weight * agent.hunger + law.hygiene_weight * agent.hygiene + law.energy_weight * agent.energy
    )


@compiled
def reward(town: Town, rules: Rules, terms: NDArray[np.float32], ended: NDArray[np.bool_]) -> None:
    """Add this tick's terms [K, N].

    The tick in which a life ends still counts; nothing after it does, not even where the slot lives again within
    the decision: that life begins with the next one.
    """
    law = rules.law
    for i in range(len(town.agents)):
        agent = town.agents[i]
        if ended[i] or (agent.respawn > 0 and agent.fainted == 0 and agent.evicted == 0):
            continue
        hunger, hygiene, energy = _ONE - agent.hunger, _ONE - agent.hygiene, _ONE - agent.energy
        hurt = (
            law.hunger_weight * hunger * hunger
            + law.hygiene_weight * hygiene * hygiene
            + law.energy_weight * energy * energy
        )
        terms[SURVIVAL, i] += law.alive - law.needs * hurt
        short = law.hungry_below - agent.hunger
        if short > _ZERO:
            terms[SURVIVAL, i] -= law.hungry * short / law.hungry_below
        terms[CONFLICT, i] -= law.conflict * agent.strife
        if agent.wage > _ZERO:
            terms[WAGE, i] += law.wage * agent.wage
            if missed(agent) <= law.grace:
                terms[PUNCTUALITY, i] += law.punctual
        if agent.turned_late == 1:
            terms[LATE_TERM, i] -= law.late
        if agent.late == 1 and agent.arrived == 0:
            terms[LATE_TERM, i] -= law.lateness
        if agent.turned_absent == 1:
            terms[ABSENT_TERM, i] -= law.absent
        if agent.fainted == 1:
            terms[FAINT, i] -= law.faint
            ended[i] = True
        elif agent.evicted == 1:
            terms[EVICTION, i] -= law.eviction
            ended[i] = True
        terms[CHAT_TERM, i] += agent.joy


@compiled
def shape(town: Town, rules: Rules, terms: NDArray[np.float32], ended: NDArray[np.bool_]) -> None:
    """Add gamma·phi' - phi of the decision (Ng, Harada & Russell 1999); phi' is 0 after a life's end."""
    law = rules.law
    if law.shaping == _ZERO:
        return
    for i in range(len(town.agents)):
        agent = town.agents[i]
        if ended[i]:
            terms[SHAPING, i] = -agent.potential
        elif agent.respawn == 0:
            terms[SHAPING, i] = law.discount * promise(agent, law) - agent.potential
        agent.potential = promise(agent, law)


@compiled
def settle(
    town: Town, rules: Rules, terms: NDArray[np.float32], ended: NDArray[np.bool_], rewards: NDArray[np.float32]
) -> None:
    """Add the terms of a decision up, in their order, into rewards [N]."""
    shape(town, rules, terms, ended)
    for i in range(len(town.agents)):
        total = _ZERO
        for k in range(len(terms)):
            total += terms[k, i]
        rewards[i] = total
        town.agents[i].returned += total
