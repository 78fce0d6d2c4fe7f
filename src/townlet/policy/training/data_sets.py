"""Data sets from outside, as a schedule names them: read for bc, and checked before a run begins."""

import math
import sys
from collections.abc import Mapping

from townlet.dto.evidence import RECORDED_METRICS
from townlet.dto.schedule import Plan
from townlet.dto.strategies import BCSpec, DataSpec, ReplaySpec
from townlet.errors import BadInputError
from townlet.estimate import MIN_PAIRS
from townlet.policy.data.demonstrations import (
    Demonstrations,
    demonstrations_of_episodes,
    demonstrations_of_samples,
)
from townlet.policy.data.imported import open_dataset
from townlet.ports import EnvironmentDescription, EnvironmentProvider, RecordedEpisode, RecordedProvider

__all__ = ["check_data_sets", "read_demonstrations", "recorded_values"]


def read_demonstrations(
    data: DataSpec, environments: EnvironmentProvider, description: EnvironmentDescription
) -> Demonstrations:
    """Return a data set from outside as decisions to clone; BadInputError naming what is unfit in it."""
    if data.minari is None:
        return demonstrations_of_samples(tuple(open_dataset(data).samples(accepted=True)), description)
    return demonstrations_of_episodes(
        _recorded(data.minari, data.sha256, environments, description), description, f"minari:{data.minari}"
    )


def recorded_values(
    data: DataSpec, environments: EnvironmentProvider, description: EnvironmentDescription, max_steps: int
) -> Mapping[str, tuple[float, ...]]:
    """Return what recorded episodes tell, by metric, episode by episode.

    BadInputError where there are fewer than decide anything, and where one is longer than the `max_steps` that evidence
    plays: its return would be another quantity.
    """
    episodes = _recorded(data.minari or "", data.sha256, environments, description)
    if len(episodes) < MIN_PAIRS:
        raise BadInputError(
            f"Minari data set {data.minari}: it has {len(episodes)} episodes, expected at least {MIN_PAIRS}"
        )
    lengths = tuple(float(len(episode.rewards)) for episode in episodes)
    longest = max(range(len(lengths)), key=lengths.__getitem__)
    if lengths[longest] > max_steps:
        raise BadInputError(
            f"Minari data set {data.minari}, episode {longest}: it has {lengths[longest]:.0f} decisions, and an "
            f"episode of the evidence at most {max_steps}; raise max_steps of the evidence, or record shorter episodes"
        )
    returns = tuple(math.fsum(episode.rewards.tolist()) for episode in episodes)
    return dict(zip(RECORDED_METRICS, (returns, lengths), strict=True))


def _recorded(
    minari: str, sha256: str, environments: EnvironmentProvider, description: EnvironmentDescription
) -> tuple[RecordedEpisode, ...]:
    """Return the episodes of a data set of Minari, read by the environment's own provider."""
    inner: object = environments
    while not isinstance(inner, RecordedProvider) and hasattr(inner, "inner"):  # around it: workers, a teacher
        inner = inner.inner
    if not isinstance(inner, RecordedProvider):
        raise BadInputError(
            f"environment {description.id} cannot read Minari data set {minari}; expected an environment of "
            "Gymnasium, or one with a manifest of samples"
        )
    return inner.recorded(minari, sha256)


def check_data_sets(plan: Plan, environments: EnvironmentProvider) -> None:
    """Raise BadInputError naming the state, or the baseline, whose data set is missing, changed or unfit."""
    description = environments.describe(plan.schedule.environment.scenario)
    lengths = [
        description.episode_length(plan.schedule.evidence[name].days, plan.schedule.evidence[name].max_steps)
        for name in plan.gathers.values()
    ]
    for name, baseline in plan.schedule.baselines.items():
        try:
            if baseline.data is not None:
                recorded_values(baseline.data, environments, description, min(lengths, default=sys.maxsize))
        except BadInputError as error:
            raise BadInputError(f"baseline {name!r}: {error}") from error
    for state, options in plan.options.items():
        try:
            if isinstance(options, BCSpec) and options.data is not None:
                read_demonstrations(options.data, environments, description)
            if isinstance(options, ReplaySpec):
                open_dataset(options.data, streaming=True)
        except BadInputError as error:
            raise BadInputError(f"state {state!r}: {error}") from error
