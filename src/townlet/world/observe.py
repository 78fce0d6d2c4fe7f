"""Observations: features and action masks, written once per decision into the buffers."""

import numpy as np
from numpy.typing import NDArray

from townlet.compiled import f32, i64, kernel
from townlet.dto.town_rules import DAY
from townlet.world import features as feature
from townlet.world.affordances import cost
from townlet.world.jobs import missed_ticks, on_shift
from townlet.world.lifecycle import count_absences
from townlet.world.movement import distance
from townlet.world.needs import NEED_COUNT, level, levels
from townlet.world.perturbations import BLACKOUT, MEET, OUTAGE, SPIKE
from townlet.world.queues import ahead
from townlet.world.relations import chat_partner, chat_quality, free_to_chat
from townlet.world.rows import NOBODY
from townlet.world.rules import Rules
from townlet.world.state import Town

__all__ = ["OBJECT_TABLE_ROWS", "observe"]

_ZERO, _ONE = f32(0), f32(1)
_PER_TILE, _PER_HOUR, _PER_TEN, _PER_EIGHT = f32(1 / 24), f32(1 / 60), f32(1 / 10), f32(1 / 8)
_PER_STOCK, _PER_COIN, _RICH, _FULL = f32(1 / feature.STOCK_SCALE), f32(1 / 4), f32(8), f32(2)
_THIRD = f32(1 / 3)
_LONG = 8 * 60
_SLOT_BITS, _SLOT_MASK = i64(8), i64(255)
_COLUMN, _ROW, _COST, _MAX_LEVEL = range(4)
OBJECT_TABLE_ROWS = _MAX_LEVEL + NEED_COUNT
"""Rows of the object table: column, row, price, then the highest level of each need."""


@kernel
def write_action_mask(
    town: Town, i: int, other: int, object_table: NDArray[np.float32], mask: NDArray[np.bool_]
) -> None:
    """Write the action mask [A]: dead agents and object users can only wait; chat needs a partner or an invitation."""
    agent, now, ready = town.agents[i], town.clock.tick, town.ready[i]
    free = (agent.respawn == 0) & (agent.running == 0)
    mask[feature.WAIT] = True
    mask[feature.WORK] = free & (agent.job != NOBODY)
    mask[feature.HOME] = free
    mask[feature.LEAVE] = free & (agent.queue != NOBODY)
    mask[feature.CHAT] = free & ((other != NOBODY) | (agent.called == 1))
    mask[feature.AWAY] = free
    objects, cost, wallet, own = mask[feature.USE :], object_table[_COST], agent.wallet, levels(agent)
    for o in range(len(cost)):
        serves = free
        for need in range(NEED_COUNT):  # unrolled
            serves &= own[need] <= object_table[_MAX_LEVEL + need, o]
        objects[o] = serves & (wallet >= cost[o]) & (now >= ready[o])
    for o in range(len(cost), len(objects)):
        objects[o] = False


@kernel
def write_town(town: Town, rules: Rules, time_of_day: NDArray[np.float32], row: NDArray[np.float32]) -> None:
    """Write the features that all agents share: time, utilities, objects."""
    row[:] = _ZERO
    clock, constants = town.clock, rules.constants
    now = (clock.start + clock.tick) % DAY
    row[feature.DAY_SIN], row[feature.DAY_COS] = time_of_day[now, 0], time_of_day[now, 1]
    row[feature.PRICE], row[feature.POWER], row[feature.WATER] = clock.price - _ONE, f32(clock.power), f32(clock.water)
    row[feature.SPIKE_LEFT] = f32(max(town.perturbations[SPIKE].ends - clock.tick, 0)) * _PER_HOUR
    row[feature.BLACKOUT_LEFT] = f32(max(town.perturbations[BLACKOUT].ends - clock.tick, 0)) * _PER_HOUR
    row[feature.OUTAGE_LEFT] = f32(max(town.perturbations[OUTAGE].ends - clock.tick, 0)) * _PER_HOUR
    slots = (len(row) - feature.FIRST_OBJECT) // feature.OBJECT_WIDTH
    for o in range(len(town.objects)):
        item, slot = town.objects[o], feature.FIRST_OBJECT + o
        row[slot + item.kind * slots] = _ONE
        row[slot + feature.WAITING * slots] = f32(item.waiting) * _PER_EIGHT
        row[slot + feature.STOCK * slots] = min(f32(item.stock) * _PER_STOCK, _FULL)
        if item.holder != NOBODY:
            row[slot + feature.LEFT * slots] = f32(rules.affordances[item.kind].duration - item.progress) * _PER_HOUR
            row[slot + feature.STALL * slots] = f32(item.stall) / f32(constants.stall_patience)


