"""What agents see: features and legal actions, written once per decision, straight into place."""

import numpy as np
from numpy.typing import NDArray

from townlet.compiled import compiled, f32
from townlet.dto.town_rules import DAY
from townlet.world import features as see
from townlet.world.affordances import cost
from townlet.world.jobs import missed, on_shift
from townlet.world.lifecycle import absences
from townlet.world.movement import distance
from townlet.world.perturbations import BLACKOUT, MEET, OUTAGE, SPIKE
from townlet.world.queues import ahead
from townlet.world.relations import companion, quality
from townlet.world.rows import NOBODY
from townlet.world.rules import Rules
from townlet.world.state import Town

__all__ = ["OFFERS", "observe"]

_ZERO, _ONE = f32(0), f32(1)
_PER_TILE, _PER_HOUR, _PER_TEN, _PER_EIGHT = f32(1 / 24), f32(1 / 60), f32(1 / 10), f32(1 / 8)
_PER_STOCK, _PER_COIN, _RICH, _FULL = f32(1 / see.STOCK_SCALE), f32(1 / 4), f32(8), f32(2)
_THIRD = f32(1 / 3)
_LONG = 8 * 60
OFFERS = 6
"""Rows of what an object offers."""
_COLUMN, _ROW, _COST, _FED, _CLEAN, _RESTED = range(OFFERS)


@compiled
def permit(town: Town, i: int, other: int, offers: NDArray[np.float32], mask: NDArray[np.bool_]) -> None:
    """Write which actions [A] are legal: the dead and the running can only wait, chatting takes company or a call."""
    agent, now, ready = town.agents[i], town.clock.tick, town.ready[i]
    free = agent.respawn == 0 and agent.running == 0
    mask[see.WAIT] = True
    mask[see.WORK] = free and agent.job != NOBODY
    mask[see.HOME] = free
    mask[see.LEAVE] = free and agent.queue != NOBODY
    mask[see.CHAT] = free and (other != NOBODY or agent.called == 1)
    mask[see.AWAY] = free
    objects, cost, hungry, dirty, tired = mask[see.USE :], offers[_COST], offers[_FED], offers[_CLEAN], offers[_RESTED]
    objects[:] = False
    wallet, hunger, hygiene, energy = agent.wallet, agent.hunger, agent.hygiene, agent.energy
    for o in range(len(cost)):
        serves = (hunger <= hungry[o]) & (hygiene <= dirty[o]) & (energy <= tired[o])
        objects[o] = free & serves & (wallet >= cost[o]) & (now >= ready[o])


@compiled
def see_town(town: Town, rules: Rules, sky: NDArray[np.float32], row: NDArray[np.float32]) -> None:
    """Write what everybody sees alike: the time, the utilities, the objects."""
    row[:] = _ZERO
    clock, law = town.clock, rules.law
    now = (clock.start + clock.tick) % DAY
    row[see.DAY_SIN], row[see.DAY_COS] = sky[now, 0], sky[now, 1]
    row[see.PRICE], row[see.POWER], row[see.WATER] = clock.price - _ONE, f32(clock.power), f32(clock.water)
    row[see.SPIKE_LEFT] = f32(max(town.upsets[SPIKE].ends - clock.tick, 0)) * _PER_HOUR
    row[see.BLACKOUT_LEFT] = f32(max(town.upsets[BLACKOUT].ends - clock.tick, 0)) * _PER_HOUR
    row[see.OUTAGE_LEFT] = f32(max(town.upsets[OUTAGE].ends - clock.tick, 0)) * _PER_HOUR
    slots = (len(row) - see.FIRST_OBJECT) // see.OBJECT_WIDTH
    for o in range(len(town.things)):
        thing, slot = town.things[o], see.FIRST_OBJECT + o
        row[slot + thing.kind * slots] = _ONE
        row[slot + see.WAITING * slots] = f32(thing.waiting) * _PER_EIGHT
        row[slot + see.STOCK * slots] = min(f32(thing.stock) * _PER_STOCK, _FULL)
        if thing.holder != NOBODY:
            row[slot + see.LEFT * slots] = f32(rules.affordances[thing.kind].duration - thing.progress) * _PER_HOUR
            row[slot + see.STALL * slots] = f32(thing.stall) / f32(law.stall_patience)


@compiled
def offer(town: Town, rules: Rules, offers: NDArray[np.float32]) -> None:
    """Write where each object is, what a use costs now, and the most of each need at which it still serves."""
    for o in range(len(town.things)):
        thing, refuse = town.things[o], rules.law.refuse_above
        serves = rules.affordances[thing.kind].serves
        offers[_COLUMN, o], offers[_ROW, o], offers[_COST, o] = f32(thing.x), f32(thing.y), cost(town, rules, o)
        offers[_FED, o] = refuse if serves == 0 else _ONE
        offers[_CLEAN, o] = refuse if serves == 1 else _ONE
        offers[_RESTED, o] = refuse if serves == 2 else _ONE


