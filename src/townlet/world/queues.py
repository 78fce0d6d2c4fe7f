"""Queues: one membership per agent, one holder per object, and the conflicts of those who wait."""

from townlet.compiled import compiled, f32
from townlet.world.affordances import apply_effects, supplied, usable
from townlet.world.features import CHAT, USE, WAIT
from townlet.world.kernel_rng import LOT, draw
from townlet.world.movement import distance
from townlet.world.relations import befriend, regard, share_meal
from townlet.world.rivalry import avoid, avoided, quarrel, resent
from townlet.world.rows import NOBODY
from townlet.world.rules import Rules
from townlet.world.state import Town

__all__ = ["advance", "ahead", "conflicts", "grant", "head", "leave", "request", "start"]

_GHOST_STEP, _BLOCKED = f32(1.5), f32(0.4)


@compiled
def ahead(town: Town, rules: Rules, i: int, j: int) -> bool:
    """Tell whether i comes before j: order = rank - age_weight·waited, ties by lot."""
    a, b, weight = town.agents[i], town.agents[j], rules.law.age_weight
    order_a = f32(a.rank) - weight * f32(a.waited)
    order_b = f32(b.rank) - weight * f32(b.waited)
    return order_a < order_b or (order_a == order_b and a.lot < b.lot)


@compiled
def head(town: Town, rules: Rules, o: int) -> int:
    """Return who waits first for an object; the holder does not wait."""
    first = NOBODY
    for i in range(len(town.agents)):
        if (
            town.agents[i].queue == o
            and town.things[o].holder != i
            and (first == NOBODY or ahead(town, rules, i, first))
        ):
            first = i
    return first


@compiled
def join(town: Town, i: int, o: int) -> None:
    """Stand at the end of a queue."""
    agent, thing = town.agents[i], town.things[o]
    agent.queue, agent.rank, agent.waited = o, thing.line, 0
    agent.lot = draw(town.clock.key, LOT, town.clock.tick, i)
    thing.waiting += 1


@compiled
def leave(town: Town, i: int) -> None:
    """Step out of a queue, or give an object free; an unfinished use is lost."""
    agent = town.agents[i]
    if agent.queue == NOBODY:
        return
    thing = town.things[agent.queue]
    if thing.holder == i:
        thing.holder, thing.running, thing.progress, thing.granted, thing.stall = NOBODY, 0, 0, 0, 0
    else:
        thing.waiting -= 1
    agent.queue, agent.running = NOBODY, 0


@compiled
def request(town: Town, rules: Rules) -> None:
    """Let agents leave queues they no longer want and join the chosen one, within reach and unless a rival is there.

    Waiting and chatting keep a place; any other choice gives it up.
    """
    reach = rules.law.join_distance
    for o in range(len(town.things)):
        town.things[o].line = town.things[o].waiting
    for i in range(len(town.agents)):
        agent = town.agents[i]
        if agent.respawn > 0 or agent.running == 1:
            continue
        chosen = agent.intent - USE
        if agent.queue != NOBODY:
            stays = agent.intent in (WAIT, CHAT) or chosen == agent.queue
            if not stays or not usable(town, rules, i, agent.queue):
                leave(town, i)
        if agent.shunned != chosen:
            agent.shunned = NOBODY
        if chosen >= 0 and agent.queue != chosen:
            thing = town.things[chosen]
            if distance(agent.x, agent.y, thing.x, thing.y) <= reach and usable(town, rules, i, chosen):
                rival = avoided(town, rules, i, chosen)
                if rival == NOBODY:
                    join(town, i, chosen)
                elif agent.shunned != chosen:
                    agent.shunned = chosen
                    avoid(town, i, rival)


@compiled
def grant(town: Town, rules: Rules) -> None:
    """Give every free object to the heir of its last user, or else to the head of its queue."""
    for o in range(len(town.things)):
        thing = town.things[o]
        if thing.holder == NOBODY and thing.waiting > 0:
            named = thing.heir != NOBODY and town.agents[thing.heir].queue == o
            thing.holder = thing.heir if named else head(town, rules, o)
            thing.waiting -= 1
            thing.granted, thing.stall = 0, 0
        thing.heir = NOBODY


