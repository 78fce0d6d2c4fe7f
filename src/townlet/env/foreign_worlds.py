"""What environments of other libraries share: W worlds of N agents that are stepped one after the other."""

import sys
from collections.abc import Mapping
from contextlib import suppress
from math import isfinite
from os import _exit, getpid
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from townlet.dto.actions import Actions
from townlet.dto.boundary import ObservationBatchDTO
from townlet.env.call_record import CallRecord, RecordingEnvironment
from townlet.env.info_tallies import InfoTallies
from townlet.env.spaces import MASK
from townlet.errors import BadInputError, EnvironmentFaultError
from townlet.ports import EnvironmentDescription, Tallies
from townlet.rng import mix

if TYPE_CHECKING:
    from townlet.layouts import Layouts

__all__ = ["ForeignWorlds"]

_SEED_BITS = 32
"""Bits of a seed that every environment takes, those of numpy's old generator too."""


class ForeignWorlds:
    """Holds what the worlds show, and names the place of whatever is wrong with it."""

    def __init__(
        self,
        description: EnvironmentDescription,
        environments: list[Any],
        layouts: "Layouts",
        infos: InfoTallies,
        *,
        seed: int,
        max_steps: int,
        first_world: int,
        worlds: int | None = None,
    ) -> None:
        """Hold an environment for each world, or so many `worlds` of one environment."""
        worlds = len(environments) if worlds is None else worlds
        self.description, self.worlds, self.max_steps = description, worlds, max_steps
        self._environments, self._infos = environments, infos
        self._observations, self._actions = layouts.observations, layouts.action
        self._world_ids = first_world + np.arange(worlds)
        self._world_keys = mix(seed, self._world_ids.astype(np.uint64))
        self._episodes, self._steps = np.zeros(worlds, np.uint64), np.zeros(worlds, np.int64)
        self._episode_keys = mix(self._world_keys, self._episodes)
        shape = (worlds, description.agents)
        self._features = np.zeros((*shape, len(description.features)), np.float32)
        self._mask = np.ones((*shape, description.actions.logits), np.bool_)
        self._over, self._returns = np.ones(worlds, np.bool_), np.zeros(shape)
        self._row, self._is_masked = layouts.observations.row, False
        self._process = getpid()

    def tallies(self) -> Tallies:
        """Return the KPI sums of each world over its running or just finished episode."""
        sums = np.concatenate(([self._returns[:, 0], self._steps.astype(np.float64)], self._infos.sums))
        begun = (self._steps > 0).astype(np.float64)
        return Tallies(sums=sums, exposures=np.concatenate(([begun, begun], begun * self._infos.exposures)))

    def snapshot(self) -> bytes:
        """Return nothing: the state of a foreign environment cannot be stored."""
        return b""

    def restore(self, state: bytes) -> None:
        """Refuse: no snapshot was ever given."""
        raise BadInputError(f"{self.description.id} offers no snapshot")

    def close(self) -> None:
        """Close all environments; what goes wrong in that is passed over, because nobody plays them any more."""
        for environment in self._environments:
            with suppress(Exception):
                environment.close()

    def record_calls(self, record: CallRecord) -> None:
        """Keep a record of all calls of the environments from now on."""
        self._environments = [RecordingEnvironment(each, record) for each in self._environments]

    def picture(self, w: int) -> Any:
        """Return what the environment of world w draws of itself now; EnvironmentFaultError with what it raised."""
        try:
            return self._environments[w].render()
        except Exception as error:  # the environment is foreign code
            raise self._fault(w, "render raised", error) from error

    def _begin(self, worlds: NDArray[np.bool_] | None) -> list[int]:
        """Begin the next episode of the marked worlds [W], all by default, and return their numbers."""
        self._process = getpid()
        chosen = np.ones(self.worlds, np.bool_) if worlds is None else worlds
        self._episodes[chosen] += np.uint64(1)
        self._episode_keys = mix(self._world_keys, self._episodes)
        self._steps[chosen], self._returns[chosen], self._over[chosen] = 0, 0.0, False
        begun: list[int] = np.flatnonzero(chosen).tolist()
        for w in begun:
            self._infos.begin(w)
        return begun

    def _seed(self, w: int) -> int:
        """Return the seed with which the running episode of world w was reset."""
        return int(self._episode_keys[w]) >> (64 - _SEED_BITS)

    def _see(self, w: int, n: int, observation: Any, info: Mapping[str, Any], mask: Any) -> None:
        """Keep what slot n of world w shows: features, mask, and the KPIs of its info."""
        if getpid() != self._process:
            self._end_fork(w)
        if type(observation) is np.ndarray and observation.shape == self._row:  # most are: copied as they are
            self._features[w, n] = observation
        else:
            self._features[w, n] = self._flat(w, observation)
            if mask is None and isinstance(observation, Mapping):
                mask = observation.get(MASK)
        self._is_masked |= mask is not None
        if self._is_masked:
            self._mask[w, n] = self._legal(w, mask)
        if info:
            self._tell(w, info)

    def _flat(self, w: int, observation: Any) -> NDArray[np.float32]:
        """Return the features [F] of an observation of world w."""
        try:
            features = self._observations.flatten(observation)
        except Exception as error:  # another shape, another key: the environment's own
            raise self._fault(w, "an observation is not of its space:", error) from error
        if features.size != len(self.description.features):
            raise EnvironmentFaultError(
                f"environment {self.description.id}: an observation of {features.size} numbers in {self._place(w)}; "
                f"expected {len(self.description.features)}"
            )
        return features

    def _legal(self, w: int, mask: Any) -> NDArray[np.bool_]:
        """Return which options [A] a mask of world w allows, all where it is None."""
        count = self._mask.shape[2]
        if mask is None or not count:
            return np.ones(count, np.bool_)
        legal = np.ravel(mask).astype(np.bool_)
        if legal.shape != (count,):
            raise EnvironmentFaultError(
                f"environment {self.description.id}: an action mask of {legal.size} options in {self._place(w)}; "
                f"expected {count}"
            )
        return legal

    def _tell(self, w: int, info: Mapping[str, Any]) -> None:
        """Add an info of world w to its KPIs."""
        try:
            self._infos.add(w, info)
        except ValueError as error:
            raise EnvironmentFaultError(
                f"environment {self.description.id}: {error} in {self._place(w)}; expected a number"
            ) from error

    def _reward(self, w: int, reward: Any) -> float:
        """Return a reward as a finite number."""
        try:
            number = float(reward)
        except (TypeError, ValueError) as error:
            raise self._fault(w, f"the reward {reward!r} is no number:", error) from error
        return self._finite(w, number, "reward")

    def _finite(self, w: int, number: float, what: str) -> float:
        """Return a finite number; EnvironmentFaultError naming the place for any other."""
        if isfinite(number):
            return number
        raise EnvironmentFaultError(
            f"environment {self.description.id}: {what} is not finite in {self._place(w)}; expected finite numbers"
        )

    def _place(self, w: int) -> str:
        return (
            f"world {self._world_ids[w]}, episode {self._episodes[w]}, decision {self._steps[w]} "
            f"(reset with seed {self._seed(w)})"
        )

    def _fault(self, w: int, what: str, error: Exception) -> EnvironmentFaultError:
        """Return what the environment raised, or brought about, with its place."""
        self._end_fork(w)
        return EnvironmentFaultError(
            f"environment {self.description.id}: {what} {type(error).__name__}: {error} in {self._place(w)}"
        )

    def _end_fork(self, w: int) -> None:
        """End this process where the environment forked it in a call and came back: two would write one journal."""
        if getpid() != self._process:
            sys.stderr.write(
                f"environment {self.description.id} forked the process {self._process} in {self._place(w)}, and its "
                f"child {getpid()} came back from the call; the child ends here, and the process goes on; let a child "
                "end with os._exit\n"
            )
            sys.stderr.flush()
            _exit(EnvironmentFaultError.exit_code)

    def _batch(self, alive: NDArray[np.bool_]) -> ObservationBatchDTO:
        """Return copies of what all worlds show, finite; `alive` is [W, N]."""
        finite = np.isfinite(self._features)
        if not finite.all():
            w, _, feature = np.argwhere(~finite)[0].tolist()
            self._finite(w, float("nan"), f"observation {self.description.features[feature]}")
        return ObservationBatchDTO(
            observations=self._features.copy(),
            action_mask=self._mask.copy(),
            alive=alive.copy(),
            keys=mix(self._episode_keys, self._steps.astype(np.uint64)),
        )

    def _check(self, actions: Actions) -> None:
        self._process = getpid()
        problem = self.description.actions.problem(actions, self.worlds, self.description.agents)
        if problem:
            raise BadInputError(f"step: {problem}")
