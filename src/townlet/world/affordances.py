"""Objects: who may use one, what a finished use does, and the nightly restock."""

from townlet.dto.town import DAY
from townlet.world.compiled import compiled
from townlet.world.needs import bounded, level
from townlet.world.rules import Rules
from townlet.world.state import NOBODY, Town

__all__ = ["apply_effects", "pay", "restock", "usable"]


@compiled
def usable(town: Town, rules: Rules, i: int, o: int) -> bool:
    """Tell whether an object serves this agent now: need low enough, money, stock, no cooldown."""
    agent, thing = town.agents[i], town.things[o]
    offer = rules.affordances[thing.kind]
    return (
        level(agent, offer.serves) <= rules.laws[0].refuse_above
        and agent.wallet >= offer.price
        and (offer.stock == 0 or thing.stock > 0)
        and town.clock.tick >= town.ready[i, o]
    )


@compiled
def pay(town: Town, i: int, amount: float) -> float:
    """Take money from an agent, at most what it has, and return what was taken."""
    agent = town.agents[i]
    taken = min(amount, agent.wallet)
    agent.wallet = agent.wallet - taken
    return taken


@compiled
def apply_effects(town: Town, rules: Rules, i: int, o: int) -> None:
    """Finish a use: needs, price, portion, cooldown; the object is free again."""
    agent, thing, law = town.agents[i], town.things[o], rules.laws[0]
    offer = rules.affordances[thing.kind]
    agent.hunger = bounded(agent.hunger + offer.hunger)
    agent.hygiene = bounded(agent.hygiene + offer.hygiene)
    agent.energy = bounded(agent.energy + offer.energy)
    town.ledger.spent += pay(town, i, offer.price)
    if offer.stock > 0:
        thing.stock -= 1
        town.ledger.eaten += 1
    town.ready[i, o] = town.clock.tick + law.cooldown
    thing.uses += 1
    thing.holder, thing.running, thing.progress, thing.stall = NOBODY, 0, 0, 0
    agent.queue, agent.running, agent.intent = NOBODY, 0, 0


@compiled
def restock(town: Town, rules: Rules) -> None:
    """Fill every object at midnight."""
    if (town.clock.start + town.clock.tick) % DAY != 0:
        return
    for o in range(len(town.things)):
        thing = town.things[o]
        full = rules.affordances[thing.kind].stock
        town.ledger.restocked += full - thing.stock
        thing.stock = full
