"""Many towns for Stable-Baselines3, which has a vectorised interface of its own."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townlet.env.libraries import needed
from townlet.env.vector import TownVectorEnv
from townlet.errors import BadInputError

with needed("stable_baselines3", "torch", extra="sb3"):
    from stable_baselines3.common.vec_env import VecEnv

__all__ = ["TownVecEnv"]

Lanes = NDArray[Any]


class TownVecEnv(VecEnv):
    """The lanes of a `TownVectorEnv`; `action_masks` tells what is legal, in the way that sb3-contrib asks."""

    def __init__(
        self, *, num_envs: int = 512, scenario: str = "small_town", days: int = 14, render_mode: str | None = None
    ) -> None:
        """Lay out as many worlds as `num_envs` lanes need; see `TownVectorEnv`."""
        self._lanes = TownVectorEnv(num_envs=num_envs, scenario=scenario, days=days, render_mode=render_mode)
        self._mask: Lanes = np.ones((num_envs, self._lanes.single_action_space.n), np.bool_)
        self._actions: Lanes = np.zeros(num_envs, np.int64)
        super().__init__(num_envs, self._lanes.single_observation_space, self._lanes.single_action_space)

    def reset(self) -> Lanes:
        """Begin an episode in all worlds: the first of the seed set by `seed`, or the next."""
        seeds: list[int | None] = self._seeds
        observations, infos = self._lanes.reset(seed=seeds[0])
        self._reset_seeds()
        self._reset_options()
        self._mask = infos["action_mask"]
        self.reset_infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        return observations

    def step_async(self, actions: Lanes) -> None:
        """Take the actions [num_envs] that `step_wait` plays."""
        self._actions = actions

    def step_wait(self) -> tuple[Lanes, Lanes, Lanes, list[dict[str, Any]]]:
        """Play one decision; a lane is done by death or by time, and `infos` tells which."""
        observations, rewards, terminations, truncations, infos = self._lanes.step(self._actions)
        self._mask = infos["action_mask"]
        infos_by_lane: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        done = terminations | truncations
        for lane in np.flatnonzero(done):
            infos_by_lane[lane] = {
                "terminal_observation": infos["final_obs"][lane],
                "TimeLimit.truncated": bool(truncations[lane]),
            }
        return observations, rewards, done, infos_by_lane

    def action_masks(self) -> Lanes:
        """Return which actions are legal now [num_envs, A]."""
        return self._mask

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Return an attribute of each lane asked for; AttributeError for one that the lanes do not have.

        ``action_masks`` is a method of each lane that returns its own row.
        """
        if attr_name == "action_masks":
            return [lambda lane=lane: self._mask[lane] for lane in self._get_indices(indices)]
        return [getattr(self._lanes, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse: lanes share one town and have no attributes of their own."""
        raise BadInputError(f"set_attr: lanes of a town have no attribute {attr_name!r} of their own")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Answer ``action_masks`` for each lane asked for; BadInputError for any other method."""
        if method_name != "action_masks":
            raise BadInputError(f"env_method: lanes of a town have no method {method_name!r} of their own")
        return [self._mask[lane] for lane in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Tell that no lane is wrapped."""
        return [False for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """Return for each lane the picture of its world; None for each without pictures."""
        frames = self._lanes.render() if self.render_mode == "rgb_array" else None
        return [None] * self.num_envs if frames is None else frames