@compiled
def see_itself(town: Town, rules: Rules, i: int, other: int, row: NDArray[np.float32]) -> None:
    """Write body, purse, home, company and summons."""
    agent, clock = town.agents[i], town.clock
    row[see.HUNGER], row[see.HYGIENE], row[see.ENERGY] = agent.hunger, agent.hygiene, agent.energy
    row[see.WALLET] = min(agent.wallet, _RICH) * _PER_COIN
    row[see.HOME_DX] = f32(agent.home_x - agent.x) * _PER_TILE
    row[see.HOME_DY] = f32(agent.home_y - agent.y) * _PER_TILE
    row[see.HOME_DISTANCE] = f32(distance(agent.x, agent.y, agent.home_x, agent.home_y)) * _PER_TILE
    row[see.STARVING] = f32(agent.starving) / f32(rules.law.faint_after)
    row[see.CHAT_WAIT] = f32(max(agent.chat_from - clock.tick, 0)) * _PER_HOUR
    if other != NOBODY:
        row[see.COMPANY] = _ONE
        row[see.COMPANY_TRUST] = town.ties[i, other].trust
        row[see.COMPANY_FAMILIARITY] = town.ties[i, other].familiarity
        row[see.COMPANY_QUALITY] = quality(town, i, other)
    if agent.called == 1:
        meeting = town.upsets[MEET]
        row[see.CALLED] = _ONE
        row[see.MEET_LEFT] = f32(meeting.ends - clock.tick) * _PER_HOUR
        row[see.MEET_DX] = f32(meeting.x - agent.x) * _PER_TILE
        row[see.MEET_DY] = f32(meeting.y - agent.y) * _PER_TILE


@compiled
def until(ticks: int) -> float:
    """Return t / (t + HALFWAY): a minute weighs the more, the fewer are left."""
    return f32(ticks) / f32(ticks + see.HALFWAY)


@compiled
def see_duty(town: Town, rules: Rules, i: int, row: NDArray[np.float32]) -> None:
    """Write the shift and the site of those who have a job."""
    agent, law = town.agents[i], rules.law
    if agent.job == NOBODY:
        return
    job = rules.jobs[agent.job]
    now = (town.clock.start + town.clock.tick) % DAY
    row[see.EMPLOYED] = _ONE
    if on_shift(town, job):
        row[see.ON_SHIFT] = _ONE
        row[see.SHIFT_LEFT] = until(job.end - now)
        row[see.MISSED] = f32(min(missed(agent), law.absent_after)) / f32(max(law.absent_after, 1))
        row[see.ARRIVED], row[see.LATE], row[see.ABSENT] = f32(agent.arrived), f32(agent.late), f32(agent.absent)
        row[see.EXCUSED] = f32(agent.excused)
    else:
        row[see.TO_SHIFT] = until((job.start - now + DAY) % DAY)
    row[see.ATTENDANCE] = (agent.share_1 + agent.share_2 + agent.share_3) * _THIRD
    row[see.ABSENCES] = f32(absences(agent.ring)) * _THIRD
    row[see.SITE_DX] = f32(job.x - agent.x) * _PER_TILE
    row[see.SITE_DY] = f32(job.y - agent.y) * _PER_TILE
    row[see.SITE_DISTANCE] = f32(distance(agent.x, agent.y, job.x, job.y)) * _PER_TILE


@compiled
def see_queue(town: Town, rules: Rules, i: int, row: NDArray[np.float32]) -> None:
    """Write the queue it stands in: its place, how long, and how far the use is."""
    agent = town.agents[i]
    if agent.queue == NOBODY:
        return
    thing = town.things[agent.queue]
    row[see.QUEUED] = _ONE
    row[see.QUEUE_WAITED] = f32(min(agent.waited, _LONG)) * _PER_HOUR
    if thing.holder == i:
        row[see.RUNNING] = f32(agent.running)
        row[see.GRANTED] = _ONE
        row[see.GRANTED_FOR] = f32(thing.granted) * _PER_TEN
        row[see.RUNNING_LEFT] = f32(rules.affordances[thing.kind].duration - thing.progress) * _PER_HOUR
        return
    before = 0
    for j in range(len(town.agents)):
        if j != i and town.agents[j].queue == agent.queue and (thing.holder == j or ahead(town, rules, j, i)):
            before += 1
    row[see.QUEUE_PLACE] = f32(before) * _PER_EIGHT


@compiled
def see_person(town: Town, i: int, j: int, row: NDArray[np.float32]) -> None:
    """Write where another stands and what lies between the two; nothing where there is nobody."""
    if j == NOBODY:
        return
    agent, other = town.agents[i], town.agents[j]
    row[see.PERSON_DX] = f32(other.x - agent.x) * _PER_TILE
    row[see.PERSON_DY] = f32(other.y - agent.y) * _PER_TILE
    row[see.PERSON_TRUST] = town.ties[i, j].trust
    row[see.PERSON_FAMILIARITY] = town.ties[i, j].familiarity
    row[see.PERSON_RIVALRY] = town.rivalry[i, j]
    row[see.PERSON_SAME_QUEUE] = _ONE if other.queue != NOBODY and other.queue == agent.queue else _ZERO


