"""One decision of many worlds, tick by tick: the order of play."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from townlet.compiled import entry_kernel, f32, kernel
from townlet.dto.town_rules import DAY
from townlet.world.affordances import restock
from townlet.world.features import WAIT
from townlet.world.generate import generate
from townlet.world.jobs import update_jobs
from townlet.world.kernel_rng import POLICY, draw
from townlet.world.lifecycle import end_lives, respawn
from townlet.world.movement import move
from townlet.world.needs import decay, lowest
from townlet.world.observe import observe
from townlet.world.perturbations import complete_meeting, update_perturbations
from townlet.world.queues import advance, conflicts, grant, request, start
from townlet.world.relations import update_relations
from townlet.world.rewards import add_rewards, sum_terms
from townlet.world.rivalry import decay_rivalry
from townlet.world.rules import Rules
from townlet.world.state import State, Town

__all__ = ["OBSERVE", "RESET", "STEP", "Command", "StepBuffers", "play_tick", "run_worlds"]


class StepBuffers(NamedTuple):
    """Arrays that a decision writes."""

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
    shared_rows: NDArray[np.float32]
    """[W, F], scratch for the shared features: each slice uses the row of its first world."""
    object_table: NDArray[np.float32]
    """[W, 3 + needs, O], scratch likewise."""
    time_of_day: NDArray[np.float32]
    """[DAY, 2], sine and cosine of the time of day."""


OBSERVE, RESET, STEP = range(3)
"""Tasks: write observations only, begin an episode in the chosen worlds, play one decision."""


class Command(NamedTuple):
    """One call of `run_worlds`: task and arguments."""

    task: int
    """OBSERVE, RESET or STEP."""
    skip_observe: bool
    """Skip writing observations (benchmarks only); masks and features keep old values."""
    length: int
    """Ticks of an episode, for RESET."""
    chosen: NDArray[np.bool_]
    """[W], the worlds to reset."""
    world_keys: NDArray[np.uint64]
    """[W], random key of each world."""
    actions: NDArray[np.int64]
    """[W, N], actions for STEP."""
    first_tick: int
    """First tick of the decision that STEP plays: 0, or the tick at which an earlier call stopped."""
    end_tick: int
    """The tick before which STEP stops; a decision is played in one call, or in parts that follow each other."""


@kernel
def decide(town: Town, actions: NDArray[np.int64], mask: NDArray[np.bool_]) -> None:
    """Set intents from actions [N]; an action that the last mask [N, A] forbids is counted and becomes a wait."""
    for i in range(len(town.agents)):
        if town.agents[i].respawn > 0:
            continue
        chosen = actions[i]
        if mask[i, chosen]:
            town.agents[i].intent = chosen
        else:
            town.agents[i].intent = WAIT
            town.ledger.illegal_actions += 1


@kernel
def count_sufficient_days(town: Town, rules: Rules) -> None:
    """Mark agents with an unmet need; every 24 hours of the episode count the days without one."""
    closing = (town.clock.tick + 1) % DAY == 0
    for i in range(len(town.agents)):
        agent = town.agents[i]
        if lowest(agent) <= rules.constants.content or agent.respawn > 0:
            agent.need_unmet = 1
        if closing:
            town.ledger.agent_days += 1
            town.ledger.sufficient_days += 1 - agent.need_unmet
            agent.need_unmet = 0


@kernel
def play_tick(town: Town, rules: Rules, terms: NDArray[np.float32], ended: NDArray[np.bool_]) -> None:
    """Play one tick: all rules in their order."""
    respawn(town, rules)
    update_perturbations(town, rules)
    move(town, rules)
    request(town, rules)
    grant(town, rules)
    start(town)
    advance(town, rules)
    conflicts(town, rules)
    decay_rivalry(town, rules)
    update_relations(town, rules)
    complete_meeting(town, rules)
    decay(town, rules)
    update_jobs(town, rules)
    restock(town, rules)
    end_lives(town, rules)
    add_rewards(town, rules, terms, ended)
    count_sufficient_days(town, rules)
    town.clock.tick += 1


@kernel
def play(
    town: Town, rules: Rules, buffers: StepBuffers, actions: NDArray[np.int64], ticks: tuple[int, int], w: int
) -> None:  # kernels take no keywords
    """Play the ticks [first, end) of one decision, actions [N], in world w; an episode that is over stays as it is."""
    terms, ended = buffers.terms[:, w], buffers.terminations[w]
    first, end = ticks
    if first == 0:
        terms[:, :] = f32(0)
        ended[:] = False
    # A decision that begins before the end is played whole; a world that was over before it stands at another tick.
    begun = town.clock.tick - first
    if begun < town.clock.length and begun % rules.constants.ticks_per_decision == 0:
        if first == 0:
            decide(town, actions, buffers.action_mask[w])
        for _ in range(first, end):
            play_tick(town, rules, terms, ended)
        if end == rules.constants.ticks_per_decision:
            sum_terms(town, rules, terms, ended, buffers.rewards[w])
    else:
        buffers.rewards[w, :] = f32(0)


@entry_kernel
def run_worlds(state: State, rules: Rules, buffers: StepBuffers, command: Command, first: int, last: int) -> None:
    """Run a command in the worlds [first, last), then write observations.

    This is the only entry kernel of the town: each entry compiles all kernels it reaches once more.
    """
    for w in range(first, last):
        town = Town(
            state.clocks[w], state.ledgers[w], state.agents[w], state.objects[w], state.rivalry[w], state.ready[w],
            state.relations[w], state.perturbations[w],
        )  # fmt: skip
        if command.task == RESET and command.chosen[w]:
            generate(town, rules, command.world_keys[w], command.length)
        elif command.task == STEP:
            play(town, rules, buffers, command.actions[w], (command.first_tick, command.end_tick), w)
        if command.skip_observe:
            buffers.truncations[w] = town.clock.tick >= town.clock.length
            continue
        observe(
            town,
            rules,
            buffers.time_of_day,
            buffers.shared_rows[first],
            buffers.object_table[first],
            buffers.observations[w],
            buffers.action_mask[w],
            buffers.alive[w],
        )
        buffers.keys[w] = draw(town.clock.key, POLICY, town.clock.tick, 0)
        buffers.truncations[w] = town.clock.tick >= town.clock.length
