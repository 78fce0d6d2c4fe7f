"""Whole episodes and what they were worth, episode by episode, so that policies can be compared in pairs."""

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.policy.ppo.rollout import play_episode
from townlet.ports import EnvironmentProvider, Teacher

__all__ = ["Episodes", "play"]


@frozen(kw_only=True, eq=False)
class Episodes:
    """KPI sums and exposures of E played episodes; M metrics in the order of the environment's description."""

    sums: NDArray[np.float64]
    """[M, E]."""
    exposures: NDArray[np.float64]
    """[M, E]; 0 where the episode gives no information on the metric."""
    agent_steps: int
    """Decisions of agent slots that were played."""

    def __add__(self, later: "Episodes") -> "Episodes":
        return Episodes(
            sums=np.concatenate([self.sums, later.sums], axis=1),
            exposures=np.concatenate([self.exposures, later.exposures], axis=1),
            agent_steps=self.agent_steps + later.agent_steps,
        )

    @property
    def count(self) -> int:
        """E."""
        return int(self.sums.shape[1])

    def ratios(self, metric: int) -> tuple[float | None, ...]:
        """Return sum ÷ exposure of each episode; none without exposure."""
        pairs = zip(self.sums[metric].tolist(), self.exposures[metric].tolist(), strict=True)
        return tuple(total / exposure if exposure > 0 else None for total, exposure in pairs)


def play(
    environments: EnvironmentProvider, scenario: str, player: Teacher, *, seed: int, days: int, first: int, count: int
) -> Episodes:
    """Play the episodes first … first + count − 1 of a seed: the same ones for every player."""
    environment = environments.make(scenario, worlds=count, seed=seed, days=days, first_world=first)
    tallies = play_episode(environment, player)
    about = environment.description
    return Episodes(
        sums=tallies.sums,
        exposures=tallies.exposures,
        agent_steps=count * about.agents * days * about.decisions_per_day,
    )
