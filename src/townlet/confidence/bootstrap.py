"""Bootstrap intervals over runs × episodes, and the statistics that they are for.

R. Agarwal et al. (2021), "Deep reinforcement learning at the edge of the statistical precipice": the interquartile mean
and the probability of improvement, with percentile intervals of a stratified bootstrap. Which level is drawn again
depends on what the sentence is about. With `LEAST_RUNS` runs or more it is the recipe, and whole runs are drawn; with
fewer it is these weights, and each run is a stratum whose episodes are drawn.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.confidence.between_runs import LEAST_RUNS
from townlet.rng import seed_sequence

__all__ = ["RESAMPLES", "Estimate", "improvement", "interquartile_mean"]

RESAMPLES = 2_000
"""Samples that an interval is made of."""

Values = NDArray[np.float64]
Runs = Sequence[Values]
"""One array of episodes per run."""


@frozen(kw_only=True)
class Estimate:
    """A statistic and its percentile interval."""

    value: float
    """The statistic of the episodes themselves."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""


def interquartile_mean(runs: Runs, alpha: float, key: str) -> Estimate:
    """Return the interquartile mean over all episodes of all runs; `key` keys the draws."""
    return _estimate(_iqm, (runs,), alpha, key)


def improvement(runs: Runs, others: Runs, alpha: float, key: str) -> Estimate:
    """Return the chance that an episode of `runs` has a higher value than one of `others`; ties count half."""
    return _estimate(_higher, (runs, others), alpha, key)


def _estimate(statistic: Callable[..., float], sides: Sequence[Runs], alpha: float, key: str) -> Estimate:
    if not all(side and all(len(run) for run in side) for side in sides):
        raise ValueError("expected at least one run on each side, and at least one episode in each run")
    draws = [_draws(side, f"{key} {place}") for place, side in enumerate(sides)]
    values = [statistic(*samples) for samples in zip(*draws, strict=True)]
    low, high = np.quantile(values, (alpha / 2, 1 - alpha / 2))
    return Estimate(value=statistic(*map(np.concatenate, sides)), low=float(low), high=float(high))


def _draws(runs: Runs, key: str) -> Iterator[Values]:
    """Yield the samples: whole runs drawn with replacement, or the episodes within each run."""
    rng = np.random.default_rng(seed_sequence(0, "bootstrap", key))
    for _ in range(RESAMPLES):
        if len(runs) >= LEAST_RUNS:
            yield np.concatenate([runs[i] for i in rng.integers(len(runs), size=len(runs))])
        else:
            yield np.concatenate([run[rng.integers(len(run), size=len(run))] for run in runs])


def _iqm(values: Values) -> float:
    """Return what `estimate.iqm` does, fast enough for thousands of samples."""
    n = len(values)
    places = np.arange(n)
    weights = np.clip(np.minimum(places + 1, 3 * n / 4) - np.maximum(places, n / 4), 0, None)
    return float(weights @ np.sort(values) / weights.sum())


def _higher(values: Values, others: Values) -> float:
    """Return what `estimate.probability_of_improvement` does."""
    ordered = np.sort(others)
    twice = np.searchsorted(ordered, values, "left").sum() + np.searchsorted(ordered, values, "right").sum()
    return float(twice / (2 * len(values) * len(others)))
