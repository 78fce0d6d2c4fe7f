"""Life: birth, fainting, eviction, respawn."""

from townlet.compiled import f32, kernel, u64
from townlet.world.features import WAIT
from townlet.world.jobs import start_employment
from townlet.world.kernel_rng import RESPAWN, below, draw
from townlet.world.needs import NEED_COUNT, set_level
from townlet.world.perturbations import cancel_meeting
from townlet.world.queues import leave
from townlet.world.rewards import potential
from townlet.world.rivalry import reset_relations
from townlet.world.rows import NEVER, NOBODY
from townlet.world.rules import Rules
from townlet.world.state import Town

__all__ = ["count_absences", "end_lives", "respawn", "spawn"]

_WEEK = 7


@kernel
def spawn(town: Town, rules: Rules, i: int, money: float) -> None:
    """Start a life at home: initial needs and money, no relations, no rivalry, no cooldowns.

    The slot keeps its home, job, generation and episode return.
    """
    agent, constants = town.agents[i], rules.constants
    agent.x, agent.y = agent.home_x, agent.home_y
    for need in range(NEED_COUNT):
        set_level(agent, need, constants.born_needs)
    agent.wallet = money
    town.ledger.initial_money += money
    agent.intent, agent.queue, agent.running, agent.avoided_object = WAIT, NOBODY, 0, NOBODY
    agent.rank, agent.waited, agent.tie_break = 0, 0, u64(0)
    agent.starving, agent.respawn, agent.fainted, agent.evicted = 0, 0, 0, 0
    agent.chat_from, agent.last_meal, agent.called = 0, NEVER, 0
    agent.conflict_sum, agent.chat_reward = f32(0), f32(0)
    reset_relations(town, i)
    for o in range(len(town.objects)):
        town.ready[i, o] = 0
    start_employment(town, rules, i)
    agent.potential = potential(agent, rules)


@kernel
def respawn(town: Town, rules: Rules) -> None:
    """Spawn the next generation in slots whose waiting time is over."""
    for i in range(len(town.agents)):
        agent = town.agents[i]
        if agent.respawn > 0:
            agent.respawn -= 1
            if agent.respawn == 0:
                agent.generation += 1
                spawn(town, rules, i, rules.constants.born_wallet)


@kernel
def count_absences(absence_bits: int) -> int:
    """Return the number of absences in the last seven days, from one bit per day."""
    count = 0
    for day in range(_WEEK):
        count += (absence_bits >> day) & 1
    return count


@kernel
def remove(town: Town, rules: Rules, i: int) -> None:
    """End a life; the slot is empty until it respawns."""
    agent, constants = town.agents[i], rules.constants
    leave(town, i)
    if agent.called == 1:
        cancel_meeting(town)
    town.ledger.forfeits += agent.wallet
    agent.wallet = f32(0)
    wait = below(draw(town.clock.key, RESPAWN, town.clock.tick, i), constants.respawn_max - constants.respawn_min + 1)
    agent.respawn = constants.respawn_min + wait
    agent.need_unmet = 1


@kernel
def end_lives(town: Town, rules: Rules) -> None:
    """End the lives of agents that starved too long (faint) or were absent too often (eviction)."""
    constants = rules.constants
    for i in range(len(town.agents)):
        agent = town.agents[i]
        agent.fainted, agent.evicted = 0, 0
        if agent.respawn > 0:
            continue
        agent.starving = agent.starving + 1 if agent.hunger <= constants.faint_at else 0
        if agent.starving >= constants.faint_after:
            remove(town, rules, i)
            agent.fainted = 1
            town.ledger.deaths += 1
        elif (
            agent.absence_bits > 0
            and 0 < constants.absences <= count_absences(agent.absence_bits)
            and town.clock.evictions < constants.evictions
        ):
            remove(town, rules, i)
            agent.evicted = 1
            town.clock.evictions += 1
            town.ledger.evictions += 1