@kernel
def write_object_table(town: Town, rules: Rules, object_table: NDArray[np.float32]) -> None:
    """Write position, price now and highest level of each need at which an object still serves [3 + needs, O]."""
    for o in range(len(town.objects)):
        item, refuse = town.objects[o], rules.constants.refuse_above
        serves = rules.affordances[item.kind].serves
        object_table[_COLUMN, o], object_table[_ROW, o], object_table[_COST, o] = (
            f32(item.x),
            f32(item.y),
            cost(town, rules, o),
        )
        for need in range(NEED_COUNT):
            object_table[_MAX_LEVEL + need, o] = refuse if serves == need else _ONE


@kernel
def write_self(town: Town, rules: Rules, i: int, other: int, row: NDArray[np.float32]) -> None:
    """Write an agent's needs, wallet, home, chat partner and invitation."""
    agent, clock = town.agents[i], town.clock
    for need in range(NEED_COUNT):
        row[feature.FIRST_NEED + need] = level(agent, need)
    row[feature.WALLET] = min(agent.wallet, _RICH) * _PER_COIN
    row[feature.HOME_DX] = f32(agent.home_x - agent.x) * _PER_TILE
    row[feature.HOME_DY] = f32(agent.home_y - agent.y) * _PER_TILE
    row[feature.HOME_DISTANCE] = f32(distance(agent.x, agent.y, agent.home_x, agent.home_y)) * _PER_TILE
    row[feature.STARVING] = f32(agent.starving) / f32(rules.constants.faint_after)
    row[feature.CHAT_WAIT] = f32(max(agent.chat_from - clock.tick, 0)) * _PER_HOUR
    if other != NOBODY:
        row[feature.COMPANY] = _ONE
        row[feature.COMPANY_TRUST] = town.relations[i, other].trust
        row[feature.COMPANY_FAMILIARITY] = town.relations[i, other].familiarity
        row[feature.COMPANY_QUALITY] = chat_quality(town, i, other)
    if agent.called == 1:
        meeting = town.perturbations[MEET]
        row[feature.CALLED] = _ONE
        row[feature.MEET_LEFT] = f32(meeting.ends - clock.tick) * _PER_HOUR
        row[feature.MEET_DX] = f32(meeting.x - agent.x) * _PER_TILE
        row[feature.MEET_DY] = f32(meeting.y - agent.y) * _PER_TILE


@kernel
def time_left(ticks: int) -> float:
    """Return t / (t + HALFWAY), which resolves short times finely."""
    return f32(ticks) / f32(ticks + feature.HALFWAY)


