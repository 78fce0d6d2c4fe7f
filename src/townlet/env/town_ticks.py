"""What is seen of a town tick by tick, and what follows from it: who does what, who stands where in which queue."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from townlet.dto.recording import PackedColumn
from townlet.world.rows import NOBODY

if TYPE_CHECKING:
    from townlet.world.batch import TownBatch

__all__ = ["ACTIVITIES", "DUTIES", "ENDS", "INTENSITY_SCALE", "RIVALRY_SCALE", "TownTicks"]

ACTIVITIES = ("waits", "walks", "queues", "uses", "works", "chats", "is away")
"""Words for what an agent does."""
_WAITS, _WALKS, _QUEUES, _USES, _WORKS, _CHATS, _AWAY = range(len(ACTIVITIES))
DUTIES = ("no shift", "shift begins", "at work", "late", "absent")
"""Words for how its shift goes."""
_NO_SHIFT, _EXPECTED, _ARRIVED, _LATE, _ABSENT = range(len(DUTIES))
ENDS = ("", "fainted", "was evicted")
"""Words for how its life ended."""
_AGENT_FIELDS = (
    "x", "y", "hunger", "hygiene", "energy", "wallet", "intent", "queue", "rank", "waited", "tie_break", "running",
    "respawn", "generation", "duty", "arrived", "late", "absent", "wage", "chat_reward", "fainted", "evicted",
    "episode_return", "called",
)  # fmt: skip
_OBJECT_FIELDS = ("holder", "running", "stock")
_CLOCK_FIELDS = ("price", "power", "water")
RIVALRY_SCALE, INTENSITY_SCALE = 50, 20
"""Whole numbers for a rivalry and an intensity of 1."""
_TICKS_AT_A_TIME = 256
"""Moments whose queues are put in order at once, because that takes T·N² numbers."""


class TownTicks:
    """The state of a town's only world at T moments, as columns."""

    def __init__(self, batch: "TownBatch", moments: int, pairs: tuple[NDArray[np.intp], ...]) -> None:
        """Make room for so many moments; `pairs` are both numbers of each pair of agents."""
        self._batch, self._pairs, self._moments = batch, pairs, 0
        clock, agents, objects = batch.world_rows(0)
        self._agents = {name: np.zeros((moments, len(agents)), agents.dtype[name]) for name in _AGENT_FIELDS}
        self._objects = {name: np.zeros((moments, len(objects)), np.int16) for name in _OBJECT_FIELDS}
        self._clock = {name: np.zeros(moments, clock.dtype[name]) for name in _CLOCK_FIELDS}
        self.rivalry = np.zeros((moments, len(pairs[0])), np.uint8)
        self._conflicts: list[tuple[int, int, int, int, float]] = []

    def keep(self) -> None:
        """Keep the present state as the next moment."""
        clock, agents, objects = self._batch.world_rows(0)
        t = self._moments
        for name, column in self._agents.items():
            column[t] = agents[name]
        for name, numbers in self._objects.items():
            numbers[t] = objects[name]
        for name, numbers in self._clock.items():
            numbers[t] = clock[name]
        rivalry, relations = self._batch.relation_rows(0)
        self.rivalry[t] = np.rint(rivalry[self._pairs] * RIVALRY_SCALE)
        if t and agents["conflict_sum"].any():
            happened = (relations["chain_tick"] == clock["tick"] - 1) & (relations["chain_length"] > 0)
            for i, j in zip(*np.nonzero(np.triu(happened, 1)), strict=True):
                queue = agents["queue"][i] if agents["queue"][i] != NOBODY else agents["queue"][j]
                self._conflicts.append((t, int(i), int(j), int(queue), float(agents["conflict_sum"][i])))
        self._moments += 1

    def conflict_rows(self) -> NDArray[np.float64]:
        """Return the conflicts as rows of whole numbers [E, 5]."""
        rows = np.array(self._conflicts, np.float64).reshape(-1, 5)
        rows[:, 4] = np.rint(rows[:, 4] * INTENSITY_SCALE)
        return rows

    def columns(self, age_weight: float, scales: Mapping[str, int]) -> tuple[PackedColumn, ...]:
        """Return what is drawn, packed; `scales` are whole numbers for 1, by field, 1 for those that are whole."""
        agents = self._agents
        derived = {
            "activity": _activity(agents),
            "place": self._places(age_weight),
            "duty": _duty(agents),
            "ended": np.where(agents["fainted"] == 1, 1, np.where(agents["evicted"] == 1, 2, 0)),
        }
        shown = ("x", "y", "hunger", "hygiene", "energy", "wallet", "intent", "queue", "generation", "called")
        columns = {f"agent.{name}": agents[name] for name in (*shown, "episode_return")}
        columns |= {f"agent.{name}": column for name, column in derived.items()}
        columns |= {f"object.{name}": column for name, column in self._objects.items()}
        columns |= {f"town.{name}": column for name, column in self._clock.items()}
        return tuple(
            PackedColumn.of(name, column, scales.get(name.partition(".")[2], 1)) for name, column in columns.items()
        )

    def _places(self, age_weight: float) -> NDArray[np.int16]:
        """Return each agent's place in its queue [T, N]: 0 for the holder, then 1, 2, …; −1 outside of queues."""
        agents, weight = self._agents, np.float32(age_weight)
        numbers = np.arange(agents["x"].shape[1])
        parts = []
        for start in range(0, self._moments, _TICKS_AT_A_TIME):
            part = slice(start, start + _TICKS_AT_A_TIME)
            queue, tie = agents["queue"][part], agents["tie_break"][part]
            holder = np.take_along_axis(self._objects["holder"][part], np.maximum(queue, 0), axis=1)
            waiting = (queue != NOBODY) & (holder != numbers)
            order = agents["rank"][part].astype(np.float32) - weight * agents["waited"][part].astype(np.float32)
            before = (order[:, :, None] < order[:, None, :]) | (
                (order[:, :, None] == order[:, None, :]) & (tie[:, :, None] < tie[:, None, :])
            )
            same = waiting[:, :, None] & waiting[:, None, :] & (queue[:, :, None] == queue[:, None, :])
            parts.append(np.where(waiting, 1 + (before & same).sum(axis=1), np.where(queue == NOBODY, -1, 0)))
        return np.concatenate(parts).astype(np.int16)


def _activity(agents: dict[str, NDArray[Any]]) -> NDArray[np.int16]:
    """Return what each agent does [T, N], as an index into `_ACTIVITIES`."""
    moves = np.diff(agents["x"], axis=0, prepend=agents["x"][:1]) != 0
    moves |= np.diff(agents["y"], axis=0, prepend=agents["y"][:1]) != 0
    return np.asarray(
        np.select(
            [
                agents["respawn"] > 0,
                agents["running"] == 1,
                agents["wage"] > 0,
                agents["chat_reward"] != 0,
                moves,
                agents["queue"] != NOBODY,
            ],
            [_AWAY, _USES, _WORKS, _CHATS, _WALKS, _QUEUES],
            _WAITS,
        ),
        np.int16,
    )


def _duty(agents: dict[str, NDArray[Any]]) -> NDArray[np.int16]:
    """Return how each agent's shift goes [T, N], as an index into `_DUTIES`."""
    return np.asarray(
        np.select(
            [
                agents["respawn"] > 0,
                agents["arrived"] == 1,
                agents["absent"] == 1,
                agents["late"] == 1,
                agents["duty"] > 0,
            ],
            [_NO_SHIFT, _ARRIVED, _ABSENT, _LATE, _EXPECTED],
            _NO_SHIFT,
        ),
        np.int16,
    )
