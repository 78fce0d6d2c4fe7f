"""What agents see: features and legal actions, written once per decision, straight into place."""

import numpy as np
from numpy.typing import NDArray

from townlet.dto.town import DAY
from townlet.world import features as see
from townlet.world.affordances import usable
from townlet.world.compiled import compiled, f32
from townlet.world.jobs import on_shift
from townlet.world.movement import distance
from townlet.world.queues import ahead
from townlet.world.rules import Rules
from townlet.world.state import NOBODY, Town

__all__ = ["observe"]

_ZERO, _ONE = f32(0), f32(1)
_PER_TILE, _PER_HOUR, _PER_TEN, _PER_EIGHT = f32(1 / 24), f32(1 / 60), f32(1 / 10), f32(1 / 8)
_PER_DAY, _PER_STOCK, _PER_COIN, _RICH = f32(1 / DAY), f32(1 / 60), f32(1 / 4), f32(8)
_THIRD = f32(1 / 3)


@compiled
def permit(town: Town, rules: Rules, i: int, mask: NDArray[np.bool_]) -> None:
    """Write which actions [A] are legal: the dead and the running can only wait, chatting has no rule yet."""
    agent = town.agents[i]
    free = agent.respawn == 0 and agent.running == 0
    mask[see.WAIT] = True
    mask[see.WORK] = free and agent.job != NOBODY
    mask[see.HOME] = free
    mask[see.LEAVE] = free and agent.queue != NOBODY
    mask[see.CHAT] = False
    mask[see.AWAY] = free
    for o in range(len(town.things)):
        mask[see.USE + o] = free and usable(town, rules, i, o)
    for slot in range(see.USE + len(town.things), len(mask)):
        mask[slot] = False


@compiled
def see_itself(town: Town, rules: Rules, i: int, row: NDArray[np.float32]) -> None:
    """Write body, purse, time and home."""
    agent, law = town.agents[i], rules.laws[0]
    now = (town.clock.start + town.clock.tick) % DAY
    row[see.HUNGER], row[see.HYGIENE], row[see.ENERGY] = agent.hunger, agent.hygiene, agent.energy
    row[see.WALLET] = min(agent.wallet, _RICH) * _PER_COIN
    row[see.DAY_SIN], row[see.DAY_COS] = rules.sky[now, 0], rules.sky[now, 1]
    row[see.HOME_DX] = f32(agent.home_x - agent.x) * _PER_TILE
    row[see.HOME_DY] = f32(agent.home_y - agent.y) * _PER_TILE
    row[see.HOME_DISTANCE] = f32(distance(agent.x, agent.y, agent.home_x, agent.home_y)) * _PER_TILE
    row[see.STARVING] = f32(agent.starving) / f32(law.faint_after)