@kernel
def write_duty(town: Town, rules: Rules, i: int, row: NDArray[np.float32]) -> None:
    """Write the shift and the site of an agent that has a job."""
    agent, constants = town.agents[i], rules.constants
    if agent.job == NOBODY:
        return
    job = rules.jobs[agent.job]
    now = (town.clock.start + town.clock.tick) % DAY
    row[feature.EMPLOYED] = _ONE
    if on_shift(town, job):
        row[feature.ON_SHIFT] = _ONE
        row[feature.SHIFT_LEFT] = time_left(job.end - now)
        row[feature.MISSED] = f32(min(missed_ticks(agent), constants.absent_after)) / f32(
            max(constants.absent_after, 1)
        )
        row[feature.ARRIVED], row[feature.LATE], row[feature.ABSENT] = (
            f32(agent.arrived),
            f32(agent.late),
            f32(agent.absent),
        )
        row[feature.EXCUSED] = f32(agent.excused)
    else:
        row[feature.TO_SHIFT] = time_left((job.start - now + DAY) % DAY)
    row[feature.ATTENDANCE] = (agent.share_1 + agent.share_2 + agent.share_3) * _THIRD
    row[feature.ABSENCES] = f32(count_absences(agent.absence_bits)) * _THIRD
    row[feature.SITE_DX] = f32(job.x - agent.x) * _PER_TILE
    row[feature.SITE_DY] = f32(job.y - agent.y) * _PER_TILE
    row[feature.SITE_DISTANCE] = f32(distance(agent.x, agent.y, job.x, job.y)) * _PER_TILE


@kernel
def write_queue(town: Town, rules: Rules, i: int, row: NDArray[np.float32]) -> None:
    """Write an agent's queue: place, waiting time, progress of the use."""
    agent = town.agents[i]
    if agent.queue == NOBODY:
        return
    item = town.objects[agent.queue]
    row[feature.QUEUED] = _ONE
    row[feature.QUEUE_WAITED] = f32(min(agent.waited, _LONG)) * _PER_HOUR
    if item.holder == i:
        row[feature.RUNNING] = f32(agent.running)
        row[feature.GRANTED] = _ONE
        row[feature.GRANTED_FOR] = f32(item.granted) * _PER_TEN
        row[feature.RUNNING_LEFT] = f32(rules.affordances[item.kind].duration - item.progress) * _PER_HOUR
        return
    before = 0
    for j in range(len(town.agents)):
        if j != i and town.agents[j].queue == agent.queue and (item.holder == j or ahead(town, rules, j, i)):
            before += 1
    row[feature.QUEUE_PLACE] = f32(before) * _PER_EIGHT


@kernel
def write_person(town: Town, i: int, j: int, row: NDArray[np.float32]) -> None:
    """Write position of and relation to agent j; for i itself, to whom it has none, zeros."""
    agent, other = town.agents[i], town.agents[j]
    row[feature.PERSON_DX] = f32(other.x - agent.x) * _PER_TILE
    row[feature.PERSON_DY] = f32(other.y - agent.y) * _PER_TILE
    row[feature.PERSON_TRUST] = town.relations[i, j].trust
    row[feature.PERSON_FAMILIARITY] = town.relations[i, j].familiarity
    row[feature.PERSON_RIVALRY] = town.rivalry[i, j]
    row[feature.PERSON_SAME_QUEUE] = f32((other.queue == agent.queue) & (agent.queue != NOBODY) & (j != i))


@kernel
def sort_key(value: float, j: int) -> int:
    """Return a number that is positive where the value is, and the larger the larger it is; then the lower the slot j.

    The bits of positive float32 are ordered as their values are. Numbers are compared without branches, and who stands
    where among friends and rivals cannot be predicted.
    """
    return (i64(int(np.float32(value).view(np.int32))) << _SLOT_BITS) - j


@kernel
def slot_of(key: int, i: int) -> int:
    """Return the slot of a positive key, i for others."""
    return -key & _SLOT_MASK if key > 0 else i


@kernel
def write_rivals(town: Town, i: int, avoid: float, row: NDArray[np.float32]) -> None:
    """Write how many agents i avoids, and where they have a place."""
    slots = (len(row) - feature.FIRST_OBJECT) // feature.OBJECT_WIDTH
    rivals = row[feature.FIRST_OBJECT + feature.RIVAL_HERE * slots :]
    count = 0
    for j in range(len(town.agents)):
        if town.rivalry[i, j] >= avoid:
            count += 1
            if town.agents[j].queue != NOBODY:
                rivals[town.agents[j].queue] = _ONE
    row[feature.RIVALRY_AVOID_COUNT] = f32(count) * _PER_EIGHT


