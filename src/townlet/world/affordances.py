"""Objects: who may use one, what a finished use does, and the nightly restock."""

import numpy as np

from townlet.compiled import compiled, f32
from townlet.dto.town_rules import DAY
from townlet.world.needs import bounded, level
from townlet.world.rows import NOBODY, Clock
from townlet.world.rules import Affordance, Rules
from townlet.world.state import Town

__all__ = ["apply_effects", "cost", "pay", "restock", "supplied", "usable"]

INFINITE = f32(np.inf)


@compiled
def supplied(clock: Clock, offer: Affordance) -> bool:
    """Tell whether there is the power and the water that a kind of object needs."""
    return clock.power >= offer.power and clock.water >= offer.water


@compiled
def cost(town: Town, rules: Rules, o: int) -> float:
    """Return the money that a use of an object takes now; infinite while it serves nobody: no supplies, stock, room."""
    thing = town.things[o]
    offer = rules.affordances[thing.kind]
    if offer.makes > 0:
        larder = town.things[thing.larder]
        if larder.stock + offer.makes > rules.affordances[larder.kind].room:
            return INFINITE
    if (offer.stock > 0 and thing.stock == 0) or not supplied(town.clock, offer):
        return INFINITE
    return f32(offer.price * town.clock.price)


@compiled
def usable(town: Town, rules: Rules, i: int, o: int) -> bool:
    """Tell whether an object serves this agent now: need low enough, money, stock, supplies, no cooldown."""
    agent, serves = town.agents[i], rules.affordances[town.things[o].kind].serves
    if serves != NOBODY and level(agent, serves) > rules.law.refuse_above:
        return False
    return agent.wallet >= cost(town, rules, o) and town.clock.tick >= town.ready[i, o]


@compiled
def pay(town: Town, i: int, amount: float) -> float:
    """Take money from an agent, at most what it has, and return what was taken."""
    agent = town.agents[i]
    taken = min(amount, agent.wallet)
    agent.wallet = agent.wallet - taken
    return taken


@compiled
def apply_effects(town: Town, rules: Rules, i: int, o: int) -> None:
    """Finish a use: needs, price, portions, cooldown; the object is free again."""
    agent, thing, law = town.agents[i], town.things[o], rules.law
    offer = rules.affordances[thing.kind]
    agent.hunger = bounded(agent.hunger + offer.hunger)
    agent.hygiene = bounded(agent.hygiene + offer.hygiene)
    agent.energy = bounded(agent.energy + offer.energy)
    town.ledger.spent += pay(town, i, offer.price * town.clock.price)
    if offer.makes > 0:
        town.things[thing.larder].stock += offer.makes
        town.ledger.cooked += offer.makes
    if offer.stock > 0:
        thing.stock -= 1
        if offer.makes > 0:
            town.ledger.used += 1
        else:
            town.ledger.eaten += 1
    town.ready[i, o] = town.clock.tick + law.cooldown
    thing.uses += 1
    thing.holder, thing.running, thing.progress, thing.stall = NOBODY, 0, 0, 0
    agent.queue, agent.running, agent.intent = NOBODY, 0, 0


@compiled
def restock(town: Town, rules: Rules) -> None:
    """Bring every object up to its stock at midnight; what is more than that stays."""
    if (town.clock.start + town.clock.tick) % DAY != 0:
        return
    for o in range(len(town.things)):
        thing = town.things[o]
        offer = rules.affordances[thing.kind]
        brought = max(offer.stock - thing.stock, 0)
        thing.stock += brought
        if offer.makes > 0:
            town.ledger.delivered += brought
        else:
            town.ledger.restocked += brought
