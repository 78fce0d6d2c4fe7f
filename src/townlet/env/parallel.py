"""One town as a PettingZoo environment."""

from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from townlet.dto.boundary import ObservationBatchDTO
from townlet.dto.codec import did_you_mean
from townlet.dto.scenarios import scenario as preset
from townlet.env.rendering import ansi, rgb_array
from townlet.env.town import TownEnvironment
from townlet.errors import BadInputError
from townlet.world.features import BOUND

__all__ = ["TownParallelEnv"]

Observation = dict[str, NDArray[Any]]


class TownParallelEnv(ParallelEnv[str, Observation, int]):
    """One town; agents are ``agent_0`` … and each observation holds ``observation`` (F) and ``action_mask`` (A).

    A death ends that agent for the episode, because PettingZoo forbids revival; its slot goes on in the town as a
    newcomer that only waits. An illegal action is a counted no-op.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "townlet_v0",
        "render_modes": ["rgb_array", "ansi"],
        "is_parallelizable": True,
        "render_fps": 10,
    }

    def __init__(self, *, scenario: str = "small_town", days: int = 14, render_mode: str | None = None) -> None:
        """Build the town of a scenario, episodes of `days` days; BadInputError for what does not exist."""
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise BadInputError(f"render_mode is {render_mode!r}{did_you_mean(render_mode, ('rgb_array', 'ansi'))}")
        self.render_mode = render_mode
        self._spec, self._days, self._town = preset(scenario), days, TownEnvironment(
            preset(scenario), worlds=1, seed=0, days=days
        )  # fmt: skip
        description = self._town.description
        self.possible_agents = [f"agent_{i}" for i in range(description.agents)]
        self.agents: list[str] = []
        self._slots = {agent: i for i, agent in enumerate(self.possible_agents)}
        self.observation_spaces = {
            agent: _space(len(description.features), len(description.actions)) for agent in self._slots
        }
        self.action_spaces = {agent: spaces.Discrete(len(description.actions)) for agent in self._slots}

    def observation_space(self, agent: str) -> spaces.Dict:
        """Return the observation space of an agent, always the same object."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Discrete:
        """Return the action space of an agent, always the same object."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Observation], dict[str, dict[str, Any]]]:
        """Begin an episode: the first of `seed`, or without one the next of the running seed."""
        if seed is not None:
            self._town = TownEnvironment(self._spec, worlds=1, seed=seed, days=self._days)
        observations = self._town.reset()
        self.agents = list(self.possible_agents)
        return self._by_agent(observations), {agent: {} for agent in self.agents}

    def step(
        self, actions: dict[str, int]
    ) -> tuple[dict[str, Observation], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Play one decision; agents that are not named wait. BadInputError for an unknown agent or action."""
        if not self.agents:
            raise BadInputError("step: the episode is over; call reset first")
        joint_actions = np.zeros((1, len(self._slots)), np.int64)
        for agent, action in actions.items():
            if agent not in self._slots:
                raise BadInputError(f"step: unknown agent {agent!r}{did_you_mean(agent, self.possible_agents)}")
            if agent in self.agents:
                joint_actions[0, self._slots[agent]] = action
        result = self._town.step(joint_actions)
        observations, over = self._by_agent(result.observations), bool(result.truncations[0])
        slots = {agent: self._slots[agent] for agent in self.agents}
        rewards = {agent: float(result.rewards[0, i]) for agent, i in slots.items()}
        terminations = {agent: bool(result.terminations[0, i]) for agent, i in slots.items()}
        truncations = {agent: over and not terminations[agent] for agent in slots}
        self.agents = [agent for agent in slots if not (terminations[agent] or truncations[agent])]
        return observations, rewards, terminations, truncations, {agent: {} for agent in slots}

    def render(self) -> NDArray[np.uint8] | str | None:
        """Return the picture (H, W, 3) or text of the town as it is now; None without a render mode."""
        if self.render_mode is None:
            return None
        return (rgb_array if self.render_mode == "rgb_array" else ansi)(self._town.batch)

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def _by_agent(self, observations: ObservationBatchDTO) -> dict[str, Observation]:
        return {
            agent: {
                "observation": observations.observations[0, self._slots[agent]].copy(),
                "action_mask": observations.action_mask[0, self._slots[agent]].astype(np.int8),
            }
            for agent in self.agents
        }


def _space(features: int, actions: int) -> spaces.Dict:
    return spaces.Dict(
        {
            "observation": spaces.Box(-BOUND, BOUND, (features,), np.float32),
            "action_mask": spaces.Box(0, 1, (actions,), np.int8),
        }
    )