@kernel
def write_people(town: Town, rules: Rules, i: int, row: NDArray[np.float32]) -> None:
    """Write the two best friends, the two worst rivals (lower slot first among equals) and the queues with rivals."""
    avoid = rules.constants.avoid
    best, good, worst, bad = 0, 0, 0, 0
    for j in range(len(town.agents)):
        relation = town.relations[i, j]
        friend, rival = sort_key(relation.trust + relation.familiarity, j), sort_key(town.rivalry[i, j], j)
        best, good = max(best, friend), max(good, min(best, friend))
        worst, bad = max(worst, rival), max(bad, min(worst, rival))
    gravest = town.rivalry[i, slot_of(worst, i)]
    row[feature.RIVALRY_MAX] = gravest
    if gravest >= avoid:
        write_rivals(town, i, avoid, row)
    people = row[feature.FIRST_PERSON : feature.FIRST_OBJECT]
    write_person(town, i, slot_of(best, i), people[: feature.PERSON_WIDTH])
    write_person(town, i, slot_of(good, i), people[feature.PERSON_WIDTH : 2 * feature.PERSON_WIDTH])
    write_person(town, i, slot_of(worst, i), people[2 * feature.PERSON_WIDTH : 3 * feature.PERSON_WIDTH])
    write_person(town, i, slot_of(bad, i), people[3 * feature.PERSON_WIDTH :])


@kernel
def write_objects(town: Town, i: int, object_table: NDArray[np.float32], row: NDArray[np.float32]) -> None:
    """Write displacement, distance and cooldown of every object."""
    agent, now, ready = town.agents[i], town.clock.tick, town.ready[i]
    x, y, columns, rows = f32(agent.x), f32(agent.y), object_table[_COLUMN], object_table[_ROW]
    slots = (len(row) - feature.FIRST_OBJECT) // feature.OBJECT_WIDTH
    dx, dy = row[feature.FIRST_OBJECT + feature.DX * slots :], row[feature.FIRST_OBJECT + feature.DY * slots :]
    apart, wait = (
        row[feature.FIRST_OBJECT + feature.DISTANCE * slots :],
        row[feature.FIRST_OBJECT + feature.COOLDOWN * slots :],
    )
    for o in range(len(columns)):
        dx[o] = (columns[o] - x) * _PER_TILE
        dy[o] = (rows[o] - y) * _PER_TILE
        apart[o] = (abs(columns[o] - x) + abs(rows[o] - y)) * _PER_TILE
        wait[o] = f32(max(ready[o] - now, 0)) * _PER_TEN
    if agent.queue != NOBODY:
        row[feature.FIRST_OBJECT + feature.MINE * slots + agent.queue] = _ONE


@kernel
def observe(  # kernels take no keywords
    town: Town,
    rules: Rules,
    time_of_day: NDArray[np.float32],
    shared_row: NDArray[np.float32],
    object_table: NDArray[np.float32],
    rows: NDArray[np.float32],
    mask: NDArray[np.bool_],
    alive: NDArray[np.bool_],
) -> None:
    """Write features [N, F], legal actions [N, A] and the living [N]; the rows of the dead are zero.

    Shared features are written once, into `shared_row` [F], and copied; `object_table` [3 + needs, O] is
    scratch.
    """
    write_town(town, rules, time_of_day, shared_row)
    write_object_table(town, rules, object_table)
    free = free_to_chat(town)
    for i in range(len(town.agents)):
        row = rows[i]
        alive[i] = town.agents[i].respawn == 0
        other = chat_partner(town, rules, i, free)
        write_action_mask(town, i, other, object_table, mask[i])
        if alive[i]:
            for f in range(len(row)):
                row[f] = shared_row[f]
            write_self(town, rules, i, other, row)
            write_duty(town, rules, i, row)
            write_queue(town, rules, i, row)
            write_people(town, rules, i, row)
            write_objects(town, i, object_table, row)
        else:
            row[:] = _ZERO
