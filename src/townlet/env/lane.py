"""One agent of one town as a Gymnasium environment; the others are played by a script."""

import sys
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from townlet.dto.scenarios import scenario as preset
from townlet.env.arguments import RENDER_MODES, checked_render_mode, draw_seed, whole_action, whole_seed
from townlet.env.libraries import needed
from townlet.env.registration import spec_of_length
from townlet.env.rendering import render
from townlet.env.town import TownEnvironment, TownProvider
from townlet.errors import BadInputError
from townlet.world.features import BOUND

with needed("gymnasium", extra="env"):
    import gymnasium
    from gymnasium import spaces

__all__ = ["TownLaneEnv"]

Features = NDArray[np.float32]


class TownLaneEnv(gymnasium.Env[Features, np.int64]):
    """Agent slot 0 of one world; its death ends the episode, so do its days. `info` holds ``action_mask``."""

    metadata: ClassVar[dict[str, Any]] = {"render_modes": list(RENDER_MODES), "render_fps": 10}

    def __init__(
        self,
        *,
        scenario: str = "small_town",
        days: int = 14,
        others: str = "scripted",
        render_mode: str | None = None,
    ) -> None:
        """Build the town; `others` names the script of the other agents. BadInputError for what does not exist."""
        self.render_mode = checked_render_mode(render_mode)
        self._scenario, self._days = preset(scenario), days
        self._others = TownProvider().teacher(scenario, others)
        self._town = TownEnvironment(self._scenario, worlds=1, seed=0, days=days)
        self._seeded = False
        description = self._town.description
        self.observation_space = spaces.Box(-BOUND, BOUND, (len(description.features),), np.float32)
        self.action_space = spaces.Discrete(description.actions.logits)
        self._decisions = description.episode_length(days)
        self._spec: Any = None

    @property
    def spec(self) -> Any:
        """Return Gymnasium's specification, with the decisions of an episode as ``max_episode_steps``."""
        return self._spec

    @spec.setter
    def spec(self, spec: Any) -> None:
        self._spec = spec_of_length(spec, self._decisions)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Features, dict[str, Any]]:
        """Begin an episode: the first of `seed`, or the next of the running seed, which at first is drawn by chance."""
        if seed is not None:
            seed = whole_seed(seed)
        super().reset(seed=seed)
        if seed is None and not self._seeded:
            seed = draw_seed(self.np_random)
        if seed is not None:
            self._town = TownEnvironment(self._scenario, worlds=1, seed=seed, days=self._days)
        self._observations = self._town.reset()
        self._seeded = True
        self._show()
        return self._own()

    def step(self, action: np.int64) -> tuple[Features, float, bool, bool, dict[str, Any]]:
        """Play one decision; BadInputError for an action that does not exist."""
        number = whole_action(action, "the lane", int(self.action_space.n))
        if not self._seeded:
            raise BadInputError("step: no episode has begun; call reset first")
        actions = np.asarray(self._others.act(self._observations), np.int64)
        actions[0, 0] = number
        result = self._town.batch.step(actions)
        self._observations = result.observations
        died = bool(result.terminations[0, 0])
        self._show()
        observations, info = self._own()
        return observations, float(result.rewards[0, 0]), died, bool(result.over[0]) and not died, info

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which actions are legal now [A], in the way that sb3-contrib asks."""
        return self._observations.action_mask[0, 0].copy()

    def render(self) -> Any:
        """Return a picture or the text of the town; None without a render mode or for a human."""
        return None if self.render_mode == "human" else render(self._town.batch, self.render_mode)

    def _show(self) -> None:
        if self.render_mode == "human":
            sys.stdout.write(str(render(self._town.batch, "ansi")))

    def _own(self) -> tuple[Features, dict[str, Any]]:
        return self._observations.observations[0, 0].copy(), {
            "action_mask": self._observations.action_mask[0, 0].astype(np.int8)
        }
