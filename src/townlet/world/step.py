"""One decision of many worlds, tick by tick: the order of play."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from townlet.compiled import compiled, entry, f32
from townlet.dto.town_rules import DAY
from townlet.world.affordances import restock
from townlet.world.features import WAIT
from townlet.world.generate import generate
from townlet.world.jobs import employ
from townlet.world.kernel_rng import POLICY, draw
from townlet.world.lifecycle import end_lives, respawn
from townlet.world.movement import move
from townlet.world.needs import decay
from townlet.world.observe import observe
from townlet.world.perturbations import meet, perturb
from townlet.world.queues import advance, conflicts, grant, request, start
from townlet.world.relations import relate
from townlet.world.rewards import reward, settle
from townlet.world.rivalry import fade
from townlet.world.rules import Rules
from townlet.world.state import State, Town

__all__ = ["OPEN", "PLAY", "SHOW", "Command", "StepBuffers", "play_tick", "visit"]


class StepBuffers(NamedTuple):
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
    boards: NDArray[np.float32]
    """[W, F], scratch: one row for each thread, that of the first world it visits."""
    offers: NDArray[np.float32]
    """[W, 6, O], scratch likewise."""
    sky: NDArray[np.float32]
    """[DAY, 2], sine and cosine of the time of day."""


SHOW, OPEN, PLAY = range(3)
"""Tasks: only look, begin an episode in the chosen worlds, play one decision."""


class Command(NamedTuple):
    """What is to be done in a visit."""

    task: int
    """SHOW, OPEN or PLAY."""
    blind: bool
    """Whether nobody looks afterwards; masks and features then stay as they were."""
    length: int
    """Ticks of an episode to be opened."""
    chosen: NDArray[np.bool_]
    """[W], the worlds to open."""
    world_keys: NDArray[np.uint64]
    """[W], their randomness."""
    actions: NDArray[np.int64]
    """[W, N], the actions to play."""


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
def count_days(town: Town, rules: Rules) -> None:
    """Note who lacked something this tick; close the account every 24 hours of the episode."""
    closing = (town.clock.tick + 1) % DAY == 0
    for i in range(len(town.agents)):
        agent = town.agents[i]
        if min(agent.hunger, agent.hygiene, agent.energy) <= rules.law.content or agent.respawn > 0:
            agent.wanting = 1
        if closing:
            town.ledger.agent_days += 1
            town.ledger.sufficient += 1 - agent.wanting
            agent.wanting = 0


@compiled
def play_tick(town: Town, rules: Rules, terms: NDArray[np.float32], ended: NDArray[np.bool_]) -> None:
    """Play one tick, every rule in its turn."""
    respawn(town, rules)
    perturb(town, rules)
    move(town, rules)
    request(town, rules)
    grant(town, rules)
    start(town)
    advance(town, rules)
    conflicts(town, rules)
    fade(town, rules)
    relate(town, rules)
    meet(town, rules)
    decay(town, rules)
    employ(town, rules)
    restock(town, rules)
    end_lives(town, rules)
    reward(town, rules, terms, ended)
    count_days(town, rules)
    town.clock.tick += 1


@compiled
def play(town: Town, rules: Rules, seen: StepBuffers, actions: NDArray[np.int64], w: int) -> None:
    """Play one decision, actions [N], in world w; an episode that is over stays as it is."""
    terms, ended = seen.terms[:, w], seen.terminations[w]
    terms[:, :] = f32(0)
    ended[:] = False
    if town.clock.tick < town.clock.length:
        decide(town, actions, seen.action_mask[w])
        for _ in range(rules.law.ticks_per_decision):
            play_tick(town, rules, terms, ended)
        settle(town, rules, terms, ended, seen.rewards[w])
    else:
        seen.rewards[w, :] = f32(0)


@entry
def visit(state: State, rules: Rules, seen: StepBuffers, order: Command, first: int, last: int) -> None:
    """Carry an order out in the worlds [first, last), and write what they look like then.

    It is the only kernel called from outside: each entry would compile all that it reaches once more.
    """
    for w in range(first, last):
        town = Town(
            state.clocks[w], state.ledgers[w], state.agents[w], state.things[w], state.rivalry[w], state.ready[w],
            state.ties[w], state.upsets[w],
        )  # fmt: skip
        if order.task == OPEN and order.chosen[w]:
            generate(town, rules, order.world_keys[w], order.length)
        elif order.task == PLAY:
            play(town, rules, seen, order.actions[w], w)
        if order.blind:
            seen.truncations[w] = town.clock.tick >= town.clock.length
            continue
        observe(
            town,
            rules,
            seen.sky,
            seen.boards[first],
            seen.offers[first],
            seen.observations[w],
            seen.action_mask[w],
            seen.alive[w],
        )
        seen.keys[w] = draw(town.clock.key, POLICY, town.clock.tick, 0)
        seen.truncations[w] = town.clock.tick >= town.clock.length
