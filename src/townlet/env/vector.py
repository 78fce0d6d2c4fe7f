"""Many towns as a Gymnasium `VectorEnv`: every agent slot of every world is a lane."""

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from townlet.dto.boundary import ObservationBatchDTO
from townlet.dto.scenarios import scenario as preset
from townlet.env.rendering import rgb_array
from townlet.env.town import TownEnvironment
from townlet.errors import BadInputError
from townlet.world.features import BOUND

__all__ = ["TownVectorEnv"]

Lanes = NDArray[Any]


class TownVectorEnv(VectorEnv[Lanes, Lanes, Lanes]):
    """Lane w·N + i is agent slot i of world w; observations are features, `infos` holds ``action_mask`` and ``alive``.

    A lane terminates when its agent dies; until the slot lives again it shows zeros, its only legal action is 0 and its
    reward 0. A world whose days are over truncates all its lanes and begins its next episode in the same step; what was
    seen last stands in ``infos["final_obs"]``, the lanes it is meant for in ``infos["_final_obs"]``.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "autoreset_mode": AutoresetMode.SAME_STEP,
        "render_modes": ["rgb_array"],
        "render_fps": 10,
    }

    def __init__(
        self, *, num_envs: int = 512, scenario: str = "small_town", days: int = 14, render_mode: str | None = None
    ) -> None:
        """Lay out as many worlds as `num_envs` lanes need; BadInputError where they do not fill whole worlds."""
        self._spec, self._days, self.render_mode = preset(scenario), days, render_mode
        worlds, rest = divmod(num_envs, self._spec.agents)
        if rest or worlds < 1:
            raise BadInputError(
                f"num_envs is {num_envs}; scenario {scenario!r} has {self._spec.agents} agents a world, "
                f"expected a multiple of {self._spec.agents}"
            )
        self.num_envs = num_envs
        self._town = TownEnvironment(self._spec, worlds=worlds, seed=0, days=days)
        description = self._town.description
        self.single_observation_space = spaces.Box(-BOUND, BOUND, (len(description.features),), np.float32)
        self.single_action_space = spaces.Discrete(len(description.actions))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Lanes, dict[str, Any]]:
        """Begin an episode in all worlds: the first of `seed` (one number for all), or the next of the running seed."""
        if seed is not None and not isinstance(seed, int):
            raise BadInputError("reset: expected one seed for all lanes; worlds are told apart by their number")
        super().reset(seed=seed)
        if seed is not None:
            self._town = TownEnvironment(self._spec, worlds=self._town.worlds, seed=seed, days=self._days)
        return self._lanes(self._town.reset())

    def step(self, actions: Lanes) -> tuple[Lanes, Lanes, Lanes, Lanes, dict[str, Any]]:
        """Play one decision, actions [num_envs]; BadInputError for another shape or value."""
        shape = (self._town.worlds, self._spec.agents)
        chosen = np.asarray(actions)
        if chosen.shape != (self.num_envs,) or chosen.dtype.kind not in "iu":
            raise BadInputError(
                f"step: expected whole numbers of shape ({self.num_envs},), found {chosen.dtype} {chosen.shape}"
            )
        result = self._town.step(np.ascontiguousarray(chosen.reshape(shape), np.int64))
        observations, infos = self._lanes(result.observations)
        terminations = result.terminations.reshape(-1).copy()
        truncations = np.repeat(result.truncations, self._spec.agents) & ~terminations
        if result.truncations.any():
            over = np.repeat(result.truncations, self._spec.agents)
            final = observations
            observations, infos = self._lanes(self._town.reset(result.truncations))
            infos |= {"final_obs": final, "_final_obs": over}
        return observations, result.rewards.reshape(-1).copy(), terminations, truncations, infos

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Return a picture of each world; None without a render mode."""
        if self.render_mode is None:
            return None
        return tuple(rgb_array(self._town.batch, world) for world in range(self._town.worlds))

    def _lanes(self, observations: ObservationBatchDTO) -> tuple[Lanes, dict[str, Any]]:
        flat = observations.observations.reshape(self.num_envs, -1).copy()
        masks = observations.action_mask.reshape(self.num_envs, -1).copy()
        return flat, {"action_mask": masks, "alive": observations.alive.reshape(-1).copy()}