@compiled
def see_people(town: Town, rules: Rules, i: int, row: NDArray[np.float32]) -> None:
    """Write the best two friends, the worst two rivals (lower slots first among equals) and where rivals stand."""
    rivalry, avoid = town.rivalry[i], rules.law.avoid
    slots = (len(row) - see.FIRST_OBJECT) // see.OBJECT_WIDTH
    rivals = row[see.FIRST_OBJECT + see.RIVAL_HERE * slots :]
    best, good, worst, bad, shunned = NOBODY, NOBODY, NOBODY, NOBODY, 0
    most, more, gravest, graver = _ZERO, _ZERO, _ZERO, _ZERO
    for j in range(len(town.agents)):
        tie, grudge = town.ties[i, j], rivalry[j]
        warmth = tie.trust + tie.familiarity
        # choices without branches: who stands where among friends and rivals cannot be predicted
        first, second = warmth > most, warmth > more
        good, more = (best, most) if first else ((j, warmth) if second else (good, more))
        best, most = (j, warmth) if first else (best, most)
        first, second = grudge > gravest, grudge > graver
        bad, graver = (worst, gravest) if first else ((j, grudge) if second else (bad, graver))
        worst, gravest = (j, grudge) if first else (worst, gravest)
        if grudge >= avoid:
            shunned += 1
            if town.agents[j].queue != NOBODY:
                rivals[town.agents[j].queue] = _ONE
    row[see.RIVALRY_AVOID_COUNT] = f32(shunned) * _PER_EIGHT
    row[see.RIVALRY_MAX] = gravest
    people = row[see.FIRST_PERSON : see.FIRST_OBJECT]
    see_person(town, i, best, people[: see.PERSON_WIDTH])
    see_person(town, i, good, people[see.PERSON_WIDTH : 2 * see.PERSON_WIDTH])
    see_person(town, i, worst, people[2 * see.PERSON_WIDTH : 3 * see.PERSON_WIDTH])
    see_person(town, i, bad, people[3 * see.PERSON_WIDTH :])


@compiled
def see_objects(town: Town, i: int, offers: NDArray[np.float32], row: NDArray[np.float32]) -> None:
    """Write where every object lies from here, and whether it serves again."""
    agent, now, ready = town.agents[i], town.clock.tick, town.ready[i]
    x, y, columns, rows = f32(agent.x), f32(agent.y), offers[_COLUMN], offers[_ROW]
    slots = (len(row) - see.FIRST_OBJECT) // see.OBJECT_WIDTH
    dx, dy = row[see.FIRST_OBJECT + see.DX * slots :], row[see.FIRST_OBJECT + see.DY * slots :]
    apart, wait = row[see.FIRST_OBJECT + see.DISTANCE * slots :], row[see.FIRST_OBJECT + see.COOLDOWN * slots :]
    for o in range(len(columns)):
        dx[o] = (columns[o] - x) * _PER_TILE
        dy[o] = (rows[o] - y) * _PER_TILE
        apart[o] = (abs(columns[o] - x) + abs(rows[o] - y)) * _PER_TILE
        wait[o] = f32(max(ready[o] - now, 0)) * _PER_TEN
    if agent.queue != NOBODY:
        row[see.FIRST_OBJECT + see.MINE * slots + agent.queue] = _ONE


@compiled
def observe(  # kernels take no keywords
    town: Town,
    rules: Rules,
    sky: NDArray[np.float32],
    board: NDArray[np.float32],
    offers: NDArray[np.float32],
    rows: NDArray[np.float32],
    mask: NDArray[np.bool_],
    alive: NDArray[np.bool_],
) -> None:
    """Write features [N, F], legal actions [N, A] and the living [N]; the rows of the dead are zero.

    What everybody sees alike is written once, on `board` [F], and copied; `offers` [6, O] is scratch for the objects.
    """
    see_town(town, rules, sky, board)
    offer(town, rules, offers)
    for i in range(len(town.agents)):
        row = rows[i]
        alive[i] = town.agents[i].respawn == 0
        other = companion(town, rules, i) if alive[i] and town.agents[i].running == 0 else NOBODY
        permit(town, i, other, offers, mask[i])
        if alive[i]:
            for f in range(len(row)):
                row[f] = board[f]
            see_itself(town, rules, i, other, row)
            see_duty(town, rules, i, row)
            see_queue(town, rules, i, row)
            see_people(town, rules, i, row)
            see_objects(town, i, offers, row)
        else:
            row[:] = _ZERO
