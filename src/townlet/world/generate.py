"""The first moment of an episode: where things stand, who lives where, what time it is."""

from townlet.compiled import f32, kernel, u64
from townlet.dto.town_rules import DAY
from townlet.world.kernel_rng import HOME, INITIAL_NEED, PLACE, START_TIME, below, draw, mix, uniform
from townlet.world.lifecycle import spawn
from townlet.world.movement import distance
from townlet.world.needs import NEED_COUNT, set_level
from townlet.world.perturbations import schedule_first
from townlet.world.rewards import potential
from townlet.world.rows import NOBODY
from townlet.world.rules import Rules
from townlet.world.state import Town

__all__ = ["generate"]

_ATTEMPTS = 64
_LEAST, _SPAN = f32(0.5), f32(0.5)


@kernel
def occupied(town: Town, rules: Rules, o: int, x: int, y: int) -> bool:
    """Tell whether a tile holds an earlier object or a site."""
    for other in range(o):
        if distance(x, y, town.objects[other].x, town.objects[other].y) == 0:
            return True
    on_site = False
    for j in range(len(rules.jobs)):
        on_site = on_site or distance(x, y, rules.jobs[j].x, rules.jobs[j].y) == 0
    return on_site


@kernel
def place_objects(town: Town, rules: Rules) -> None:
    """Put every object on a tile of its own, stocked and free."""
    constants = rules.constants
    for o in range(len(town.objects)):
        item = town.objects[o]
        for attempt in range(_ATTEMPTS):
            bits = draw(town.clock.key, PLACE, attempt, o)
            tile = below(bits, constants.width * constants.height)
            item.x, item.y = tile % constants.width, tile // constants.width
            if not occupied(town, rules, o, item.x, item.y):
                break
        item.stock = rules.affordances[item.kind].stock
        if rules.affordances[item.kind].makes > 0:
            town.ledger.raw_delivered += item.stock
        else:
            town.ledger.meals_restocked += item.stock
        item.next_holder = NOBODY
        item.holder, item.running, item.progress = NOBODY, 0, 0
        item.granted, item.stall, item.waiting, item.rank_base, item.uses, item.busy = 0, 0, 0, 0, 0, 0


@kernel
def link_stoves_to_fridges(town: Town, rules: Rules) -> None:
    """Let every object that makes meals know the nearest one that keeps them, the lower slot among equals."""
    for o in range(len(town.objects)):
        item = town.objects[o]
        item.nearest_fridge, least = NOBODY, 1 << 30
        for other in range(len(town.objects)):
            shelf = town.objects[other]
            affordance, apart = rules.affordances[shelf.kind], distance(item.x, item.y, shelf.x, shelf.y)
            if affordance.makes == 0 and affordance.stock > 0 and apart < least:
                item.nearest_fridge, least = other, apart


@kernel
def place_agents(town: Town, rules: Rules) -> None:
    """Let every slot begin its first life: jobs dealt in turn, needs drawn from [0.5, 1)."""
    constants = rules.constants
    for i in range(len(town.agents)):
        agent = town.agents[i]
        tile = below(draw(town.clock.key, HOME, 0, i), constants.width * constants.height)
        agent.home_x, agent.home_y = tile % constants.width, tile // constants.width
        agent.job = i % len(rules.jobs) if len(rules.jobs) > 0 else NOBODY
        agent.episode_return, agent.waits, agent.need_unmet, agent.generation = 0, 0, 0, 0
        spawn(town, rules, i, constants.savings)
        for need in range(NEED_COUNT):
            set_level(agent, need, _LEAST + _SPAN * uniform(draw(town.clock.key, INITIAL_NEED, need, i)))
        agent.potential = potential(agent, rules)


@kernel
def clear_ledger(town: Town) -> None:
    """Empty the ledger."""
    ledger = town.ledger
    ledger.intensity, ledger.initial_money, ledger.wages, ledger.spending, ledger.fines, ledger.forfeits = (
        0,
        0,
        0,
        0,
        0,
        0,
    )
    ledger.conflicts, ledger.ghost_steps, ledger.avoidances, ledger.deaths, ledger.illegal_actions = 0, 0, 0, 0, 0
    ledger.duty_ticks, ledger.worked_ticks, ledger.shift_starts, ledger.late_starts, ledger.recorded_absences = (
        0,
        0,
        0,
        0,
        0,
    )
    ledger.agent_days, ledger.sufficient_days, ledger.meals_restocked, ledger.meals_eaten, ledger.meals_cooked = (
        0,
        0,
        0,
        0,
        0,
    )
    ledger.raw_delivered, ledger.raw_used, ledger.escalations, ledger.handovers, ledger.chats = 0, 0, 0, 0, 0
    (
        ledger.failed_chats,
        ledger.meals_shared,
        ledger.meetings,
        ledger.late_helps,
        ledger.shift_takeovers,
        ledger.evictions,
    ) = (
        0,
        0,
        0,
        0,
        0,
        0,
    )


@kernel
def generate(town: Town, rules: Rules, world_key: int, length: int) -> None:
    """Begin the next episode of a world: a function of the world's key and the number of the episode only.

    The time of day at which it begins is drawn, so that worlds side by side are not all at breakfast.
    """
    clock, decision = town.clock, rules.constants.ticks_per_decision
    clock.episode += 1
    clock.key = mix(world_key, u64(clock.episode))
    clock.tick, clock.length = 0, length
    clock.start = below(draw(clock.key, START_TIME, 0, 0), DAY // decision) * decision
    clock.evictions = 0
    clear_ledger(town)
    schedule_first(town, rules)
    place_objects(town, rules)
    link_stoves_to_fridges(town, rules)
    place_agents(town, rules)
