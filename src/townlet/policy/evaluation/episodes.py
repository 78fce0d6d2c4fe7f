"""Play whole episodes and record KPIs episode by episode, so that policies can be compared in pairs."""

from collections.abc import Callable
from math import isfinite

import attrs
import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.policy.episode_checks import check_over
from townlet.policy.reward_terms import TermSums, term_exposures
from townlet.ports import (
    Environment,
    EnvironmentDescription,
    EnvironmentProvider,
    Teacher,
    begin_episodes,
    close,
    teacher_actions,
)

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
    terms: NDArray[np.float64] = attrs.field(
        default=attrs.Factory(lambda self: np.zeros((0, self.sums.shape[1])), takes_self=True)
    )
    """[K, E], mean of each term of the rewards, in the description's `term_unit`; K is 0 where none are declared."""

    def __add__(self, later: "Episodes") -> "Episodes":
        return Episodes(
            sums=np.concatenate([self.sums, later.sums], axis=1),
            exposures=np.concatenate([self.exposures, later.exposures], axis=1),
            agent_steps=self.agent_steps + later.agent_steps,
            terms=np.concatenate([self.terms, later.terms], axis=1),
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

    def term(self, index: int) -> tuple[float | None, ...]:
        """Return the mean of a term of the rewards in each episode [E]; None where that is not finite or not known."""
        return tuple(mean if isfinite(mean) else None for mean in self.terms[index].tolist())

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
    max_steps: int,
    first: int,
    count: int,
    on_decision: Callable[[], None] = _ignore,
) -> Episodes:
    """Play episodes first … first + count − 1 of a seed, the same for every policy, of at most `max_steps` decisions.

    At most `batch_worlds` worlds exist at a time: the memory does not grow with `count`, and world i of a seed plays
    the same episode in every batch. `on_decision` is called after each decision of a batch and may raise to stop.
    """
    description = environments.describe(scenario)
    batches, means, agent_steps, most = [], [], 0, batch_worlds(description)
    for start in range(first, first + count, most):
        worlds = min(most, first + count - start)
        environment = environments.make(scenario, worlds=worlds, seed=seed, max_steps=max_steps, first_world=start)
        terms = TermSums(environment)
        lengths = play_episode(environment, policy, max_steps, on_decision, terms)
        means.append(terms.sums / term_exposures(description, lengths))
        batches.append(environment.tallies())
        close(environment)
        agent_steps += description.agents * int(lengths.sum())
    return Episodes(
        sums=np.concatenate([tallies.sums for tallies in batches], axis=1),
        exposures=np.concatenate([tallies.exposures for tallies in batches], axis=1),
        agent_steps=agent_steps,
        terms=np.concatenate(means, axis=1),
    )


def play_episode(
    environment: Environment,
    policy: Teacher,
    max_steps: int,
    on_decision: Callable[[], None] = _ignore,
    terms: TermSums | None = None,
) -> NDArray[np.int64]:
    """Play every world from reset until its episode is over; return the lengths [W] in decisions.

    EnvironmentFaultError where an episode ends too early, goes on after `max_steps` decisions or after its end.
    `on_decision` is called after each decision, whose terms of the rewards are added to `terms`.
    """
    observations, description = environment.reset(), environment.description
    begin_episodes(policy, np.ones(environment.worlds, np.bool_))
    lengths, over = np.zeros(environment.worlds, np.int64), np.zeros(environment.worlds, np.bool_)
    while not over.all():
        step = environment.step(teacher_actions(policy, observations, description.actions))
        lengths[~over] += 1
        check_over(description, step.over, lengths, max_steps, before=over)
        observations, over = step.observations, step.over
        if terms is not None:
            terms.add()
        on_decision()
    return lengths
