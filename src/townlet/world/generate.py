"""The first moment of an episode: where things stand, who lives where, what time it is."""

from townlet.dto.town import DAY
from townlet.world.compiled import compiled, f32, u64
from townlet.world.lifecycle import begin
from townlet.world.movement import distance
from townlet.world.random import BIRTH, HOME, PHASE, PLACE, below, draw, mix, uniform
from townlet.world.rules import Rules
from townlet.world.state import NOBODY, Town

__all__ = ["generate"]

_ATTEMPTS = 64
_LEAST, _SPAN = f32(0.5), f32(0.5)


@compiled
def taken(town: Town, rules: Rules, o: int, x: int, y: int) -> bool:
    """Tell whether a tile holds an earlier object or a site."""
    for other in range(o):
        if distance(x, y, town.things[other].x, town.things[other].y) == 0:
            return True
    on_site = False
    for j in range(len(rules.jobs)):
        on_site = on_site or distance(x, y, rules.jobs[j].x, rules.jobs[j].y) == 0
    return on_site


@compiled
def place(town: Town, rules: Rules) -> None:
    """Put every object on a tile of its own, stocked and free."""
    law = rules.laws[0]
    for o in range(len(town.things)):
        thing = town.things[o]
        for attempt in range(_ATTEMPTS):
            bits = draw(town.clock.key, PLACE, attempt, o)
            tile = below(bits, law.width * law.height)
            thing.x, thing.y = tile % law.width, tile // law.width
            if not taken(town, rules, o, thing.x, thing.y):
                break
        thing.kind = rules.kinds[o]
        thing.stock = rules.affordances[thing.kind].stock
        town.ledger.restocked += thing.stock
        thing.holder, thing.running, thing.progress = NOBODY, 0, 0
        thing.granted, thing.stall, thing.waiting, thing.line, thing.uses, thing.busy = 0, 0, 0, 0, 0, 0


@compiled
def populate(town: Town, rules: Rules) -> None:
    """Let every slot begin its first life: jobs dealt in turn, needs drawn from [0.5, 1)."""
    law = rules.laws[0]
    for i in range(len(town.agents)):
        agent = town.agents[i]
        tile = below(draw(town.clock.key, HOME, 0, i), law.width * law.height)
        agent.home_x, agent.home_y = tile % law.width, tile // law.width
        agent.job = i % len(rules.jobs) if len(rules.jobs) > 0 else NOBODY
        agent.returned, agent.waits, agent.wanting, agent.generation = 0, 0, 0, 0
        agent.rank, agent.waited = 0, 0
        agent.lot = draw(town.clock.key, HOME, 1, i)
        agent.strife, agent.fainted, agent.wage, agent.turned_late, agent.turned_absent = f32(0), 0, f32(0), 0, 0
        begin(town, rules, i, law.savings)
        agent.hunger = _LEAST + _SPAN * uniform(draw(town.clock.key, BIRTH, 0, i))
        agent.hygiene = _LEAST + _SPAN * uniform(draw(town.clock.key, BIRTH, 1, i))
        agent.energy = _LEAST + _SPAN * uniform(draw(town.clock.key, BIRTH, 2, i))


@compiled
def clear(town: Town) -> None:
    """Empty the ledger."""
    book = town.ledger
    book.intensity, book.endowed, book.wages, book.spent, book.fined, book.forfeited = 0, 0, 0, 0, 0, 0
    book.conflicts, book.ghosts, book.avoidances, book.deaths, book.illegal = 0, 0, 0, 0, 0
    book.scheduled, book.paid, book.starts, book.late, book.absent = 0, 0, 0, 0, 0
    book.agent_days, book.sufficient, book.restocked, book.eaten = 0, 0, 0, 0


@compiled
def generate(town: Town, rules: Rules, world_key: int, length: int) -> None:
    """Begin the next episode of a world: a function of the world's key and the number of the episode only.

    The time of day at which it begins is drawn, so that worlds side by side are not all at breakfast.
    """
    clock, decision = town.clock, rules.laws[0].ticks_per_decision
    clock.episode += 1
    clock.key = mix(world_key, u64(clock.episode))
    clock.tick, clock.length = 0, length
    clock.start = below(draw(clock.key, PHASE, 0, 0), DAY // decision) * decision
    clear(town)
    place(town, rules)
    populate(town, rules)
