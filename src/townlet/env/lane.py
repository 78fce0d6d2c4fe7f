"""One agent of one town as a Gymnasium environment; the others are played by a script."""

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from townlet.dto.scenarios import scenario as preset
from townlet.env.rendering import rgb_array
from townlet.env.town import TownEnvironment, TownProvider
from townlet.world.features import BOUND

__all__ = ["TownLaneEnv"]

Features = NDArray[np.float32]


class TownLaneEnv(gymnasium.Env[Features, np.int64]):
    """Agent slot 0 of one world; its death ends the episode, so do its days. `info` holds ``action_mask``."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(
        self,
        *,
        scenario: str = "small_town",
        days: int = 14,
        others: str = "scripted",
        render_mode: str | None = None,
    ) -> None:
        """Build the town; `others` names the script of the other agents."""
        self._spec, self._days, self.render_mode = preset(scenario), days, render_mode
        self._others = TownProvider().teacher(scenario, others)
        self._town = TownEnvironment(self._spec, worlds=1, seed=0, days=days)
        description = self._town.description
        self.observation_space = spaces.Box(-BOUND, BOUND, (len(description.features),), np.float32)
        self.action_space = spaces.Discrete(len(description.actions))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Features, dict[str, Any]]:
        """Begin an episode: the first of `seed`, or without one the next of the running seed."""
        super().reset(seed=seed)
        if seed is not None:
            self._town = TownEnvironment(self._spec, worlds=1, seed=seed, days=self._days)
        self._observations = self._town.reset()
        return self._own()

    def step(self, action: np.int64) -> tuple[Features, float, bool, bool, dict[str, Any]]:
        """Play one decision; BadInputError for an action that does not exist."""
        actions = self._others.act(self._observations)
        actions[0, 0] = action
        result = self._town.step(actions)
        self._observations = result.observations
        died = bool(result.terminations[0, 0])
        observations, info = self._own()
        return observations, float(result.rewards[0, 0]), died, bool(result.truncations[0]) and not died, info

    def render(self) -> Any:
        """Return a picture of the town; None without a render mode."""
        return None if self.render_mode is None else rgb_array(self._town.batch)

    def _own(self) -> tuple[Features, dict[str, Any]]:
        return self._observations.observations[0, 0].copy(), {
            "action_mask": self._observations.action_mask[0, 0].astype(np.int8)
        }
