"""A few episodes of an environment, played within some seconds, and what can be seen in them."""

from collections.abc import Callable
from time import monotonic
from typing import TypeAlias

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from townlet.dto.actions import Actions
from townlet.dto.boundary import ObservationBatchDTO, StepResult
from townlet.errors import EnvironmentFaultError
from townlet.policy.episode_checks import check_over
from townlet.policy.evaluation.episodes import Episodes
from townlet.ports import Environment
from townlet.random_play import PlayLimit, RandomPlayer, legal_actions

__all__ = ["Choice", "SamplePlay", "random_choice"]

Choice: TypeAlias = Callable[[ObservationBatchDTO, int], Actions]
"""Returns the actions of all worlds for what they show before a decision."""


def random_choice(environment: Environment) -> Choice:
    """Return what chooses legal actions at random, which depend on world, decision and agent only."""
    limit = PlayLimit(decisions=0, seconds=0.0)  # it chooses only; the play has a limit of its own
    player = RandomPlayer(environment=environment, description=environment.description, first_world=0, limit=limit)
    return lambda observations, decision: player.actions(observations.action_mask, 0, decision)


@define(kw_only=True)
class SamplePlay:
    """One episode of each of W worlds; those that the time was too short for have no return."""

    environment: Environment
    """The worlds; they are reset here."""
    max_steps: int
    """Decisions after which every episode is cut."""
    seconds: float
    """Seconds after which the play ends, wherever it is."""
    fault: str = ""
    """What the environment or the policy did wrong, in a sentence; empty where it played on."""
    decisions: int = 0
    """Decisions of single worlds."""
    rate: float = 0.0
    """The same in a second."""
    terminations: int = 0
    """Lives that ended by themselves."""
    truncations: int = 0
    """Lives that were cut."""
    illegal: int = 0
    """Choices that the mask forbids."""
    rewards: list[NDArray[np.float32]] = field(factory=list)
    """Rewards of living agents, an array for each decision."""
    low: NDArray[np.float32] = field(init=False)
    """Least value of each feature [F]."""
    high: NDArray[np.float32] = field(init=False)
    """Largest value of each feature [F]."""
    legal: float = 1.0
    """Share of options that the mask allowed."""
    lengths: NDArray[np.int64] = field(init=False)
    """Decisions of each world [W]."""
    over: NDArray[np.bool_] = field(init=False)
    """Worlds whose episode is over [W]."""

    def __attrs_post_init__(self) -> None:
        features, worlds = len(self.environment.description.features), self.environment.worlds
        self.low, self.high = np.full(features, np.inf, np.float32), np.full(features, -np.inf, np.float32)
        self.lengths, self.over = np.zeros(worlds, np.int64), np.zeros(worlds, np.bool_)

    def play(self, choose: Choice) -> "SamplePlay":
        """Play until all worlds are over, the time is, or something goes wrong; return this record."""
        started, allowed, options, decision = monotonic(), 0, 0, 0
        try:
            observations = self.environment.reset()
            self._look(observations)
            while not self.over.all() and monotonic() - started < self.seconds:
                actions, alive = choose(observations, decision), observations.alive
                is_legal = legal_actions(observations.action_mask, actions, self.environment.description.actions)
                self.illegal += int((alive & ~is_legal).sum())
                allowed += int(observations.action_mask[alive].sum())
                options += observations.action_mask[alive].size
                step = self.environment.step(actions)
                decision += 1
                self._count(step, alive)
                observations = step.observations
                self._look(observations)
        except EnvironmentFaultError as error:
            self.fault = str(error)
        self.legal = allowed / options if options else 1.0
        self.rate = self.decisions / max(monotonic() - started, 1e-9)
        return self

    def returns(self) -> tuple[float | None, ...]:
        """Return the objective of each world [W]; None where its episode is not over or has no exposure."""
        tallies, index = self.environment.tallies(), self.environment.description.objective_index
        episodes = Episodes(sums=tallies.sums, exposures=tallies.exposures, agent_steps=self.decisions)
        ratios = episodes.ratios(index)
        return tuple(ratio if over else None for ratio, over in zip(ratios, self.over.tolist(), strict=True))

    def _count(self, step: StepResult, alive: NDArray[np.bool_]) -> None:
        before = self.over
        self.lengths[~before] += 1
        self.decisions += int((~before).sum())
        check_over(self.environment.description, step.over, self.lengths, self.max_steps, before=before)
        self.terminations += int(step.terminations.sum())
        self.truncations += int(step.truncations[~before].sum())
        self.rewards.append(step.rewards[alive])
        self.over = step.over

    def _look(self, observations: ObservationBatchDTO) -> None:
        rows = observations.observations[observations.alive]
        if len(rows):
            self.low, self.high = np.minimum(self.low, rows.min(0)), np.maximum(self.high, rows.max(0))
