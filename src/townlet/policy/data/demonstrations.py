"""Demonstrations from outside, for bc: replay samples of this version and of earlier releases, recorded episodes."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress

import attrs
import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.actions import ActionSpec
from townlet.errors import BadInputError
from townlet.policy.data.dataset import Dataset, blank_arrays, metadata_of
from townlet.policy.data.samples import check_origin, stacked
from townlet.ports import EnvironmentDescription, RecordedEpisode
from townlet.store.samples import ReplaySample

__all__ = ["Demonstrations", "demonstrations_of_episodes", "demonstrations_of_samples"]


@frozen(kw_only=True)
class Demonstrations:
    """A data set to clone, and what it does not know."""

    dataset: Dataset
    """The decisions; a feature that is missing is 0 in all of them."""
    missing: tuple[str, ...] = ()
    """Features that the environment shows and the data set does not have."""

    @property
    def known(self) -> NDArray[np.bool_]:
        """[F], False for a feature that is missing."""
        return np.array([name not in self.missing for name in self.dataset.metadata.features])


def demonstrations_of_samples(samples: Sequence[ReplaySample], description: EnvironmentDescription) -> Demonstrations:
    """Return samples as demonstrations: features are matched by name, actions by the names of `action_lookup`.

    Samples of earlier releases know neither masks nor deaths: all options count as legal, and the agent as living. A
    feature that one of the samples lacks is missing from all. BadInputError naming the sample that does not fit.
    """
    missing = tuple(name for name in description.features if any(name not in each.feature_names for each in samples))
    if samples and len(missing) == len(description.features):
        raise BadInputError(
            f"{samples[0].source}: none of its features is one that {description.id} shows in all samples; expected "
            f"some of {', '.join(description.features[:8])}, …"
        )
    aligned = [_aligned(sample, description, missing) for sample in samples]
    return Demonstrations(dataset=stacked(aligned, description).dataset, missing=missing)


def _aligned(sample: ReplaySample, description: EnvironmentDescription, missing: tuple[str, ...]) -> ReplaySample:
    """Return a sample with the features and the actions of an environment, and with masks."""
    if sample.origin is not None:
        check_origin(sample, description)
    zeros = np.zeros(sample.timesteps, np.float32)
    columns = [zeros if name in missing else sample.column(name) for name in description.features]
    features = attrs.evolve(sample, features=np.stack(columns, axis=1), feature_names=description.features)
    if sample.origin is not None:
        return features
    numbers = _numbers(sample, description.actions)
    unnamed = np.setdiff1d(sample.actions, list(numbers))
    if len(unnamed):
        row = int(np.argmax(sample.actions == unnamed[0]))
        name = next((name for name, number in sample.action_lookup.items() if number == unnamed[0]), None)
        raise BadInputError(
            f"{sample.source}: array 'actions' holds {unnamed[0]} in row {row}, "
            + ("which action_lookup does not name" if name is None else f"{name}, which {description.id} has not")
            + f"; expected names of {', '.join(description.actions.outputs)} in action_lookup of its JSON"
        )
    return attrs.evolve(
        features,
        actions=np.array([numbers[number] for number in sample.actions.tolist()], np.int64),
        action_mask=np.ones((sample.timesteps, description.actions.logits), np.bool_),
        alive=np.ones(sample.timesteps, np.bool_),
    )


def _numbers(sample: ReplaySample, spec: ActionSpec) -> Mapping[int, int]:
    """Return the number of an environment's option for each number of a sample that names one."""
    if not spec.is_one_choice:
        raise BadInputError(
            f"{sample.source}: a sample of an earlier release holds one choice a decision, and this environment's "
            f"actions are {spec}"
        )
    options = {name: option for option, name in enumerate(spec.outputs)}
    named = {number: _option(name) for name, number in sample.action_lookup.items()}
    return {number: options[name] for number, name in named.items() if name in options}


def _option(text: str) -> str:
    """Return the name of an action: the text, or the kind of the JSON that it holds."""
    with suppress(ValueError):
        action = json.loads(text)
        return str(action.get("kind", text) if isinstance(action, dict) else action)
    return text


def demonstrations_of_episodes(
    episodes: Sequence[RecordedEpisode], description: EnvironmentDescription, teacher: str
) -> Demonstrations:
    """Return recorded episodes as demonstrations, each a world with one agent; shorter ones end with dead rows."""
    longest = max(len(episode.rewards) for episode in episodes)
    arrays = blank_arrays((longest, len(episodes), 1), description)
    for e, episode in enumerate(episodes):
        t = len(episode.rewards)
        arrays["observations"][:t, e, 0] = episode.observations
        arrays["action_mask"][:t, e, 0] = episode.action_mask
        arrays["labels"][:t, e, 0] = episode.actions
        arrays["alive"][:t, e, 0] = True
        arrays["rewards"][:t, e, 0] = episode.rewards
        arrays["terminations"][t - 1, e, 0] = episode.is_terminated
    metadata = metadata_of(description, description.scenario, teacher)
    return Demonstrations(dataset=Dataset(metadata=metadata, **arrays))
