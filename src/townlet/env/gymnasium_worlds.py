"""Any Gymnasium environment as a `townlet.ports.Environment`: W copies with one agent each, in this process."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from townlet.dto.actions import Actions
from townlet.dto.boundary import ObservationBatchDTO, StepResult
from townlet.env.libraries import needed
from townlet.ports import EnvironmentDescription

if TYPE_CHECKING:
    import gymnasium

with needed("gymnasium", extra="env"):
    from townlet.env.foreign_worlds import ForeignWorlds
    from townlet.env.spaces import MASK

__all__ = ["GymnasiumWorlds"]


class GymnasiumWorlds(ForeignWorlds):
    """W environments with one agent each, stepped one after the other."""

    def __init__(self, description: EnvironmentDescription, environments: list[Any], *more: Any, **named: Any) -> None:
        super().__init__(description, environments, *more, **named)
        self._masks = [_mask_method(environment) for environment in environments]

    def reset(self, worlds: NDArray[np.bool_] | None = None) -> ObservationBatchDTO:
        """Begin the next episode in the marked worlds [W], all by default; each has a seed of its own."""
        for w in self._begin(worlds):
            try:
                observation, info = self._environments[w].reset(seed=self._seed(w))
            except Exception as error:  # the environment is foreign code
                raise self._fault(w, "reset raised", error) from error
            self._see(w, 0, observation, info, self._mask_of(w, info))
        return self._batch(~self._over[:, None])

    def step(self, actions: Actions) -> StepResult:
        """Play one decision, actions [W, 1, C]; a bad one raises BadInputError and changes nothing."""
        self._check(actions)
        rewards, terminations = np.zeros((self.worlds, 1), np.float32), np.zeros((self.worlds, 1), np.bool_)
        truncations = np.zeros((self.worlds, 1), np.bool_)
        running = np.flatnonzero(~self._over).tolist()
        self._steps[running] += 1
        native = self._actions.to_native(actions[running, 0])
        played = [self._play(w, action) for w, action in zip(running, native, strict=True)]
        if played:
            paid, ended, cut = (np.array(column) for column in zip(*played, strict=True))
            rewards[running, 0], terminations[running, 0] = paid, ended
            truncations[running, 0] = (cut | (self._steps[running] >= self.max_steps)) & ~ended
            self._over[running] = terminations[running, 0] | truncations[running, 0]
            self._returns[running, 0] += paid
        return StepResult(
            observations=self._batch(~self._over[:, None]),
            rewards=rewards,
            terminations=terminations,
            truncations=truncations,
            over=self._over.copy(),
        )

    def _play(self, w: int, action: Any) -> tuple[float, bool, bool]:
        """Play one decision of a world; return its reward, and whether it was terminated or truncated."""
        try:
            observation, reward, terminated, truncated, info = self._environments[w].step(action)
        except Exception as error:  # the environment is foreign code
            self._steps[w] -= 1  # this decision was not played
            raise self._fault(w, "step raised", error) from error
        number = self._reward(w, reward)
        self._see(w, 0, observation, info, self._mask_of(w, info))
        return number, bool(terminated), bool(truncated)

    def _mask_of(self, w: int, info: Mapping[str, Any]) -> Any:
        """Return which options are legal, as an info or a method says it; None where neither does."""
        if MASK in info:
            return info[MASK]
        method = self._masks[w]
        return None if method is None else method()


def _mask_method(environment: "gymnasium.Env[Any, Any]") -> Callable[[], Any] | None:
    """Return the method with which an environment says which options are legal, where it has one."""
    method: Callable[[], Any] | None = getattr(environment.unwrapped, "action_masks", None)
    return method
