"""Any Gymnasium environment as a `townlet.ports.Environment`: W copies with one agent each, in this process."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from townlet.dto.actions import Actions
from townlet.dto.boundary import ObservationBatchDTO, StepResult
from townlet.env.info_tallies import InfoTallies
from townlet.env.libraries import needed
from townlet.ports import EnvironmentDescription, Tallies

if TYPE_CHECKING:
    import gymnasium

with needed("gymnasium", extra="env"):
    from townlet.env.foreign_worlds import ForeignWorlds
    from townlet.env.spaces import MASK, ActionLayout, ObservationLayout

__all__ = ["GymnasiumWorlds"]


class GymnasiumWorlds(ForeignWorlds):
    """W environments with one agent each, stepped one after the other."""

    def __init__(
        self,
        description: EnvironmentDescription,
        environments: "list[gymnasium.Env[Any, Any]]",
        infos: InfoTallies,
        *,
        seed: int,
        max_steps: int,
        first_world: int,
    ) -> None:
        layouts = (
            ObservationLayout.of(environments[0].observation_space, description.id),
            ActionLayout.of(environments[0].action_space, description.id),
        )
        worlds = len(environments)
        super().__init__(
            description, layouts, infos, worlds=worlds, seed=seed, max_steps=max_steps, first_world=first_world
        )
        self._environments = environments

    def reset(self, worlds: NDArray[np.bool_] | None = None) -> ObservationBatchDTO:
        """Begin the next episode in the marked worlds [W], all by default; each has a seed of its own."""
        for w in self._begin(worlds):
            try:
                observation, info = self._environments[w].reset(seed=self._seed(w))
            except Exception as error:  # the environment is foreign code
                raise self._fault(w, "reset raised", error) from error
            self._see(w, 0, observation, info, _mask_of(self._environments[w], info))
        return self._batch(~self._over[:, None])

    def step(self, actions: Actions) -> StepResult:
        """Play one decision, actions [W, 1, C]; a bad one raises BadInputError and changes nothing."""
        self._check(actions)
        rewards, terminations = np.zeros((self.worlds, 1), np.float32), np.zeros((self.worlds, 1), np.bool_)
        truncations = np.zeros((self.worlds, 1), np.bool_)
        running = np.flatnonzero(~self._over).tolist()
        for w, action in zip(running, self._actions.to_native(actions[running, 0]), strict=True):
            try:
                observation, reward, terminated, truncated, info = self._environments[w].step(action)
            except Exception as error:  # the environment is foreign code
                raise self._fault(w, "step raised", error) from error
            self._steps[w] += 1
            number = self._reward(w, reward)
            rewards[w, 0], terminations[w, 0] = number, bool(terminated)
            truncations[w, 0] = (bool(truncated) or self._steps[w] >= self.max_steps) and not terminated
            self._over[w] = terminations[w, 0] or truncations[w, 0]
            self._returns[w, 0] += number
            self._see(w, 0, observation, info, _mask_of(self._environments[w], info))
        return StepResult(
            observations=self._batch(~self._over[:, None]),
            rewards=rewards,
            terminations=terminations,
            truncations=truncations,
            over=self._over.copy(),
        )

    def tallies(self) -> Tallies:
        """Return the KPI sums of each world over its running or just finished episode."""
        sums = np.concatenate(([self._returns[:, 0], self._steps.astype(np.float64)], self._infos.sums))
        begun = (self._steps > 0).astype(np.float64)
        return Tallies(sums=sums, exposures=np.concatenate(([begun, begun], begun * self._infos.exposures)))


def _mask_of(environment: "gymnasium.Env[Any, Any]", info: Mapping[str, Any]) -> Any:
    """Return which options are legal, as an info or a method says it; None where neither does."""
    if MASK in info:
        return info[MASK]
    method: Callable[[], Any] | None = getattr(environment.unwrapped, "action_masks", None)
    return None if method is None else method()