@compiled
def start(town: Town) -> None:
    """Let holders who stand beside their object begin."""
    for o in range(len(town.things)):
        thing = town.things[o]
        if thing.holder != NOBODY and thing.running == 0:
            agent = town.agents[thing.holder]
            if distance(agent.x, agent.y, thing.x, thing.y) <= 1:
                thing.running, thing.progress, agent.running = 1, 0, 1


@compiled
def hand_over(town: Town, rules: Rules, i: int, o: int) -> None:
    """Let i, whose use just ended, name who follows: regard less 0.05 for each place further back, ties by place.

    Where i bears its successor no grudge, that is polite and brings the two closer.
    """
    thing, manners = town.things[o], rules.manners
    best = f32(0)
    for j in range(len(town.agents)):
        if town.agents[j].queue != o:
            continue
        place = 0
        for k in range(len(town.agents)):
            if town.agents[k].queue == o and k != j and ahead(town, rules, k, j):
                place += 1
        liking = regard(town, i, j) - manners.handover_place * f32(place)
        if thing.heir == NOBODY or liking > best or (liking == best and ahead(town, rules, j, thing.heir)):
            thing.heir, best = j, liking
    if thing.heir != NOBODY and regard(town, i, thing.heir) >= f32(0):
        befriend(town, i, thing.heir, manners.handover, manners.handover)
        resent(town, i, thing.heir, -manners.handover)
        town.ledger.handovers += 1


@compiled
def finish(town: Town, rules: Rules, o: int) -> None:
    """End a use that is done: its effects, the company at table, the successor."""
    thing = town.things[o]
    i, offer = thing.holder, rules.affordances[thing.kind]
    apply_effects(town, rules, i, o)
    if offer.stock > 0 and offer.makes == 0:
        share_meal(town, rules, i, offer.duration)
    if thing.waiting > 0:
        hand_over(town, rules, i, o)


@compiled
def advance(town: Town, rules: Rules) -> None:
    """Play one tick of every use and of every wait; finish what is done, break off what has lost its supply."""
    for i in range(len(town.agents)):
        agent = town.agents[i]
        if agent.queue != NOBODY and town.things[agent.queue].holder != i:
            agent.waited += 1
            agent.waits += 1
    for o in range(len(town.things)):
        thing = town.things[o]
        if thing.running == 1:
            offer = rules.affordances[thing.kind]
            thing.progress += 1
            thing.busy += 1
            if not supplied(town.clock, offer):
                leave(town, thing.holder)
            elif thing.progress >= offer.duration:
                finish(town, rules, o)


@compiled
def evict_ghost(town: Town, rules: Rules, o: int) -> None:
    """Send a holder who did not come to the tail; the head of the queue, if any, quarrels with it."""
    thing = town.things[o]
    ghost, first, last = thing.holder, head(town, rules, o), 0
    for j in range(len(town.agents)):
        if town.agents[j].queue == o and j != ghost:
            last = max(last, town.agents[j].rank + 1)
    if first != NOBODY:
        quarrel(town, rules, ghost, first, _GHOST_STEP, thing.waiting)
        town.ledger.ghosts += 1
    agent = town.agents[ghost]
    agent.rank, agent.waited = last, 0
    thing.holder, thing.granted = NOBODY, 0
    thing.waiting += 1


@compiled
def conflicts(town: Town, rules: Rules) -> None:
    """Count ghost steps, and waits on a running user that last too long."""
    law = rules.law
    for i in range(len(town.agents)):
        town.agents[i].strife = f32(0)
    for o in range(len(town.things)):
        thing = town.things[o]
        if thing.holder == NOBODY:
            continue
        if thing.running == 0:
            thing.granted += 1
            if thing.granted >= law.ghost_step_after:
                evict_ghost(town, rules, o)
        elif thing.waiting > 0:
            thing.stall += 1
            if thing.stall >= law.stall_patience:
                thing.stall = 0
                quarrel(town, rules, thing.holder, head(town, rules, o), _BLOCKED, thing.waiting)
