"""Aggregates over seeds, as in Agarwal et al. 2021, "Deep RL at the edge of the statistical precipice"."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from attrs import frozen

from townlet.estimate import iqm

__all__ = ["Interval", "interquartile", "of_groups"]

_RESAMPLES = 2000
Strata = Mapping[str, Sequence[float]]
"""Values of the seeds, by scenario."""


@frozen
class Interval:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"


def of_groups(statistic: Callable[[Sequence[Sequence[float]]], float], groups: Sequence[Strata]) -> Interval:
    """Return a statistic of several groups with its percentile bootstrap interval.

    Seeds are drawn with replacement within each scenario of each group (stratified), the scenarios then pooled.
    """
    source = np.random.default_rng(20_261_122)

    def drawn() -> list[list[float]]:
        return [
            [float(v) for values in group.values() for v in source.choice(np.asarray(values), len(values))]
            for group in groups
        ]

    whole = statistic([[v for values in group.values() for v in values] for group in groups])
    many = [statistic(drawn()) for _ in range(_RESAMPLES)]
    low, high = np.quantile(many, (0.025, 0.975))
    return Interval(whole, float(low), float(high))


def interquartile(group: Strata) -> Interval:
    """Return the interquartile mean over seeds with its interval."""
    return of_groups(lambda drawn: iqm(drawn[0]), (group,))
