"""A small real environment without kernels: agents walk a corridor to a goal that moves each day; some hours are lazy.

The teacher walks straight but rests every third hour, so a policy that never rests is clearly better. Everything is a
pure function of (seed, world, episode, decision).
"""

import hashlib
from typing import Any

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from townlet.dto.actions import ActionSpec
from townlet.dto.boundary import ObservationBatchDTO, StepResult
from townlet.dto.fields import Direction
from townlet.dto.metrics import MetricSpec
from townlet.errors import BadInputError
from townlet.ports import EnvironmentDescription, Tallies, Teacher
from townlet.rng import mix, uniform

AGENTS, LENGTH, PER_DAY = 2, 9, 24
FEATURES = ("position", "goal", "offset", "hour_third", "rested", "bias")
ACTIONS = ("rest", "left", "right")


def _metric(name: str, direction: Direction) -> MetricSpec:
    return MetricSpec(name=name, unit="1/agent-day", direction=direction, exposure="agent-days")


METRICS = (
    _metric("return_per_agent_day", Direction.HIGHER),
    _metric("queue_intensity", Direction.LOWER),
    _metric("deaths", Direction.LOWER),
)


class Corridor:
    """W corridors as a `ports.Environment`."""

    def __init__(
        self, description: EnvironmentDescription, worlds: int, seed: int, max_steps: int, first_world: int
    ) -> None:
        self.description, self.worlds, self.decisions = description, worlds, max_steps
        self.world_ids = first_world + np.arange(worlds, dtype=np.uint64)
        self.world_keys = mix(seed, self.world_ids)
        self.episodes = np.zeros(worlds, np.uint64)
        self.clock = np.zeros(worlds, np.int64)
        self.position = np.zeros((worlds, AGENTS), np.int64)
        self.sums = np.zeros((len(METRICS), worlds))

    def _key(self) -> NDArray[np.uint64]:
        return mix(mix(self.world_keys, self.episodes), self.clock.astype(np.uint64))

    def _goal(self) -> NDArray[np.int64]:
        day = mix(mix(self.world_keys, self.episodes + np.uint64(99)), (self.clock // PER_DAY).astype(np.uint64))
        return (uniform(day) * LENGTH).astype(np.int64)

    def _observe(self) -> ObservationBatchDTO:
        goal = np.broadcast_to(self._goal()[:, None], self.position.shape)
        hour = np.broadcast_to((self.clock % 3)[:, None], self.position.shape)
        offset = goal - self.position
        features = np.stack(
            [self.position / LENGTH, goal / LENGTH, np.clip(offset, -3, 3) / 3, hour == 2, offset == 0, offset * 0 + 1],
            axis=-1,
        ).astype(np.float32)
        mask = np.stack([np.ones_like(offset, bool), self.position > 0, self.position < LENGTH - 1], axis=-1)
        alive = np.ones(self.position.shape, np.bool_)
        return ObservationBatchDTO(observations=features, action_mask=mask, alive=alive, keys=self._key())

    def reset(self, worlds: NDArray[np.bool_] | None = None) -> ObservationBatchDTO:
        """Begin anew in the marked worlds."""
        chosen = np.ones(self.worlds, np.bool_) if worlds is None else worlds
        self.episodes[chosen] += np.uint64(1)
        self.clock[chosen] = 0
        starts = uniform(mix(self._key()[:, None], np.arange(AGENTS, dtype=np.uint64)))
        self.position[chosen] = (starts * LENGTH).astype(np.int64)[chosen]
        self.sums[:, chosen] = 0
        return self._observe()

    def observe(self) -> ObservationBatchDTO:
        """Return what is seen now."""
        return self._observe()

    def step(self, actions: NDArray[np.int64]) -> StepResult:
        """Walk one step; the axis of heads may be left out."""
        actions = actions[..., 0] if actions.ndim == 3 else actions
        if actions.shape != self.position.shape or actions.dtype != np.int64 or not np.isin(actions, (0, 1, 2)).all():
            raise BadInputError(f"expected actions 0, 1 or 2, int64 {self.position.shape}; found {actions}")
        self.position = np.clip(self.position + (actions == 2) - (actions == 1), 0, LENGTH - 1)
        rewards = (self.position == self._goal()[:, None]).astype(np.float32)
        self.sums[0] += rewards.sum(1)
        self.sums[1] += (self.position[:, 0] == self.position[:, 1]) * 0.5
        self.clock += 1
        nobody, over = np.zeros(self.position.shape, np.bool_), self.clock >= self.decisions
        return StepResult(
            observations=self._observe(),
            rewards=rewards,
            terminations=nobody,
            truncations=nobody | over[:, None],
            over=over,
        )

    def tallies(self) -> Tallies:
        """Return sums and exposures."""
        exposure = np.broadcast_to(AGENTS * self.clock / PER_DAY, self.sums.shape).astype(np.float64)
        return Tallies(sums=self.sums.copy(), exposures=exposure.copy())

    def snapshot(self) -> bytes:
        """Answer that it cannot be done."""
        return b""

    def restore(self, state: bytes) -> None:
        """Refuse."""
        raise BadInputError("a corridor cannot be restored")


class Keeping(Corridor):
    """Corridors that offer a snapshot."""

    def snapshot(self) -> bytes:
        """Return all state."""
        return b"".join(array.tobytes() for array in self._arrays())

    def restore(self, state: bytes) -> None:
        """Go on from a snapshot."""
        for array in self._arrays():
            array[...] = np.frombuffer(state[: array.nbytes], array.dtype).reshape(array.shape)
            state = state[array.nbytes :]

    def _arrays(self) -> tuple[NDArray[Any], ...]:
        return self.episodes, self.clock, self.position, self.sums


class Walker:
    """Walks to the goal; `lazy` rests every third hour, `random` goes anywhere."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def act(self, observations: ObservationBatchDTO) -> NDArray[np.int64]:
        """Return actions."""
        seen = observations.observations
        if self.kind == "random":
            numbers = uniform(mix(observations.keys[:, None], np.arange(AGENTS, dtype=np.uint64)))
            wish = (numbers * 3).astype(np.int64)
        else:
            wish = np.where(seen[..., 2] > 0, 2, np.where(seen[..., 2] < 0, 1, 0))
            if self.kind == "lazy":
                wish = np.where(seen[..., 3] > 0, 0, wish)
        legal = np.take_along_axis(observations.action_mask, wish[..., None], -1)[..., 0]
        return np.where(legal, wish, 0)


class CorridorProvider:
    """Makes corridors: scenarios `plain` and `narrow` (one feature less); `kind` may keep snapshots."""

    def __init__(self, kind: type[Corridor] = Corridor) -> None:
        self.kind = kind

    def describe(self, scenario: str) -> EnvironmentDescription:
        """Return what a policy must know."""
        if scenario not in ("plain", "narrow"):
            raise BadInputError(f"unknown scenario {scenario!r}; expected one of: plain, narrow")
        about = EnvironmentDescription(
            id="corridor",
            scenario=scenario,
            agents=AGENTS,
            features=FEATURES,
            actions=ActionSpec.one_of(*ACTIONS),
            decisions_per_day=PER_DAY,
            discount=0.9,
            metrics=METRICS,
            objective="return_per_agent_day",
            teachers=("lazy", "straight", "random"),
            lives_end=False,
            signature=hashlib.sha256(scenario.encode()).hexdigest(),
        )
        return about if scenario == "plain" else evolve(about, features=FEATURES[:-1])

    def make(self, scenario: str, *, worlds: int, seed: int, max_steps: int, first_world: int = 0) -> Corridor:
        """Return corridors."""
        return self.kind(self.describe(scenario), worlds, seed, max_steps, first_world)

    def teacher(self, scenario: str, name: str) -> Teacher:
        """Return a walker."""
        if name not in self.describe(scenario).teachers:
            raise BadInputError(f"unknown teacher {name!r}")
        return Walker(name)