@compiled
def see_duty(town: Town, rules: Rules, i: int, row: NDArray[np.float32]) -> None:
    """Write the shift and the site of those who have a job."""
    agent, law = town.agents[i], rules.laws[0]
    if agent.job == NOBODY:
        return
    job = rules.jobs[agent.job]
    now = (town.clock.start + town.clock.tick) % DAY
    row[see.EMPLOYED] = _ONE
    if on_shift(town, job):
        row[see.ON_SHIFT] = _ONE
        row[see.SHIFT_LEFT] = f32(job.end - now) * _PER_DAY
        row[see.DUTY] = f32(min(agent.duty, law.absent_after)) / f32(law.absent_after)
        row[see.ARRIVED], row[see.LATE], row[see.ABSENT] = f32(agent.arrived), f32(agent.late), f32(agent.absent)
        row[see.EXCUSED] = f32(agent.excused)
    else:
        row[see.TO_SHIFT] = f32((job.start - now + DAY) % DAY) * _PER_DAY
    row[see.ATTENDANCE] = (agent.share_1 + agent.share_2 + agent.share_3) * _THIRD
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
    row[see.QUEUE_WAITED] = f32(agent.waited) * _PER_HOUR
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
def see_rivals(town: Town, rules: Rules, i: int, row: NDArray[np.float32]) -> None:
    """Write the worst two rivals, the lower slot among equals, and which objects an avoided one is at."""
    agent, avoid = town.agents[i], rules.laws[0].avoid
    worst, second, shunned = NOBODY, NOBODY, 0
    for j in range(len(town.agents)):
        grudge = town.rivalry[i, j]
        if grudge <= _ZERO:
            continue
        if worst == NOBODY or grudge > town.rivalry[i, worst]:
            worst, second = j, worst
        elif second == NOBODY or grudge > town.rivalry[i, second]:
            second = j
        if grudge >= avoid:
            shunned += 1
            if town.agents[j].queue != NOBODY:
                row[see.FIRST_OBJECT + town.agents[j].queue * see.OBJECT_WIDTH + see.RIVAL_HERE] = _ONE
    row[see.RIVALRY_AVOID_COUNT] = f32(shunned) * _PER_EIGHT
    for number in range(see.RIVALS):
        j = worst if number == 0 else second
        if j == NOBODY:
            break
        other, base = town.agents[j], see.FIRST_RIVAL + number * see.RIVAL_WIDTH
        row[base + see.RIVAL_DX] = f32(other.x - agent.x) * _PER_TILE
        row[base + see.RIVAL_DY] = f32(other.y - agent.y) * _PER_TILE
        row[base + see.RIVAL_RIVALRY] = town.rivalry[i, j]
        row[base + see.RIVAL_SAME_QUEUE] = _ONE if other.queue != NOBODY and other.queue == agent.queue else _ZERO
    if worst != NOBODY:
        row[see.RIVALRY_MAX] = town.rivalry[i, worst]


@compiled
def see_objects(town: Town, rules: Rules, i: int, row: NDArray[np.float32]) -> None:
    """Write every object: what and where it is, how busy, and whether it serves again."""
    agent, law = town.agents[i], rules.laws[0]
    for o in range(len(town.things)):
        thing, base = town.things[o], see.FIRST_OBJECT + o * see.OBJECT_WIDTH
        offer = rules.affordances[thing.kind]
        row[base + see.KIND + thing.kind] = _ONE
        row[base + see.DX] = f32(thing.x - agent.x) * _PER_TILE
        row[base + see.DY] = f32(thing.y - agent.y) * _PER_TILE
        row[base + see.DISTANCE] = f32(distance(agent.x, agent.y, thing.x, thing.y)) * _PER_TILE
        row[base + see.MINE] = _ONE if agent.queue == o else _ZERO
        row[base + see.WAITING] = f32(thing.waiting) * _PER_EIGHT
        if thing.holder != NOBODY:
            row[base + see.LEFT] = f32(offer.duration - thing.progress) * _PER_HOUR
            row[base + see.STALL] = f32(thing.stall) / f32(law.stall_patience)
        row[base + see.STOCK] = f32(thing.stock) * _PER_STOCK
        row[base + see.COOLDOWN] = f32(max(town.ready[i, o] - town.clock.tick, 0)) * _PER_TEN


@compiled
def observe(
    town: Town,
    rules: Rules,
    rows: NDArray[np.float32],
    mask: NDArray[np.bool_],
    alive: NDArray[np.bool_],
) -> None:
    """Write features [N, F], legal actions [N, A] and the living [N]; the rows of the dead are zero."""
    for i in range(len(town.agents)):
        row = rows[i]
        row[:] = _ZERO
        alive[i] = town.agents[i].respawn == 0
        permit(town, rules, i, mask[i])
        if alive[i]:
            see_itself(town, rules, i, row)
            see_duty(town, rules, i, row)
            see_queue(town, rules, i, row)
            see_rivals(town, rules, i, row)
            see_objects(town, rules, i, row)
