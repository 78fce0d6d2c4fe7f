"""One decision of many worlds, tick by tick: the order of play."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from townlet.dto.town import DAY
from townlet.world.affordances import restock
from townlet.world.compiled import compiled, f32
from townlet.world.features import WAIT
from townlet.world.generate import generate
from townlet.world.jobs import employ
from townlet.world.lifecycle import faint, respawn
from townlet.world.movement import move
from townlet.world.needs import decay
from townlet.world.observe import observe
from townlet.world.queues import advance, conflicts, grant, request, start
from townlet.world.random import POLICY, draw
from townlet.world.rewards import reward, settle
from townlet.world.rivalry import fade
from townlet.world.rules import Rules
from townlet.world.state import State, Town

__all__ = ["Seen", "open_worlds", "play", "show_worlds"]

_CONTENT = f32(0.3)


class Seen(NamedTuple):
    """Where a decision's answers are written."""

    observations: NDArray[np.float32]
    """[W, N, F]."""
    action_mask: NDArray[np.bool_]
    """[W, N, A]."""
    alive: NDArray[np.bool_]
    """[W, N]."""
    keys: NDArray[np.uint64]
    """[W]."""
    rewards: NDArray[np.float32]
    """[W, N]."""
    terms: NDArray[np.float32]
    """[K, W, N]."""
    terminations: NDArray[np.bool_]
    """[W, N]."""
    truncations: NDArray[np.bool_]
    """[W]."""


@compiled
def decide(town: Town, actions: NDArray[np.int64], mask: NDArray[np.bool_]) -> None:
    """Turn actions [N] into intents; one that the mask [N, A] shown before forbids is counted and becomes a wait."""
    for i in range(len(town.agents)):
        if town.agents[i].respawn > 0:
            continue
        chosen = actions[i]
        if mask[i, chosen]:
            town.agents[i].intent = chosen
        else:
            town.agents[i].intent = WAIT
            town.ledger.illegal += 1


@compiled
def count_days(town: Town) -> None:
    """Note who lacked something this tick; close the account every 24 hours of the episode."""
    closing = (town.clock.tick + 1) % DAY == 0
    for i in range(len(town.agents)):
        agent = town.agents[i]
        if min(agent.hunger, agent.hygiene, agent.energy) <= _CONTENT or agent.respawn > 0:
            agent.wanting = 1
        if closing:
            town.ledger.agent_days += 1
            town.ledger.sufficient += 1 - agent.wanting
            agent.wanting = 0


@compiled
def play_tick(town: Town, rules: Rules, terms: NDArray[np.float32], ended: NDArray[np.bool_]) -> None:
    """Play one tick.

    Rules still to come have their place: perturbations after respawn, handover by trust in grant, relations beside
    rivalry, cooking and prices with the restock, eviction with fainting.
    """
    respawn(town, rules)
    move(town, rules)
    request(town, rules)
    grant(town, rules)
    start(town)
    advance(town, rules)
    conflicts(town, rules)
    fade(town, rules)
    decay(town, rules)
    employ(town, rules)
    restock(town, rules)
    faint(town, rules)
    reward(town, rules, terms, ended)
    count_days(town)
    town.clock.tick += 1


@compiled
def show(town: Town, rules: Rules, seen: Seen, w: int) -> None:
    """Write what world w looks like now."""
    observe(town, rules, seen.observations[w], seen.action_mask[w], seen.alive[w])
    seen.keys[w] = draw(town.clock.key, POLICY, town.clock.tick, 0)
    seen.truncations[w] = town.clock.tick >= town.clock.length


@compiled
def show_worlds(state: State, rules: Rules, seen: Seen, first: int, last: int) -> None:
    """Write what the worlds [first, last) look like now, without playing."""
    for w in range(first, last):
        show(
            Town(state.clocks[w], state.ledgers[w], state.agents[w], state.things[w], state.rivalry[w], state.ready[w]),
            rules,
            seen,
            w,
        )


@compiled
def open_worlds(  # kernels take no keywords
    state: State, rules: Rules, seen: Seen, world_keys: NDArray[np.uint64], chosen: NDArray[np.bool_], length: int,
    first: int, last: int,
) -> None:  # fmt: skip
    """Begin a new episode in the chosen worlds of [first, last) and write what all of them look like."""
    for w in range(first, last):
        town = Town(
            state.clocks[w], state.ledgers[w], state.agents[w], state.things[w], state.rivalry[w], state.ready[w]
        )
        if chosen[w]:
            generate(town, rules, world_keys[w], length)
        show(town, rules, seen, w)


@compiled
def play(  # kernels take no keywords
    state: State, rules: Rules, seen: Seen, actions: NDArray[np.int64], first: int, last: int
) -> None:
    """Play one decision, actions [W, N], in the worlds [first, last); an episode that is over stays as it is."""
    for w in range(first, last):
        town, ended = (
            Town(state.clocks[w], state.ledgers[w], state.agents[w], state.things[w], state.rivalry[w], state.ready[w]),
            seen.terminations[w],
        )
        terms = seen.terms[:, w]
        terms[:, :] = f32(0)
        ended[:] = False
        if town.clock.tick < town.clock.length:
            decide(town, actions[w], seen.action_mask[w])
            for _ in range(rules.laws[0].ticks_per_decision):
                play_tick(town, rules, terms, ended)
        settle(town, terms, seen.rewards[w])
        show(town, rules, seen, w)
