"""Play whole episodes and record KPIs episode by episode, so that policies can be compared in pairs."""

from collections.abc import Callable

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.ports import Environment, EnvironmentDescription, EnvironmentProvider, Tallies, Teacher, check_truncations

__all__ = ["BATCH", "Episodes", "batch_worlds", "play", "play_episode"]

BATCH = 1024
"""Worlds at a time, where the environment allows so many."""


def _ignore() -> None:
    """Do nothing after a decision."""


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
        """Return sum ÷ exposure of each episode [E]; None without exposure, and where that is no valid number."""
        quotients, exposed = self._quotients(metric), self.exposures[metric] > 0
        usable = np.isfinite(quotients) & exposed
        return tuple(value if fits else None for value, fits in zip(quotients.tolist(), usable.tolist(), strict=True))

    def invalid(self, metric: int) -> tuple[int, ...]:
        """Return the episodes whose sum, exposure or quotient is not finite, or whose exposure is negative."""
        return tuple(np.flatnonzero(~np.isfinite(self._quotients(metric))).tolist())

    def _quotients(self, metric: int) -> NDArray[np.float64]:
        """Return sum ÷ exposure [E], 0 without exposure, NaN where the exposure is negative or not finite."""
        sums, exposures = self.sums[metric], self.exposures[metric]
        quotients = np.where(np.isfinite(sums), 0.0, np.nan)
        with np.errstate(all="ignore"):
            np.divide(sums, exposures, out=quotients, where=exposures > 0)
        quotients[~np.isfinite(exposures) | (exposures < 0)] = np.nan
        return quotients


def batch_worlds(description: EnvironmentDescription) -> int:
    """Return the number of worlds that play at a time."""
    return BATCH if description.most_worlds is None else min(BATCH, description.most_worlds)


def play(
    environments: EnvironmentProvider,
    scenario: str,
    policy: Teacher,
    *,
    seed: int,
    days: int,
    first: int,
    count: int,
    on_decision: Callable[[], None] = _ignore,
) -> Episodes:
    """Play the episodes first … first + count − 1 of a seed, which are the same for every policy.

    At most `batch_worlds` worlds exist at a time: the memory does not grow with `count`, and world i of a seed plays
    the same episode in every batch. `on_decision` is called after each decision of a batch and may raise to stop.
    """
    description = environments.describe(scenario)
    decisions = days * description.decisions_per_day
    batches = []
    most = batch_worlds(description)
    for start in range(first, first + count, most):
        worlds = min(most, first + count - start)
        environment = environments.make(scenario, worlds=worlds, seed=seed, days=days, first_world=start)
        batches.append(play_episode(environment, policy, decisions, on_decision))
    return Episodes(
        sums=np.concatenate([tallies.sums for tallies in batches], axis=1),
        exposures=np.concatenate([tallies.exposures for tallies in batches], axis=1),
        agent_steps=count * description.agents * decisions,
    )


def play_episode(
    environment: Environment, policy: Teacher, decisions: int, on_decision: Callable[[], None] = _ignore
) -> Tallies:
    """Play every world from reset for `decisions` decisions, the declared length; return the KPI tallies.

    EnvironmentFaultError where an episode ends before or goes on after them. `on_decision` is called after each.
    """
    observations, description = environment.reset(), environment.description
    for decision in range(1, decisions + 1):
        step = environment.step(policy.act(observations))
        check_truncations(description, step.truncations, decision == decisions, decision)
        observations = step.observations
        on_decision()
    return environment.tallies()
