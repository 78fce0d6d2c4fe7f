"""Play whole episodes and record KPIs episode by episode, so that policies can be compared in pairs."""

from collections.abc import Callable

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.ports import Environment, EnvironmentProvider, Tallies, Teacher

__all__ = ["Episodes", "play", "play_episode"]


@frozen(kw_only=True, eq=False)
class Episodes:
    """KPI sums and exposures of E episodes; M metrics in the order of the environment's description."""

    sums: NDArray[np.float64]
    """[M, E]."""
    exposures: NDArray[np.float64]
    """[M, E]; 0 where the episode has no data for the metric."""
    agent_steps: int
    """Number of decisions of agent slots."""

    def __add__(self, later: "Episodes") -> "Episodes":
        return Episodes(
            sums=np.concatenate([self.sums, later.sums], axis=1),
            exposures=np.concatenate([self.exposures, later.exposures], axis=1),
            agent_steps=self.agent_steps + later.agent_steps,
        )

    @property
    def count(self) -> int:
        """E, the number of episodes."""
        return int(self.sums.shape[1])

    def ratios(self, metric: int) -> tuple[float | None, ...]:
        """Return sum ÷ exposure of each episode [E], None without exposure."""
        pairs = zip(self.sums[metric].tolist(), self.exposures[metric].tolist(), strict=True)
        return tuple(total / exposure if exposure > 0 else None for total, exposure in pairs)


def play(
    environments: EnvironmentProvider, scenario: str, policy: Teacher, *, seed: int, days: int, first: int, count: int
) -> Episodes:
    """Play the episodes first … first + count − 1 of a seed, which are the same for every policy."""
    environment = environments.make(scenario, worlds=count, seed=seed, days=days, first_world=first)
    tallies = play_episode(environment, policy)
    description = environment.description
    return Episodes(
        sums=tallies.sums,
        exposures=tallies.exposures,
        agent_steps=count * description.agents * days * description.decisions_per_day,
    )


def play_episode(
    environment: Environment, policy: Teacher, on_agent_steps: Callable[[int], None] | None = None
) -> Tallies:
    """Play every world from reset until all are truncated by time; return the KPI tallies.

    `on_agent_steps` gets the number of agent-steps after each decision.
    """
    observations, agents = environment.reset(), environment.description.agents
    while True:
        step = environment.step(policy.act(observations))
        observations = step.observations
        if on_agent_steps is not None:
            on_agent_steps(environment.worlds * agents)
        if step.truncations.all():
            return environment.tallies()
