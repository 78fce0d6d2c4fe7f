"""One decision of many worlds, tick by tick: the order of play."""

import numpy as np
from numpy.typing import NDArray

from townlet.compiled import entry_kernel, f32, kernel
from townlet.dto.town_rules import DAY
from townlet.kernel_arguments import fixed_arguments
from townlet.world.affordances import restock
from townlet.world.buffers import BatchArrays, StepBuffers, example
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
from townlet.world.state import Town

__all__ = ["CHECK", "OBSERVE", "RESET", "STEP", "pack", "play_tick", "run_worlds"]

pack, unpack = fixed_arguments(example)

OBSERVE, RESET, STEP, CHECK = range(4)
"""Tasks: write observations only, begin an episode in the chosen worlds, play one decision, check actions only."""


@kernel
def are_actions(actions: NDArray[np.int64], count: int) -> bool:
    """Tell whether all actions [W, N] are numbers of one of so many."""
    for w in range(len(actions)):
        for i in range(actions.shape[1]):
            if not 0 <= actions[w, i] < count:
                return False
    return True


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


@kernel
def record_end(town: Town, buffers: StepBuffers, w: int) -> None:
    """Record whether the episode of world w is over, and whose life that cuts: of those who live and have not died."""
    over = town.clock.tick >= town.clock.length
    buffers.over[w] = over
    for i in range(len(town.agents)):
        buffers.truncations[w, i] = over and buffers.alive[w, i] and not buffers.terminations[w, i]


@entry_kernel
def run_worlds(
    batch: BatchArrays, task: int, length: int, ticks: tuple[int, int], worlds: tuple[int, int], skip_observe: bool
) -> bool:  # kernels take no keywords
    """Run a task in the worlds [first, last) of a batch as `pack` wrote them, then write observations.

    RESET begins episodes of `length` ticks. STEP plays the ticks [first, end) of a decision, in one call or in parts
    that follow each other. With `skip_observe` (benchmarks only, and parts that others follow) masks and features keep
    old values. CHECK does nothing but return whether all actions of the batch are numbers of actions. This is the only
    entry kernel of the town: each entry compiles all kernels it reaches once more.
    """
    state, rules, buffers = unpack(batch)
    if task == CHECK:
        return are_actions(buffers.actions, buffers.action_mask.shape[2])
    first, last = worlds
    for w in range(first, last):
        town = Town(
            state.clocks[w], state.ledgers[w], state.agents[w], state.objects[w], state.rivalry[w], state.ready[w],
            state.relations[w], state.perturbations[w],
        )  # fmt: skip
        if task == RESET and buffers.chosen[w]:
            generate(town, rules, buffers.world_keys[w], length)
        elif task == STEP:
            play(town, rules, buffers, buffers.actions[w], ticks, w)
        if not skip_observe:
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
        record_end(town, buffers, w)
    return True
