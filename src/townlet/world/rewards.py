"""Rewards: what a tick was worth, each term kept apart."""

import numpy as np
from numpy.typing import NDArray

from townlet.world.compiled import compiled, f32
from townlet.world.features import ABSENT_TERM, CONFLICT, FAINT, LATE_TERM, PUNCTUALITY, SURVIVAL, WAGE
from townlet.world.rules import Rules
from townlet.world.state import Town

__all__ = ["reward", "settle"]

_ZERO, _ONE = f32(0), f32(1)


@compiled
def reward(town: Town, rules: Rules, terms: NDArray[np.float32], ended: NDArray[np.bool_]) -> None:
    """Add this tick's terms [K, N].

    The tick in which an agent faints still counts; nothing after it does, not even where the slot lives again within
    the decision: that life begins with the next one.
    """
    law = rules.laws[0]
    for i in range(len(town.agents)):
        agent = town.agents[i]
        if ended[i] or (agent.respawn > 0 and agent.fainted == 0):
            continue
        hunger, hygiene, energy = _ONE - agent.hunger, _ONE - agent.hygiene, _ONE - agent.energy
        hurt = (
            law.hunger_weight * hunger * hunger
            + law.hygiene_weight * hygiene * hygiene
            + law.energy_weight * energy * energy
        )
        terms[SURVIVAL, i] += law.alive - law.needs * hurt
        terms[CONFLICT, i] -= law.conflict * agent.strife
        if agent.wage > _ZERO:
            terms[WAGE, i] += law.wage * agent.wage
            if agent.late == 0:
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


@compiled
def settle(town: Town, terms: NDArray[np.float32], rewards: NDArray[np.float32]) -> None:
    """Add the terms of a decision up, in their order, into rewards [N]."""
    for i in range(len(town.agents)):
        total = _ZERO
        for k in range(len(terms)):
            total += terms[k, i]
        rewards[i] = total
        town.agents[i].returned += total
