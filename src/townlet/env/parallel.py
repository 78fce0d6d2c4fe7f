"""One town as a PettingZoo environment."""

import sys
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from townlet.dto.boundary import ObservationBatchDTO, StepResult
from townlet.dto.codec import did_you_mean
from townlet.dto.scenarios import scenario as preset
from townlet.env.arguments import RENDER_MODES, checked_render_mode, draw_seed, whole_action, whole_seed
from townlet.env.libraries import needed
from townlet.env.rendering import render
from townlet.env.town import TownEnvironment, describe
from townlet.errors import BadInputError
from townlet.world.features import BOUND

with needed("gymnasium", "pettingzoo", extra="env"):
    from gymnasium import spaces
    from gymnasium.utils import seeding
    from pettingzoo import ParallelEnv

__all__ = ["FORMATS", "TownParallelEnv"]

FORMATS = ("dict", "rllib", "flat")
"""How an agent's features and mask are handed out: keys ``observation`` and ``action_mask``; keys ``observations`` and
``action_mask``, which RLlib's masking module asks for; or the features alone, with ``action_mask`` in its info."""
Infos = dict[str, dict[str, Any]]
Flags = dict[str, bool]


class TownParallelEnv(ParallelEnv[str, Any, int]):
    """One town; agents are ``agent_0`` … and each observation holds ``observation`` (F) and ``action_mask`` (A).

    A death ends that agent for the episode, because PettingZoo forbids revival; its slot goes on in the town as a
    newcomer that only waits. An illegal action is a counted no-op.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "townlet_v0",
        "render_modes": list(RENDER_MODES),
        "is_parallelizable": True,
        "render_fps": 10,
    }

    def __init__(
        self,
        *,
        scenario: str = "small_town",
        days: int = 14,
        render_mode: str | None = None,
        observation_format: str = "dict",
        black_death: bool = False,
    ) -> None:
        """Build the town of a scenario, episodes of `days` days; BadInputError for what does not exist.

        `observation_format` is one of `FORMATS`. With `black_death` all agents stay until the episode ends: the dead
        see zeros, may only wait (action 0) and earn 0; at the end they are terminated and the living are truncated.
        """
        if observation_format not in FORMATS:
            raise BadInputError(
                f"observation_format is {observation_format!r}{did_you_mean(str(observation_format), FORMATS)}"
            )
        self.render_mode = checked_render_mode(render_mode)
        self._spec, self._days, self._format, self._black_death = (
            preset(scenario),
            days,
            observation_format,
            black_death,
        )
        self._town = TownEnvironment(self._spec, worlds=1, seed=0, days=days)
        self._seeded, self._begun = False, False
        description = describe(self._spec)
        features, self._actions = len(description.features), description.actions.logits
        self.possible_agents = [f"agent_{i}" for i in range(description.agents)]
        self.agents: list[str] = []
        self._alive: set[str] = set()
        self._slots = {agent: i for i, agent in enumerate(self.possible_agents)}
        self.observation_spaces = {agent: _space(features, self._actions, observation_format) for agent in self._slots}
        self.action_spaces = {agent: spaces.Discrete(self._actions) for agent in self._slots}
        self.state_space = spaces.Box(-BOUND, BOUND, (features * description.agents,), np.float32)
        self._np_random: np.random.Generator | None = None
        self._np_random_seed: int | None = None

    @property
    def np_random(self) -> np.random.Generator:
        """Return the generator that draws the seeds of unseeded episodes; it is seeded by `reset`, else by chance."""
        if self._np_random is None:
            self._np_random, self._np_random_seed = seeding.np_random()
        return self._np_random

    @property
    def np_random_seed(self) -> int | None:
        """Return the number that `np_random` was seeded with."""
        return self._np_random_seed if self.np_random else None

    def observation_space(self, agent: str) -> Any:
        """Return the observation space of an agent, always the same object."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Discrete:
        """Return the action space of an agent, always the same object."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Any], Infos]:
        """Begin an episode: the first of `seed`, or the next of the running seed, which at first is drawn by chance."""
        if seed is not None:
            seed = whole_seed(seed)
            self._np_random, self._np_random_seed = seeding.np_random(seed)
        elif not self._seeded:
            seed = draw_seed(self.np_random)
        if seed is not None:
            self._town = TownEnvironment(self._spec, worlds=1, seed=seed, days=self._days)
        observations = self._town.reset()
        self._seeded = self._begun = True
        self.agents = list(self.possible_agents)
        self._alive = set(self.agents)
        self._show()
        return self._by_agent(observations)

    def step(self, actions: dict[str, int]) -> tuple[dict[str, Any], dict[str, float], Flags, Flags, Infos]:
        """Play one decision; agents that are not named wait. BadInputError for an unknown agent or action.

        After the end of an episode five empty dictionaries are returned, until `reset` is called.
        """
        if not self._begun:
            raise BadInputError("step: no episode has begun; call reset first")
        joint_actions = np.zeros((1, len(self._slots)), np.int64)
        for agent, action in actions.items():
            if agent not in self._slots:
                raise BadInputError(f"step: unknown agent {agent!r}{did_you_mean(str(agent), self.possible_agents)}")
            number = whole_action(action, agent, self._actions)
            if agent in self._alive:
                joint_actions[0, self._slots[agent]] = number
        if not self.agents:
            return {}, {}, {}, {}, {}
        answer = self._after(self._town.step(joint_actions))
        self._show()
        return answer

    def _after(self, result: StepResult) -> tuple[dict[str, Any], dict[str, float], Flags, Flags, Infos]:
        """Return what a decision led to, and drop the agents that are done."""
        acting, over = self.agents, bool(result.over[0])
        rewards = {a: float(result.rewards[0, self._slots[a]]) if a in self._alive else 0.0 for a in acting}
        self._alive -= {a for a in acting if result.terminations[0, self._slots[a]]}
        tells_deaths = not self._black_death or over or not self._alive
        terminations = {a: tells_deaths and a not in self._alive for a in acting}
        truncations = {a: over and a in self._alive for a in acting}
        observations, infos = self._by_agent(result.observations)
        self.agents = [a for a in acting if not (terminations[a] or truncations[a])]
        return observations, rewards, terminations, truncations, infos

    def state(self) -> NDArray[np.float32]:
        """Return the features of all agent slots in one row [N·F]; slots without a living agent are zeros."""
        return self._town.observe().observations.reshape(-1).copy()

    def render(self) -> NDArray[np.uint8] | str | None:
        """Return the picture (H, W, 3) or text of the town as it is now; None without a render mode or for a human."""
        return None if self.render_mode == "human" else render(self._town.batch, self.render_mode)

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def _show(self) -> None:
        if self.render_mode == "human":
            sys.stdout.write(str(render(self._town.batch, "ansi")))

    def _by_agent(self, observations: ObservationBatchDTO) -> tuple[dict[str, Any], Infos]:
        by_agent: dict[str, Any] = {}
        infos: Infos = {}
        for agent in self.agents:
            slot, gone = self._slots[agent], self._black_death and agent not in self._alive
            features = observations.observations[0, slot].copy()
            mask = observations.action_mask[0, slot].astype(np.int8)
            if gone:
                features[:], mask[:] = 0, np.arange(self._actions) == 0
            infos[agent] = {"action_mask": mask} if self._format == "flat" else {}
            by_agent[agent] = (
                features if self._format == "flat" else {_FEATURES_KEY[self._format]: features, "action_mask": mask}
            )
        return by_agent, infos


_FEATURES_KEY = {"dict": "observation", "rllib": "observations"}


def _space(features: int, actions: int, observation_format: str) -> Any:
    box = spaces.Box(-BOUND, BOUND, (features,), np.float32)
    if observation_format == "flat":
        return box
    return spaces.Dict({_FEATURES_KEY[observation_format]: box, "action_mask": spaces.Box(0, 1, (actions,), np.int8)})
