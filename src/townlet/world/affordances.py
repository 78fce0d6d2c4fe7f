"""Objects: who may use one, what a finished use does, and the nightly restock."""

import numpy as np

from townlet.compiled import f32, kernel
from townlet.dto.town_rules import DAY
from townlet.world.needs import NEED_COUNT, bounded, level, set_level
from townlet.world.rows import NOBODY, Clock
from townlet.world.rules import Affordance, Rules
from townlet.world.state import Town

__all__ = ["apply_effects", "cost", "pay", "restock", "supplied", "usable"]

INFINITE = f32(np.inf)


@kernel
def supplied(clock: Clock, affordance: Affordance) -> bool:
    """Tell whether the power and water that a kind of object needs are on."""
    return clock.power >= affordance.power and clock.water >= affordance.water


@kernel
def cost(town: Town, rules: Rules, o: int) -> float:
    """Return the price of a use now; infinite while power, water, stock or room for the meals is missing."""
    item = town.objects[o]
    affordance = rules.affordances[item.kind]
    if affordance.makes > 0:
        fridge = town.objects[item.nearest_fridge]
        if fridge.stock + affordance.makes > rules.affordances[fridge.kind].room:
            return INFINITE
    if (affordance.stock > 0 and item.stock == 0) or not supplied(town.clock, affordance):
        return INFINITE
    return f32(affordance.price * town.clock.price)


@kernel
def usable(town: Town, rules: Rules, i: int, o: int) -> bool:
    """Tell whether an agent may use an object now: need low enough, money, stock, power, water, no cooldown."""
    agent, serves = town.agents[i], rules.affordances[town.objects[o].kind].serves
    if serves != NOBODY and level(agent, serves) > rules.constants.refuse_above:
        return False
    return agent.wallet >= cost(town, rules, o) and town.clock.tick >= town.ready[i, o]


@kernel
def pay(town: Town, i: int, amount: float) -> float:
    """Take money from an agent, at most its wallet, and return the payment."""
    agent = town.agents[i]
    payment = min(amount, agent.wallet)
    agent.wallet = agent.wallet - payment
    return payment


@kernel
def apply_effects(town: Town, rules: Rules, i: int, o: int) -> None:
    """Finish a use: needs, price, portions, cooldown; the object is free again."""
    agent, item, constants = town.agents[i], town.objects[o], rules.constants
    affordance = rules.affordances[item.kind]
    for need in range(NEED_COUNT):
        set_level(agent, need, bounded(level(agent, need) + rules.effects[item.kind, need]))
    town.ledger.spending += pay(town, i, affordance.price * town.clock.price)
    if affordance.makes > 0:
        town.objects[item.nearest_fridge].stock += affordance.makes
        town.ledger.meals_cooked += affordance.makes
    if affordance.stock > 0:
        item.stock -= 1
        if affordance.makes > 0:
            town.ledger.raw_used += 1
        else:
            town.ledger.meals_eaten += 1
    town.ready[i, o] = town.clock.tick + constants.cooldown
    item.uses += 1
    item.holder, item.running, item.progress, item.stall = NOBODY, 0, 0, 0
    agent.queue, agent.running, agent.intent = NOBODY, 0, 0


@kernel
def restock(town: Town, rules: Rules) -> None:
    """Fill every object up to its stock at midnight; a larger stock stays."""
    if (town.clock.start + town.clock.tick) % DAY != 0:
        return
    for o in range(len(town.objects)):
        item = town.objects[o]
        affordance = rules.affordances[item.kind]
        delivery = max(affordance.stock - item.stock, 0)
        item.stock += delivery
        if affordance.makes > 0:
            town.ledger.raw_delivered += delivery
        else:
            town.ledger.meals_restocked += delivery
