"""Corridors that each break one promise of an environment, for the tests of what notices."""

from itertools import count
from typing import Any

import numpy as np
from attrs import evolve
from corridor import AGENTS, PER_DAY, Corridor
from numpy.typing import NDArray

from townlet.dto.boundary import ObservationBatchDTO, StepResult
from townlet.ports import Tallies


class Endless(Corridor):
    """Never ends an episode."""

    def step(self, actions: NDArray[np.int64]) -> StepResult:
        """Walk one step; nobody is told that the time is over."""
        return evolve(super().step(actions), over=np.zeros(self.worlds, np.bool_))


class EndsEarly(Corridor):
    """Ends the episode of world 1 an hour before its time."""

    def step(self, actions: NDArray[np.int64]) -> StepResult:
        """Walk one step."""
        early = self.world_ids == 1
        return evolve(super().step(actions), over=self.clock >= self.decisions - early)


class IgnoresLength(Corridor):
    """Plays one day, whatever it is asked for."""

    def __init__(self, description: Any, worlds: int, seed: int, max_steps: int, first_world: int) -> None:
        super().__init__(description, worlds, seed, PER_DAY, first_world)


class Unseeded(Corridor):
    """Draws its starts from the operating system's entropy."""

    def reset(self, worlds: NDArray[np.bool_] | None = None) -> ObservationBatchDTO:
        """Begin anywhere."""
        super().reset(worlds)
        anywhere = np.random.default_rng().integers(0, 9, self.position.shape)
        self.position = anywhere if worlds is None else np.where(worlds[:, None], anywhere, self.position)
        return self._observe()


class BatchDependent(Corridor):
    """Draws its worlds from their place in the batch, not from their id."""

    def __init__(self, description: Any, worlds: int, seed: int, max_steps: int, first_world: int) -> None:
        super().__init__(description, worlds, seed, max_steps, 0)


class SharedState(Corridor):
    """Counts the steps of all corridors of the process, and rewards by that count."""

    steps = count()

    def step(self, actions: NDArray[np.int64]) -> StepResult:
        """Walk one step."""
        step = super().step(actions)
        rewards = step.rewards + np.float32(next(self.steps) % 2)
        self.sums[0] += (rewards - step.rewards).sum(1)
        return evolve(step, rewards=rewards)


class OneSeed(Corridor):
    """Plays the same episodes for every seed."""

    def __init__(self, description: Any, worlds: int, seed: int, max_steps: int, first_world: int) -> None:
        super().__init__(description, worlds, 0, max_steps, first_world)


class ConstantKeys(Corridor):
    """Gives every decision the same key."""

    def _observe(self) -> ObservationBatchDTO:
        return evolve(super()._observe(), keys=np.full(self.worlds, 7, np.uint64))


class SameKeysEachEpisode(Corridor):
    """Begins its keys anew with every episode."""

    def _observe(self) -> ObservationBatchDTO:
        keys = self.world_keys + self.clock.astype(np.uint64)
        return evolve(super()._observe(), keys=keys)


class ResetsItself(Corridor):
    """Begins the next episode as soon as one ends, as many libraries do."""

    def step(self, actions: NDArray[np.int64]) -> StepResult:
        """Walk one step."""
        step = super().step(actions)
        sums = self.sums.copy()
        if not step.over.any():
            return step
        observations = self.reset(step.over)
        self.sums = sums
        return evolve(step, observations=observations)


class TallyShape(Corridor):
    """Reports its tallies world by world."""

    def tallies(self) -> Tallies:
        """Return sums and exposures the wrong way round."""
        tallies = super().tallies()
        return Tallies(sums=tallies.sums.T.copy(), exposures=tallies.exposures.T.copy())


class TallyNaN(Corridor):
    """Divides by nothing."""

    def tallies(self) -> Tallies:
        """Return sums that are not numbers."""
        tallies = super().tallies()
        return evolve(tallies, sums=np.where(np.arange(len(tallies.sums))[:, None] == 2, np.nan, tallies.sums))


class NegativeExposure(Corridor):
    """Counts the days backwards."""

    def tallies(self) -> Tallies:
        """Return exposures below 0."""
        tallies = super().tallies()
        return evolve(tallies, exposures=-tallies.exposures)


class OtherObjective(Corridor):
    """Reports as return what its rewards do not add up to."""

    def tallies(self) -> Tallies:
        """Return a first metric that counts conflicts."""
        tallies = super().tallies()
        return evolve(tallies, sums=tallies.sums + 1.0)


class NothingLegal(Corridor):
    """Masks every action of one agent at noon."""

    def _observe(self) -> ObservationBatchDTO:
        observations = super()._observe()
        mask = observations.action_mask & ~(self.clock == 12)[:, None, None]
        return evolve(observations, action_mask=mask)


class NarrowObservations(Corridor):
    """Shows one feature less than it declares."""

    def _observe(self) -> ObservationBatchDTO:
        observations = super()._observe()
        return evolve(observations, observations=observations.observations[..., :-1])


class InfiniteReward(Corridor):
    """Rewards more than a number can say."""

    def step(self, actions: NDArray[np.int64]) -> StepResult:
        """Walk one step."""
        return evolve(super().step(actions), rewards=np.full((self.worlds, AGENTS), np.inf, np.float32))


class ForgetfulSnapshot(Corridor):
    """Offers a snapshot that leaves the positions out."""

    def snapshot(self) -> bytes:
        """Return the clocks only."""
        return self.episodes.tobytes() + self.clock.tobytes() + self.sums.tobytes()

    def restore(self, state: bytes) -> None:
        """Go on somewhere else."""
        for array in (self.episodes, self.clock, self.sums):
            array[...] = np.frombuffer(state[: array.nbytes], array.dtype).reshape(array.shape)
            state = state[array.nbytes :]


class TakesAnything(Corridor):
    """Plays floats and actions that do not exist."""

    def step(self, actions: NDArray[np.int64]) -> StepResult:
        """Walk one step with whatever comes."""
        return super().step(np.clip(np.resize(actions, self.position.shape), 0, 2).astype(np.int64))


class Slow(Corridor):
    """Takes its time."""

    def step(self, actions: NDArray[np.int64]) -> StepResult:
        """Wait, then walk one step."""
        import time

        time.sleep(0.05)
        return super().step(actions)


class LosesExposure(Corridor):
    """Has no exposure in world 3 of every eight where nobody ever rests on the way: some policies are not measured."""

    def step(self, actions: NDArray[np.int64]) -> StepResult:
        """Walk one step."""
        self.rested = getattr(self, "rested", np.zeros(self.worlds, np.bool_))
        self.rested |= ((actions[..., 0] == 0) & (self.position != self._goal()[:, None])).any(1)
        return super().step(actions)

    def tallies(self) -> Tallies:
        """Return sums and exposures."""
        tallies = super().tallies()
        return evolve(tallies, exposures=tallies.exposures * ~((self.world_ids % 8 == 3) & ~self.rested))
