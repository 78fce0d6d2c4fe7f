"""Scripts that play the town: vectorised functions of what is observed, nothing else."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.boundary import ObservationBatchDTO
from townlet.dto.town_rules import KINDS, NEEDS, OBJECT_KIND_TABLE
from townlet.rng import mix, uniform
from townlet.world import features as feature

__all__ = ["TEACHERS", "PlannerTeacher", "RandomTeacher", "ScriptedTeacher"]

Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]

_KINDS_THAT_SERVE = {
    need: tuple(KINDS.index(name) for name, kind in OBJECT_KIND_TABLE.items() if kind.affordance.serves == need)
    for need in NEEDS
}
"""Columns of the kinds of object that serve a need by default."""
_TILES = np.float32(24)
_DESPERATE = np.float32(0.12)


def _objects(observations: Floats) -> Floats:
    """Return what observations [W, N, F] say of the objects, as a view [W, N, slots, width]."""
    words = observations[..., feature.FIRST_OBJECT :]
    return words.reshape(*words.shape[:-1], feature.OBJECT_WIDTH, -1).swapaxes(-1, -2)


def _serving(objects: Floats, need: str) -> Bools:
    """Return which object slots serve a need [W, N, slots]."""
    # For one kind this is one comparison: with a single world, such small calls are most of a decision's time.
    kind, *others = _KINDS_THAT_SERVE[need]
    serving: Bools = objects[..., kind] > 0
    for other in others:
        serving |= objects[..., other] > 0
    return serving


def _ticks(shown: Floats) -> Floats:
    """Return the ticks that `to_shift` shows, exactly."""
    ticks: Floats = np.rint(feature.HALFWAY * shown / (1 - shown))
    return ticks


def _use(best: NDArray[np.intp], possible: Bools, actions: NDArray[np.int64], free: Bools) -> Bools:
    """Write the use of slot `best` where one was found and nothing is chosen yet; return what is still free."""
    chosen = free & possible
    np.copyto(actions, feature.USE + best, where=chosen)
    return free & ~chosen


def _cook(  # many arrays, all of one shape
    objects: Floats, usable: Bools, willing: Bools, free: Bools, actions: NDArray[np.int64], cook_below: int
) -> Bools:
    """Let the willing cook at the stove with the shortest queue where few meals are left; return who is still free."""
    fridges = objects[..., feature.FRIDGE] > 0
    meals = (objects[..., feature.STOCK] * fridges).sum(-1) * feature.STOCK_SCALE / np.maximum(fridges.sum(-1), 1)
    reach = np.where(
        usable & (objects[..., feature.STOVE] > 0), objects[..., feature.WAITING] - objects[..., feature.MINE], np.inf
    )
    return _use(reach.argmin(-1), willing & (meals < cook_below) & np.isfinite(reach).any(-1), actions, free)


@frozen
class ScriptedTeacher:
    """The teacher: needs in a fixed order at fixed thresholds, the first object that serves, off to work in time."""

    threshold: float = 0.4
    """A need below this is tended to."""
    urgent: float = 0.15
    """A need below this is tended to even in working hours."""
    ahead: int = 20
    """Ticks before a shift at which it leaves for work."""
    crowd: int = 2
    """It passes by where this many wait, unless they do everywhere."""
    cook_below: int = 3
    """It cooks when fewer meals than this are left in a fridge on average."""

    def act(self, observations: ObservationBatchDTO) -> NDArray[np.int64]:
        """Return actions [W, N]."""
        o, mask = observations.observations, observations.action_mask
        objects, usable = _objects(o), mask[..., feature.USE :]
        actions = np.zeros(o.shape[:2], np.int64)
        free = observations.alive & (o[..., feature.RUNNING] == 0)
        duty = (o[..., feature.EMPLOYED] > 0) & (
            (o[..., feature.ON_SHIFT] > 0) | (_ticks(o[..., feature.TO_SHIFT]) <= self.ahead)
        )
        for number, need in enumerate(NEEDS):
            level = o[..., feature.FIRST_NEED + number]
            wanted = level < np.where(duty, np.float32(self.urgent), np.float32(self.threshold))
            serves = usable & _serving(objects, need)
            friendly = serves & ((objects[..., feature.RIVAL_HERE] == 0) | (level < _DESPERATE)[..., None])
            quiet = friendly & ((objects[..., feature.WAITING] * 8 < self.crowd) | (objects[..., feature.MINE] > 0))
            first = np.where(quiet.any(-1), quiet.argmax(-1), friendly.argmax(-1))
            free = _use(first, wanted & friendly.any(-1), actions, free)
        free = _cook(
            objects, usable, free & (~duty | (o[..., feature.HUNGER] < self.urgent)), free, actions, self.cook_below
        )
        actions[free & duty] = feature.WORK
        actions[free & ~duty & mask[..., feature.CHAT]] = feature.CHAT
        return actions


@frozen
class PlannerTeacher:
    """A stronger yardstick: the largest gap first, the quickest object, meals before a shift, leaves by distance."""

    threshold: float = 0.48
    """A need below this is tended to in free time."""
    urgent: float = 0.12
    """A need below this is tended to in working hours."""
    top_up: int = 240
    """Ticks before a shift in which every need is filled up as far as objects allow."""
    cook_below: int = 6
    """It cooks when fewer meals than this are left in a fridge on average."""

    def act(self, observations: ObservationBatchDTO) -> NDArray[np.int64]:
        """Return actions [W, N]."""
        o, mask = observations.observations, observations.action_mask
        objects, usable = _objects(o), mask[..., feature.USE :]
        actions = np.zeros(o.shape[:2], np.int64)
        free = observations.alive & (o[..., feature.RUNNING] == 0)
        employed, to_shift = o[..., feature.EMPLOYED] > 0, _ticks(o[..., feature.TO_SHIFT])
        leaves = o[..., feature.SITE_DISTANCE] * _TILES + 6
        duty = employed & ((o[..., feature.ON_SHIFT] > 0) | (to_shift <= leaves))
        soon = employed & ~duty & (to_shift <= self.top_up)
        limit = np.where(duty, self.urgent, np.where(soon, 0.6, self.threshold)).astype(np.float32)
        cost = self._cost(objects)
        friendly = (objects[..., feature.RIVAL_HERE] == 0) | (objects[..., feature.MINE] > 0)
        levels = o[..., feature.FIRST_NEED : feature.FIRST_NEED + len(NEEDS)]
        serving = np.stack([_serving(objects, need) for need in NEEDS], -1)
        for rank in np.moveaxis(np.argsort(levels, axis=-1, kind="stable"), -1, 0):
            level = np.take_along_axis(levels, rank[..., None], -1)[..., 0]
            own = np.take_along_axis(serving, rank[..., None, None], -1)[..., 0]
            welcome = friendly | (level < _DESPERATE)[..., None]
            reach = np.where(own & usable & welcome, cost, np.inf)
            best = reach.argmin(-1)
            quickest = np.take_along_axis(reach, best[..., None], -1)[..., 0]
            in_time = np.where(
                soon & (level >= self.threshold), quickest + 30 + leaves < to_shift, np.isfinite(quickest)
            )
            free = _use(best, (level < limit) & in_time, actions, free)
        idle = free & (~(duty | soon) | (o[..., feature.HUNGER] < self.urgent))
        free = _cook(objects, usable, idle, free, actions, self.cook_below)
        actions[free & duty] = feature.WORK
        actions[free & ~duty & mask[..., feature.CHAT]] = feature.CHAT
        return actions

    @staticmethod
    def _cost(objects: Floats) -> Floats:
        """Return the ticks until a use could begin, roughly: the walk and the queue; nothing where it stands in line.

        Who has a place keeps it: a town of agents that change queues whenever the other is shorter starves in between.
        """
        duration = sum(
            kind.affordance.duration * objects[..., KINDS.index(name)]
            for name, kind in OBJECT_KIND_TABLE.items()
            if kind.affordance.serves
        )
        queue = objects[..., feature.LEFT] * 60 + objects[..., feature.WAITING] * 8 * duration
        ticks = np.maximum(objects[..., feature.DISTANCE] * _TILES, queue) + 0.5 * queue
        return np.asarray(np.where(objects[..., feature.MINE] > 0, 0, ticks), np.float32)


@frozen
class RandomTeacher:
    """Any legal action with equal chance, keyed by the observations."""

    def act(self, observations: ObservationBatchDTO) -> NDArray[np.int64]:
        """Return actions [W, N]."""
        mask = observations.action_mask
        slots = np.arange(mask.shape[1], dtype=np.uint64)
        share = uniform(mix(observations.keys[:, None], slots))
        ordinal = np.floor(share * mask.sum(-1)).astype(np.int64)
        return np.asarray(np.argmax(mask.cumsum(-1) > ordinal[..., None], axis=-1), np.int64)


TEACHERS: Mapping[str, Callable[[], ScriptedTeacher | PlannerTeacher | RandomTeacher]] = MappingProxyType(
    {"scripted": ScriptedTeacher, "planner": PlannerTeacher, "random": RandomTeacher}
)
"""The scripts by name."""
