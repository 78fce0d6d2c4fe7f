"""Record an episode of one town, tick by tick, straight from its state."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from townlet.dto.actions import Actions
from townlet.dto.boundary import ObservationBatchDTO, StepResult
from townlet.dto.recording import PackedColumn, RecordedAgent, RecordedJob, RecordedObject, TownRecording
from townlet.dto.town_rules import DAY, OBJECT_KIND_TABLE
from townlet.env.town import TownEnvironment
from townlet.env.town_ticks import ACTIVITIES, DUTIES, ENDS, INTENSITY_SCALE, RIVALRY_SCALE, TownTicks
from townlet.ports import Tallies
from townlet.world.features import ACTION_TABLE, USE
from townlet.world.rows import NOBODY

__all__ = ["TownRecorder"]

_INTENTS = ("waits", "goes to work", "goes home", "leaves the queue", "chats", "steps away")
_SCALES = {"hunger": 200, "hygiene": 200, "energy": 200, "wallet": 100, "episode_return": 10, "price": 100}
"""Whole numbers for 1; what is not here is whole already."""
_COARSE = {"hunger": 25, "hygiene": 25, "energy": 25, "wallet": 10}
"""The same for a part of an episode, which is small enough to stand in a report."""
HOUR = DAY // 24
_PART = 8 * DAY
"""Agent-ticks of a part: a day of eight agents; of more agents some hours."""

assert len(ACTION_TABLE) == USE == len(_INTENTS), "an intent for each action that names no object"


class TownRecorder:
    """A `townlet.ports.PartRecorder` of one town: plays its first episode, and any part of it again tick by tick.

    Actions and a snapshot at the beginning of each part are kept. Playing them again gives the same bits, without the
    policy, and only what is shown costs the time of looking at every tick.
    """

    def __init__(self, environment: TownEnvironment) -> None:
        """Record the episodes of an environment of one world."""
        self.description, self.worlds = environment.description, 1
        self._inner, self._batch, self._spec = environment, environment.batch, environment.batch.spec
        hours = max(_PART // self._spec.agents // HOUR, 1)
        self.part = max(min(hours * HOUR, DAY) // self._spec.ticks_per_decision, 1)
        self._pairs = np.triu_indices(self._spec.agents, 1)
        self._actions: list[NDArray[np.int64]] = []
        self._snapshots: list[bytes] = []

    def reset(self, worlds: NDArray[np.bool_] | None = None) -> ObservationBatchDTO:
        """Begin the episode."""
        observations = self._inner.reset(worlds)
        self._actions, self._snapshots = [], [self._batch.snapshot()]
        return observations

    def step(self, actions: Actions) -> StepResult:
        """Play one decision, actions [1, N, 1]."""
        played = np.array(actions, np.int64).reshape(1, -1)
        result = self._batch.step(played)
        self._actions.append(played)
        if len(self._actions) % self.part == 0:
            self._snapshots.append(self._batch.snapshot())
        return result

    def tallies(self) -> Tallies:
        """Return the KPI sums of the running or just finished episode."""
        return self._inner.tallies()

    def snapshot(self) -> bytes:
        """Return the state of the town, without what was recorded."""
        return self._inner.snapshot()

    def restore(self, state: bytes) -> None:
        """Go on from a snapshot; what was played since the last reset stays."""
        self._inner.restore(state)

    def recording(self) -> TownRecording:
        """Return every tick since the last reset."""
        return self.recording_of(0, len(self._actions), is_coarse=False, on_decision=lambda: None)

    def recording_of(self, first: int, last: int, *, is_coarse: bool, on_decision: Callable[[], None]) -> TownRecording:
        """Play decisions first … last − 1 again and return every tick of them; the town is left as it was.

        Coarse levels and wallets have fewer digits. `on_decision` is called at the beginning and after each decision.
        """
        now, begin = self._batch.snapshot(), first // self.part
        self._batch.restore(self._snapshots[begin])
        for actions in self._actions[begin * self.part : first]:
            self._batch.step(actions)
        ticks = TownTicks(self._batch, (last - first) * self._spec.ticks_per_decision + 1, self._pairs)
        ticks.keep()
        on_decision()
        for actions in self._actions[first:last]:
            self._batch.step(actions, ticks.keep)
            on_decision()
        scales = _SCALES | _COARSE if is_coarse else _SCALES
        recording = self._recording(ticks, first * self._spec.ticks_per_decision, scales)
        self._batch.restore(now)
        return recording

    def _recording(self, ticks: TownTicks, passed: int, scales: Mapping[str, int]) -> TownRecording:
        """Return what was seen of the ticks, `passed` ticks after the episode began."""
        clock, agents, objects = self._batch.world_rows(0)
        spec, kinds = self._spec, tuple(OBJECT_KIND_TABLE)
        pairs = [(int(i), int(j)) for i, j in zip(*self._pairs, strict=True)]
        rivals = np.flatnonzero(ticks.rivalry.any(axis=0)).tolist()
        return TownRecording(
            width=spec.width,
            height=spec.height,
            day=DAY,
            start=int(clock["start"]) + passed,
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
            activities=ACTIVITIES,
            duties=DUTIES,
            ends=ENDS,
            intents=_INTENTS,
            columns=ticks.columns(spec.queues.age_weight, scales),
            pairs=tuple(pairs[pair] for pair in rivals),
            rivalry=PackedColumn.of("rivalry", ticks.rivalry[:, rivals]).rescaled(RIVALRY_SCALE),
            conflicts=PackedColumn.of("conflicts", ticks.conflict_rows()).rescaled(INTENSITY_SCALE),
        )


def _object_name(kinds: tuple[str, ...], o: int) -> str:
    """Return a name for an object: its kind, with a number where there are several."""
    kind = kinds[o]
    return kind if kinds.count(kind) == 1 else f"{kind} {1 + kinds[:o].count(kind)}"
