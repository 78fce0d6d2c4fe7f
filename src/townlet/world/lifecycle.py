"""Life: birth, fainting, eviction, respawn."""

from townlet.compiled import compiled, f32, u64
from townlet.world.features import WAIT
from townlet.world.jobs import hire
from townlet.world.kernel_rng import RESPAWN, below, draw
from townlet.world.perturbations import call_off
from townlet.world.queues import leave
from townlet.world.rewards import promise
from townlet.world.rivalry import forget
from townlet.world.rows import NEVER, NOBODY
from townlet.world.rules import Rules
from townlet.world.state import Town

__all__ = ["absences", "begin", "end_lives", "respawn"]

_WEEK = 7


@compiled
def begin(town: Town, rules: Rules, i: int, money: float) -> None:
    """Begin a life at home: a newcomer's needs, some money, no grudges, no cooldowns, no past.

    What stays with the slot is its home, its job, its count of lives and its account of the episode.
    """
    agent, law = town.agents[i], rules.law
    agent.x, agent.y = agent.home_x, agent.home_y
    agent.hunger, agent.hygiene, agent.energy = law.born_needs, law.born_needs, law.born_needs
    agent.wallet = money
    town.ledger.endowed += money
    agent.intent, agent.queue, agent.running, agent.shunned = WAIT, NOBODY, 0, NOBODY
    agent.rank, agent.waited, agent.lot = 0, 0, u64(0)
    agent.starving, agent.respawn, agent.fainted, agent.evicted = 0, 0, 0, 0
    agent.chat_from, agent.ate, agent.called = 0, NEVER, 0
    agent.strife, agent.joy = f32(0), f32(0)
    forget(town, i)
    for o in range(len(town.things)):
        town.ready[i, o] = 0
    hire(town, rules, i)
    agent.potential = promise(agent, law)


@compiled
def respawn(town: Town, rules: Rules) -> None:
    """Bring slots back whose time has come, one generation on."""
    for i in range(len(town.agents)):
        agent = town.agents[i]
        if agent.respawn > 0:
            agent.respawn -= 1
            if agent.respawn == 0:
                agent.generation += 1
                begin(town, rules, i, rules.law.born_wallet)


@compiled
def absences(ring: int) -> int:
    """Return how many of the last seven days were missed."""
    missed = 0
    for day in range(_WEEK):
        missed += (ring >> day) & 1
    return missed


@compiled
def depart(town: Town, rules: Rules, i: int) -> None:
    """End a life; the slot is empty until it respawns."""
    agent, law = town.agents[i], rules.law
    leave(town, i)
    if agent.called == 1:
        call_off(town)
    town.ledger.forfeited += agent.wallet
    agent.wallet = f32(0)
    wait = below(draw(town.clock.key, RESPAWN, town.clock.tick, i), law.respawn_max - law.respawn_min + 1)
    agent.respawn = law.respawn_min + wait
    agent.wanting = 1


@compiled
def end_lives(town: Town, rules: Rules) -> None:
    """End the lives of those who starved too long, and of those who missed too many shifts."""
    law = rules.law
    for i in range(len(town.agents)):
        agent = town.agents[i]
        agent.fainted, agent.evicted = 0, 0
        if agent.respawn > 0:
            continue
        agent.starving = agent.starving + 1 if agent.hunger <= law.faint_at else 0
        if agent.starving >= law.faint_after:
            depart(town, rules, i)
            agent.fainted = 1
            town.ledger.deaths += 1
        elif agent.ring > 0 and 0 < law.absences <= absences(agent.ring) and town.clock.evictions < law.evictions:
            depart(town, rules, i)
            agent.evicted = 1
            town.clock.evictions += 1
            town.ledger.evictions += 1
