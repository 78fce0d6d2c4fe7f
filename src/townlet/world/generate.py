"""The first moment of an episode: where things stand, who lives where, what time it is."""

from townlet.compiled import compiled, f32, u64
from townlet.dto.town_rules import DAY
from townlet.world.kernel_rng import BIRTH, HOME, PHASE, PLACE, below, draw, mix, uniform
from townlet.world.lifecycle import begin
from townlet.world.movement import distance
from townlet.world.perturbations import calm
from townlet.world.rewards import promise
from townlet.world.rows import NOBODY
from townlet.world.rules import Rules
from townlet.world.state import Town

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
    law = rules.law
    for o in range(len(town.things)):
        thing = town.things[o]
        for attempt in range(_ATTEMPTS):
            bits = draw(town.clock.key, PLACE, attempt, o)
            tile = below(bits, law.width * law.height)
            thing.x, thing.y = tile % law.width, tile // law.width
            if not taken(town, rules, o, thing.x, thing.y):
                break
        thing.stock = rules.affordances[thing.kind].stock
        if rules.affordances[thing.kind].makes > 0:
            town.ledger.delivered += thing.stock
        else:
            town.ledger.restocked += thing.stock
        thing.heir = NOBODY
        thing.holder, thing.running, thing.progress = NOBODY, 0, 0
        thing.granted, thing.stall, thing.waiting, thing.line, thing.uses, thing.busy = 0, 0, 0, 0, 0, 0


@compiled
def furnish(town: Town, rules: Rules) -> None:
    """Let every object that makes meals know the nearest one that keeps them, the lower slot among equals."""
    for o in range(len(town.things)):
        thing = town.things[o]
        thing.larder, least = NOBODY, 1 << 30
        for other in range(len(town.things)):
            shelf = town.things[other]
            offer, apart = rules.affordances[shelf.kind], distance(thing.x, thing.y, shelf.x, shelf.y)
            if offer.makes == 0 and offer.stock > 0 and apart < least:
                thing.larder, least = other, apart


@compiled
def populate(town: Town, rules: Rules) -> None:
    """Let every slot begin its first life: jobs dealt in turn, needs drawn from [0.5, 1)."""
    law = rules.law
    for i in range(len(town.agents)):
        agent = town.agents[i]
        tile = below(draw(town.clock.key, HOME, 0, i), law.width * law.height)
        agent.home_x, agent.home_y = tile % law.width, tile // law.width
        agent.job = i % len(rules.jobs) if len(rules.jobs) > 0 else NOBODY
        agent.returned, agent.waits, agent.wanting, agent.generation = 0, 0, 0, 0
        begin(town, rules, i, law.savings)
        agent.hunger = _LEAST + _SPAN * uniform(draw(town.clock.key, BIRTH, 0, i))
        agent.hygiene = _LEAST + _SPAN * uniform(draw(town.clock.key, BIRTH, 1, i))
        agent.energy = _LEAST + _SPAN * uniform(draw(town.clock.key, BIRTH, 2, i))
        agent.potential = promise(agent, law)


@compiled
def clear(town: Town) -> None:
    """Empty the ledger."""
    book = town.ledger
    book.intensity, book.endowed, book.wages, book.spent, book.fined, book.forfeited = 0, 0, 0, 0, 0, 0
    book.conflicts, book.ghosts, book.avoidances, book.deaths, book.illegal = 0, 0, 0, 0, 0
    book.scheduled, book.paid, book.starts, book.late, book.absent = 0, 0, 0, 0, 0
    book.agent_days, book.sufficient, book.restocked, book.eaten, book.cooked = 0, 0, 0, 0, 0
    book.delivered, book.used, book.escalated, book.handovers, book.chats = 0, 0, 0, 0, 0
    book.coolings, book.meals_shared, book.meetings, book.helped, book.taken, book.evictions = 0, 0, 0, 0, 0, 0


@compiled
def generate(town: Town, rules: Rules, world_key: int, length: int) -> None:
    """Begin the next episode of a world: a function of the world's key and the number of the episode only.

    The time of day at which it begins is drawn, so that worlds side by side are not all at breakfast.
    """
    clock, decision = town.clock, rules.law.ticks_per_decision
    clock.episode += 1
    clock.key = mix(world_key, u64(clock.episode))
    clock.tick, clock.length = 0, length
    clock.start = below(draw(clock.key, PHASE, 0, 0), DAY // decision) * decision
    clock.evictions = 0
    clear(town)
    calm(town, rules)
    place(town, rules)
    furnish(town, rules)
    populate(town, rules)
