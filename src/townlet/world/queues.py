"""Queues: one membership per agent, one holder per object, and the conflicts of those who wait."""

from townlet.compiled import f32, kernel
from townlet.world.affordances import apply_effects, supplied, usable
from townlet.world.features import CHAT, USE, WAIT
from townlet.world.kernel_rng import TIE_BREAK, draw
from townlet.world.movement import distance
from townlet.world.relations import change_both_relations, regard, share_meal
from townlet.world.rivalry import add_rivalry, record_avoidance, record_conflict, rival_in_queue
from townlet.world.rows import NOBODY
from townlet.world.rules import Rules
from townlet.world.state import Town

__all__ = ["advance", "ahead", "conflicts", "grant", "head", "leave", "request", "start"]

_GHOST_STEP, _BLOCKED = f32(1.5), f32(0.4)


@kernel
def ahead(town: Town, rules: Rules, i: int, j: int) -> bool:
    """Tell whether i comes before j: order = rank - age_weight·waited, ties by lot."""
    a, b, weight = town.agents[i], town.agents[j], rules.constants.age_weight
    order_a = f32(a.rank) - weight * f32(a.waited)
    order_b = f32(b.rank) - weight * f32(b.waited)
    return order_a < order_b or (order_a == order_b and a.tie_break < b.tie_break)


@kernel
def head(town: Town, rules: Rules, o: int) -> int:
    """Return who waits first for an object; the holder does not wait."""
    first = NOBODY
    for i in range(len(town.agents)):
        if (
            town.agents[i].queue == o
            and town.objects[o].holder != i
            and (first == NOBODY or ahead(town, rules, i, first))
        ):
            first = i
    return first


@kernel
def join(town: Town, i: int, o: int) -> None:
    """Stand at the end of a queue."""
    agent, item = town.agents[i], town.objects[o]
    agent.queue, agent.rank, agent.waited = o, item.rank_base, 0
    agent.tie_break = draw(town.clock.key, TIE_BREAK, town.clock.tick, i)
    item.waiting += 1


@kernel
def leave(town: Town, i: int) -> None:
    """Step out of a queue, or give an object free; an unfinished use is lost."""
    agent = town.agents[i]
    if agent.queue == NOBODY:
        return
    item = town.objects[agent.queue]
    if item.holder == i:
        item.holder, item.running, item.progress, item.granted, item.stall = NOBODY, 0, 0, 0, 0
    else:
        item.waiting -= 1
    agent.queue, agent.running = NOBODY, 0


@kernel
def request(town: Town, rules: Rules) -> None:
    """Let agents leave queues they no longer want and join the chosen one, within reach and unless a rival is there.

    Waiting and chatting keep a place; any other choice gives it up.
    """
    reach = rules.constants.join_distance
    for o in range(len(town.objects)):
        town.objects[o].rank_base = town.objects[o].waiting
    for i in range(len(town.agents)):
        agent = town.agents[i]
        if agent.respawn > 0 or agent.running == 1:
            continue
        chosen = agent.intent - USE
        if agent.queue != NOBODY:
            stays = agent.intent in (WAIT, CHAT) or chosen == agent.queue
            if not stays or not usable(town, rules, i, agent.queue):
                leave(town, i)
        if agent.avoided_object != chosen:
            agent.avoided_object = NOBODY
        if chosen >= 0 and agent.queue != chosen:
            item = town.objects[chosen]
            if distance(agent.x, agent.y, item.x, item.y) <= reach and usable(town, rules, i, chosen):
                rival = rival_in_queue(town, rules, i, chosen)
                if rival == NOBODY:
                    join(town, i, chosen)
                elif agent.avoided_object != chosen:
                    agent.avoided_object = chosen
                    record_avoidance(town, i, rival)


@kernel
def grant(town: Town, rules: Rules) -> None:
    """Give every free object to the heir of its last user, or else to the head of its queue."""
    for o in range(len(town.objects)):
        item = town.objects[o]
        if item.holder == NOBODY and item.waiting > 0:
            named = item.next_holder != NOBODY and town.agents[item.next_holder].queue == o
            item.holder = item.next_holder if named else head(town, rules, o)
            item.waiting -= 1
            item.granted, item.stall = 0, 0
        item.next_holder = NOBODY


