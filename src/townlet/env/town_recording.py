"""Record an episode of one town, tick by tick, straight from its state."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from townlet.dto.actions import Actions
from townlet.dto.boundary import ObservationBatchDTO, StepResult
from townlet.dto.recording import PackedColumn, RecordedAgent, RecordedJob, RecordedObject, TownRecording
from townlet.dto.town_rules import DAY, OBJECT_KIND_TABLE
from townlet.env.town import TownEnvironment
from townlet.ports import Tallies
from townlet.world.features import ACTION_TABLE, USE
from townlet.world.rows import NOBODY

__all__ = ["TownRecorder"]

_ACTIVITIES = ("waits", "walks", "queues", "uses", "works", "chats", "is away")
_WAITS, _WALKS, _QUEUES, _USES, _WORKS, _CHATS, _AWAY = range(len(_ACTIVITIES))
_DUTIES = ("no shift", "shift begins", "at work", "late", "absent")
_NO_SHIFT, _EXPECTED, _ARRIVED, _LATE, _ABSENT = range(len(_DUTIES))
_ENDS = ("", "fainted", "was evicted")
_INTENTS = ("waits", "goes to work", "goes home", "leaves the queue", "chats", "steps away")
_AGENT_FIELDS = (
    "x", "y", "hunger", "hygiene", "energy", "wallet", "intent", "queue", "rank", "waited", "tie_break", "running",
    "respawn", "generation", "duty", "arrived", "late", "absent", "wage", "chat_reward", "fainted", "evicted",
    "episode_return", "called",
)  # fmt: skip
_OBJECT_FIELDS = ("holder", "running", "stock")
_CLOCK_FIELDS = ("price", "power", "water")
_SCALES = {"hunger": 200, "hygiene": 200, "energy": 200, "wallet": 100, "episode_return": 10, "price": 100}
"""Whole numbers for 1; what is not here is whole already."""
_RIVALRY_SCALE, _INTENSITY_SCALE = 50, 20
_TICKS_AT_A_TIME = 256
"""Moments whose queues are put in order at once, because that takes T·N² numbers."""

assert len(ACTION_TABLE) == USE == len(_INTENTS), "an intent for each action that names no object"


class TownRecorder:
    """A `townlet.ports.EpisodeRecorder` of one town: plays its first episode and keeps every tick of it."""

    def __init__(self, environment: TownEnvironment, ticks: int) -> None:
        """Record an environment of one world, whose episode has so many `ticks`."""
        self.description, self.worlds = environment.description, 1
        self._inner, self._batch, self._spec = environment, environment.batch, environment.batch.spec
        clock, agents, objects = self._batch.world_rows(0)
        moments, pairs = ticks + 1, np.triu_indices(len(agents), 1)
        self._agents = {name: np.zeros((moments, len(agents)), agents.dtype[name]) for name in _AGENT_FIELDS}
        self._objects = {name: np.zeros((moments, len(objects)), np.int16) for name in _OBJECT_FIELDS}
        self._clock = {name: np.zeros(moments, clock.dtype[name]) for name in _CLOCK_FIELDS}
        self._pairs, self._rivalry = pairs, np.zeros((moments, len(pairs[0])), np.uint8)
        self._conflicts: list[tuple[int, int, int, int, float]] = []
        self._moments = 0

    def reset(self, worlds: NDArray[np.bool_] | None = None) -> ObservationBatchDTO:
        """Begin the episode."""
        observations = self._inner.reset(worlds)
        self._moments = 0
        self._conflicts.clear()
        self._keep()
        return observations

    def step(self, actions: Actions) -> StepResult:
        """Play one decision, actions [1, N, 1]."""
        return self._batch.step(np.asarray(actions, np.int64).reshape(1, -1), self._keep)

    def tallies(self) -> Tallies:
        """Return the KPI sums of the running or just finished episode."""
        return self._inner.tallies()

    def snapshot(self) -> bytes:
        """Return the state of the town, without what was recorded."""
        return self._inner.snapshot()

    def restore(self, state: bytes) -> None:
        """Go on from a snapshot; what was recorded stays."""
        self._inner.restore(state)

    def recording(self) -> TownRecording:
        """Return what was recorded since the last reset."""
        clock, agents, objects = self._batch.world_rows(0)
        spec, kinds = self._spec, tuple(OBJECT_KIND_TABLE)
        pairs = [(int(i), int(j)) for i, j in zip(*self._pairs, strict=True)]
        rivals = np.flatnonzero(self._rivalry[: self._moments].any(axis=0)).tolist()
        return TownRecording(
            width=spec.width,
            height=spec.height,
            day=DAY,
            start=int(clock["start"]),
            ticks_per_decision=spec.ticks_per_decision,
            avoid=spec.rivalry.avoid,
            agents=tuple(
                RecordedAgent(
                    name=f"agent_{n}",
                    home_x=int(row["home_x"]),
                    home_y=int(row["home_y"]),
                    job=None if row["job"] == NOBODY else int(row["job"]),
                )
                for n, row in enumerate(agents)
            ),
            objects=tuple(
                RecordedObject(
                    name=_object_name(spec.objects, o),
                    kind=spec.objects[o],
                    letter=OBJECT_KIND_TABLE[kinds[int(row["kind"])]].letter,
                    x=int(row["x"]),
                    y=int(row["y"]),
                    duration=spec.affordances[spec.objects[o]].duration,
                )
                for o, row in enumerate(objects)
            ),
            jobs=tuple(RecordedJob(start=job.start, end=job.end, x=job.site_x, y=job.site_y) for job in spec.jobs),
            activities=_ACTIVITIES,
            duties=_DUTIES,
            ends=_ENDS,
            intents=_INTENTS,
            columns=self._columns(),
            pairs=tuple(pairs[pair] for pair in rivals),
            rivalry=PackedColumn.of("rivalry", self._rivalry[: self._moments, rivals]).rescaled(_RIVALRY_SCALE),
            conflicts=PackedColumn.of("conflicts", self._conflict_rows()).rescaled(_INTENSITY_SCALE),
        )

    def _keep(self) -> None:
        """Keep the state after a tick."""
        clock, agents, objects = self._batch.world_rows(0)
        t = self._moments
        for name, column in self._agents.items():
            column[t] = agents[name]
        for name, numbers in self._objects.items():
            numbers[t] = objects[name]
        for name, numbers in self._clock.items():
            numbers[t] = clock[name]
        rivalry, relations = self._batch.relation_rows(0)
        self._rivalry[t] = np.rint(rivalry[self._pairs] * _RIVALRY_SCALE)
        if t and agents["conflict_sum"].any():
            happened = (relations["chain_tick"] == clock["tick"] - 1) & (relations["chain_length"] > 0)
            for i, j in zip(*np.nonzero(np.triu(happened, 1)), strict=True):
                queue = agents["queue"][i] if agents["queue"][i] != NOBODY else agents["queue"][j]
                self._conflicts.append((t, int(i), int(j), int(queue), float(agents["conflict_sum"][i])))
        self._moments += 1

    def _conflict_rows(self) -> NDArray[np.float64]:
        """Return the conflicts as rows of whole numbers [E, 5]."""
        rows = np.array(self._conflicts, np.float64).reshape(-1, 5)
        rows[:, 4] = np.rint(rows[:, 4] * _INTENSITY_SCALE)
        return rows

    def _columns(self) -> tuple[PackedColumn, ...]:
        agents = {name: column[: self._moments] for name, column in self._agents.items()}
        derived = {
            "activity": _activity(agents),
            "place": self._places(agents),
            "duty": _duty(agents),
            "ended": np.where(agents["fainted"] == 1, 1, np.where(agents["evicted"] == 1, 2, 0)),
        }
        shown = ("x", "y", "hunger", "hygiene", "energy", "wallet", "intent", "queue", "generation", "called")
        columns = {f"agent.{name}": agents[name] for name in (*shown, "episode_return")}
        columns |= {f"agent.{name}": column for name, column in derived.items()}
        columns |= {f"object.{name}": column[: self._moments] for name, column in self._objects.items()}
        columns |= {f"town.{name}": column[: self._moments] for name, column in self._clock.items()}
        return tuple(
            PackedColumn.of(name, column, _SCALES.get(name.partition(".")[2], 1)) for name, column in columns.items()
        )

    def _places(self, agents: dict[str, NDArray[Any]]) -> NDArray[np.int16]:
        """Return each agent's place in its queue [T, N]: 0 for the holder, then 1, 2, …; −1 outside of queues."""
        weight, numbers = np.float32(self._spec.queues.age_weight), np.arange(agents["x"].shape[1])
        parts = []
        for start in range(0, self._moments, _TICKS_AT_A_TIME):
            part = slice(start, start + _TICKS_AT_A_TIME)
            queue, tie = agents["queue"][part], agents["tie_break"][part]
            holder = np.take_along_axis(self._objects["holder"][: self._moments][part], np.maximum(queue, 0), axis=1)
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


def _object_name(kinds: tuple[str, ...], o: int) -> str:
    """Return a name for an object: its kind, with a number where there are several."""
    kind = kinds[o]
    return kind if kinds.count(kind) == 1 else f"{kind} {1 + kinds[:o].count(kind)}"
