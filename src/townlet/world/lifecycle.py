"""Life: birth, fainting, respawn."""

from townlet.world.compiled import compiled, f32
from townlet.world.features import WAIT
from townlet.world.jobs import hire
from townlet.world.queues import leave
from townlet.world.random import RESPAWN, below, draw
from townlet.world.rivalry import forget
from townlet.world.rules import Rules
from townlet.world.state import NOBODY, Town

__all__ = ["begin", "faint", "respawn"]


@compiled
def begin(town: Town, rules: Rules, i: int, money: float) -> None:
    """Begin a life at home: a newcomer's needs, some money, no grudges, no cooldowns."""
    agent, law = town.agents[i], rules.laws[0]
    agent.x, agent.y = agent.home_x, agent.home_y
    agent.hunger, agent.hygiene, agent.energy = law.born_needs, law.born_needs, law.born_needs
    agent.wallet = money
    town.ledger.endowed += money
    agent.intent, agent.queue, agent.running, agent.shunned = WAIT, NOBODY, 0, NOBODY
    agent.starving, agent.respawn = 0, 0
    forget(town, i)
    for o in range(len(town.things)):
        town.ready[i, o] = 0
    hire(town, rules, i)


@compiled
def respawn(town: Town, rules: Rules) -> None:
    """Bring slots back whose time has come, one generation on."""
    for i in range(len(town.agents)):
        agent = town.agents[i]
        if agent.respawn > 0:
            agent.respawn -= 1
            if agent.respawn == 0:
                agent.generation += 1
                begin(town, rules, i, rules.laws[0].born_wallet)


@compiled
def faint(town: Town, rules: Rules) -> None:
    """End the lives of those who starved too long; the slot is empty until it respawns."""
    law = rules.laws[0]
    for i in range(len(town.agents)):
        agent = town.agents[i]
        agent.fainted = 0
        if agent.respawn > 0:
            continue
        agent.starving = agent.starving + 1 if agent.hunger <= law.faint_at else 0
        if agent.starving >= law.faint_after:
            leave(town, i)
            town.ledger.forfeited += agent.wallet
            agent.wallet = f32(0)
            wait = below(draw(town.clock.key, RESPAWN, town.clock.tick, i), law.respawn_max - law.respawn_min + 1)
            agent.respawn = law.respawn_min + wait
            agent.fainted, agent.wanting = 1, 1
            town.ledger.deaths += 1
