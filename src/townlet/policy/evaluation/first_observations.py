"""What the first observation of an episode shows, without playing it: covariates that a seed fixes."""

import numpy as np

from townlet.policy.evaluation.episodes import batch_worlds
from townlet.ports import EnvironmentProvider, close

__all__ = ["first_observed"]


def first_observed(
    environments: EnvironmentProvider,
    scenario: str,
    feature: str,
    *,
    seed: int,
    max_steps: int,
    first: int,
    count: int,
) -> tuple[float, ...]:
    """Return a feature in the first observation of episodes first … first + count − 1 of a seed, one value an episode.

    It is the mean over the living agents. The worlds are those that `play` makes, begun and closed.
    """
    description = environments.describe(scenario)
    index, most, found = description.features.index(feature), batch_worlds(description), list[float]()
    for start in range(first, first + count, most):
        worlds = min(most, first + count - start)
        environment = environments.make(scenario, worlds=worlds, seed=seed, max_steps=max_steps, first_world=start)
        observed = environment.reset()
        values = np.where(observed.alive, observed.observations[:, :, index], 0.0).sum(axis=1, dtype=np.float64)
        found += (values / np.maximum(observed.alive.sum(axis=1), 1)).tolist()
        close(environment)
    return tuple(found)