@kernel
def start(town: Town) -> None:
    """Let holders who stand beside their object begin."""
    for o in range(len(town.objects)):
        item = town.objects[o]
        if item.holder != NOBODY and item.running == 0:
            agent = town.agents[item.holder]
            if distance(agent.x, agent.y, item.x, item.y) <= 1:
                item.running, item.progress, agent.running = 1, 0, 1


@kernel
def hand_over(town: Town, rules: Rules, i: int, o: int) -> None:
    """Let i, whose use just ended, name who follows: regard less 0.05 for each place further back, ties by place.

    Where i's regard for its successor is not negative, the handover is polite: their relation improves.
    """
    item, relation_constants = town.objects[o], rules.relation_constants
    best = f32(0)
    for j in range(len(town.agents)):
        if town.agents[j].queue != o:
            continue
        place = 0
        for k in range(len(town.agents)):
            if town.agents[k].queue == o and k != j and ahead(town, rules, k, j):
                place += 1
        liking = regard(town, i, j) - relation_constants.handover_place * f32(place)
        if item.next_holder == NOBODY or liking > best or (liking == best and ahead(town, rules, j, item.next_holder)):
            item.next_holder, best = j, liking
    if item.next_holder != NOBODY and regard(town, i, item.next_holder) >= f32(0):
        change_both_relations(town, i, item.next_holder, relation_constants.handover, relation_constants.handover)
        add_rivalry(town, i, item.next_holder, -relation_constants.handover)
        town.ledger.handovers += 1


@kernel
def finish(town: Town, rules: Rules, o: int) -> None:
    """End a use that is done: its effects, the company at table, the successor."""
    item = town.objects[o]
    i, affordance = item.holder, rules.affordances[item.kind]
    apply_effects(town, rules, i, o)
    if affordance.stock > 0 and affordance.makes == 0:
        share_meal(town, rules, i, affordance.duration)
    if item.waiting > 0:
        hand_over(town, rules, i, o)


@kernel
def advance(town: Town, rules: Rules) -> None:
    """Play one tick of every use and of every wait; finish what is done, break off what has lost its supply."""
    for i in range(len(town.agents)):
        agent = town.agents[i]
        if agent.queue != NOBODY and town.objects[agent.queue].holder != i:
            agent.waited += 1
            agent.waits += 1
    for o in range(len(town.objects)):
        item = town.objects[o]
        if item.running == 1:
            affordance = rules.affordances[item.kind]
            item.progress += 1
            item.busy += 1
            if not supplied(town.clock, affordance):
                leave(town, item.holder)
            elif item.progress >= affordance.duration:
                finish(town, rules, o)


@kernel
def evict_ghost(town: Town, rules: Rules, o: int) -> None:
    """Send a holder who did not come to the tail; the head of the queue, if any, quarrels with it."""
    item = town.objects[o]
    ghost, first, last = item.holder, head(town, rules, o), 0
    for j in range(len(town.agents)):
        if town.agents[j].queue == o and j != ghost:
            last = max(last, town.agents[j].rank + 1)
    if first != NOBODY:
        record_conflict(town, rules, ghost, first, _GHOST_STEP, item.waiting)
        town.ledger.ghost_steps += 1
    agent = town.agents[ghost]
    agent.rank, agent.waited = last, 0
    item.holder, item.granted = NOBODY, 0
    item.waiting += 1


@kernel
def conflicts(town: Town, rules: Rules) -> None:
    """Count ghost steps, and waits on a running user that last too long."""
    constants = rules.constants
    for i in range(len(town.agents)):
        town.agents[i].conflict_sum = f32(0)
    for o in range(len(town.objects)):
        item = town.objects[o]
        if item.holder == NOBODY:
            continue
        if item.running == 0:
            item.granted += 1
            if item.granted >= constants.ghost_step_after:
                evict_ghost(town, rules, o)
        elif item.waiting > 0:
            item.stall += 1
            if item.stall >= constants.stall_patience:
                item.stall = 0
                record_conflict(town, rules, item.holder, head(town, rules, o), _BLOCKED, item.waiting)
