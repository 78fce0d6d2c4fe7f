"""Environments of any size, for `growth.py`: small_town with other numbers of agents, and noise of any width."""

from typing import Any

import gymnasium
import numpy as np
from attrs import evolve, frozen
from gymnasium import spaces
from numpy.typing import NDArray

from townlet.dto.scenarios import scenario as preset
from townlet.dto.town import DAY, TownSpec
from townlet.env.town import TownEnvironment, describe
from townlet.ports import EnvironmentDescription, Teacher
from townlet.world.teachers import TEACHERS

__all__ = ["Noise", "SizedTown", "noise", "town"]

ACTIONS, POOL = 14, 16
"""Actions of the noise, as many as small_town has; observations that are drawn once and shown in turn."""


@frozen
class SizedTown:
    """Provides small_town with another number of agents."""

    spec: TownSpec

    def describe(self, scenario: str) -> EnvironmentDescription:
        """Return the description; there is one scenario."""
        return describe(self.spec)

    def make(self, scenario: str, *, worlds: int, seed: int, max_steps: int, first_world: int = 0) -> TownEnvironment:
        """Return towns whose episodes have whole days."""
        days = max(1, max_steps * self.spec.ticks_per_decision // DAY)
        return TownEnvironment(self.spec, worlds=worlds, seed=seed, days=days, first_world=first_world)

    def teacher(self, scenario: str, name: str) -> Teacher:
        """Return a script of the town."""
        return TEACHERS[name]()


def town(agents: int) -> SizedTown:
    """Return small_town with so many agents."""
    return SizedTown(evolve(preset("small_town"), agents=agents))


class Noise(gymnasium.vector.VectorEnv[Any, Any, Any]):
    """Sub-environments that show noise whatever is done, and never end."""

    metadata = {"autoreset_mode": gymnasium.vector.AutoresetMode.DISABLED}  # noqa: RUF012  Gymnasium's word

    def __init__(self, num_envs: int, features: int) -> None:
        self.num_envs = num_envs
        self.single_observation_space = spaces.Box(-np.inf, np.inf, (features,), np.float32)
        self.single_action_space = spaces.Discrete(ACTIONS)
        self.observation_space = gymnasium.vector.utils.batch_space(self.single_observation_space, num_envs)
        self.action_space = gymnasium.vector.utils.batch_space(self.single_action_space, num_envs)
        self.pool = np.random.default_rng(1).standard_normal((POOL, num_envs, features)).astype(np.float32)
        self.rewards = np.random.default_rng(2).standard_normal((POOL, num_envs)).astype(np.float32)
        self.never, self.clock = np.zeros(num_envs, np.bool_), 0

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Show the first noise."""
        return self.pool[0], {}

    def step(self, actions: Any) -> tuple[NDArray[np.float32], NDArray[np.float32], Any, Any, dict[str, Any]]:
        """Show the next."""
        self.clock += 1
        return self.pool[self.clock % POOL], self.rewards[self.clock % POOL], self.never, self.never.copy(), {}


def noise(features: int, num_envs: int = 1) -> Noise:
    """Return so many sub-environments of so many features."""
    return Noise(num_envs, features)
