"""Export trajectories as replay samples (one file per world and agent) and import such samples as trajectories."""

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from townlet.dto.policy_ref import parse_teacher
from townlet.dto.samples import SampleOrigin
from townlet.errors import BadInputError
from townlet.policy.data.dataset import Dataset, blank_arrays, label_counts, metadata_of
from townlet.policy.data.trajectories import Trajectories, trajectory_metrics
from townlet.ports import EnvironmentDescription
from townlet.store.samples import REQUIRED_FEATURES, ReplaySample

__all__ = ["check_origin", "samples_to_trajectories", "stacked", "trajectories_to_samples"]


def trajectories_to_samples(trajectories: Trajectories) -> tuple[tuple[str, ReplaySample], ...]:
    """Return one sample with its file name per world and agent; a required feature the environment lacks is 0."""
    metadata = trajectories.dataset.metadata
    origin = SampleOrigin(
        actions=metadata.actions,
        heads=metadata.heads,
        environment=metadata.environment,
        scenario=metadata.scenario,
        player=metadata.teacher,
        discount=metadata.discount,
    )
    return tuple(
        (f"rollout_{world:04d}_{agent:03d}", _to_sample(_select(trajectories, world, agent), world, agent, origin))
        for world, agent in np.ndindex(trajectories.alive.shape[1:])
    )


def _to_sample(part: Trajectories, world: int, agent: int, origin: SampleOrigin) -> ReplaySample:
    """Return the sample of trajectories [T, 1, 1] of a single agent."""
    metadata, decisions = part.dataset.metadata, len(part.dataset.labels)
    missing = tuple(name for name in REQUIRED_FEATURES if name not in metadata.features)
    chosen = label_counts(part.dataset).tolist()
    counts = {f"action_{name}_count": count for name, count in zip(metadata.actions, chosen, strict=False)}
    return ReplaySample(
        source="",
        map=np.zeros((decisions, 1, 1, 1), np.float32),
        features=np.pad(part.dataset.observations[:, 0, 0], ((0, 0), (0, len(missing)))),
        actions=metadata.spec.to_stored(part.actions[:, 0, 0]),
        old_log_probs=part.log_probs[:, 0, 0],
        rewards=part.rewards[:, 0, 0],
        value_preds=part.predictions[:, 0, 0],
        dones=part.terminations[:, 0, 0],
        feature_names=(*metadata.features, *missing),
        metrics=trajectory_metrics(part).model_dump() | counts,
        agent_id=f"world_{world}_agent_{agent}",
        action_lookup={name: index for index, name in enumerate(metadata.actions)},
        action_mask=part.action_mask[:, 0, 0],
        alive=part.alive[:, 0, 0],
        origin=origin,
    )


def _select(trajectories: Trajectories, world: int, agent: int) -> Trajectories:
    """Return the trajectories [T, 1, 1] of one agent in one world."""

    def cut(values: NDArray[Any]) -> NDArray[Any]:
        return values[:, world : world + 1, agent : agent + 1]

    arrays: dict[str, Any] = {name: cut(values) for name, values in trajectories.dataset.tensors.items()}
    return attrs.evolve(
        trajectories,
        dataset=attrs.evolve(trajectories.dataset, **arrays),
        log_probs=cut(trajectories.log_probs),
        predictions=cut(trajectories.predictions),
        truncations=cut(trajectories.truncations),
    )


def samples_to_trajectories(samples: Sequence[ReplaySample], description: EnvironmentDescription) -> Trajectories:
    """Return the samples of a policy as trajectories: each sample is one world with one agent.

    BadInputError naming the sample that ppo cannot learn from: one that this version did not write, one of another
    environment, or one of a script, which has no log-probabilities.
    """
    for sample in samples:
        if sample.origin is None:
            raise BadInputError(
                f"{sample.source}: not written by this version; ppo learns from the play of this version's weights, bc "
                "from older samples too"
            )
        check_origin(sample, description)
        if parse_teacher(sample.origin.player) is not None:
            raise BadInputError(
                f"{sample.source}: played by {sample.origin.player}, a script without probabilities; ppo learns from "
                "the play of a policy (--mode rollout --rollout-save-dir), bc from a script's (--mode bc --bc-manifest)"
            )
    return stacked(samples, description)


def stacked(samples: Sequence[ReplaySample], description: EnvironmentDescription) -> Trajectories:
    """Return samples with masks, living agents and all features of an environment; BadInputError where there is none.

    Features are matched by name; the shorter samples end with dead rows.
    """
    if not samples:
        raise BadInputError("the data set holds no accepted sample; there is nothing to train on")
    longest, count = max(sample.timesteps for sample in samples), len(samples)
    shape = longest, count, 1
    arrays = blank_arrays(shape, description)
    log_probs, truncations = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
    predictions = np.zeros((longest + 1, count, 1), np.float32)
    for s, sample in enumerate(samples):
        t = sample.timesteps
        order = [sample.feature_names.index(name) for name in description.features]
        arrays["observations"][:t, s, 0] = sample.features[:, order]
        arrays["action_mask"][:t, s, 0] = sample.action_mask
        arrays["labels"][:t, s, 0] = sample.actions.reshape(t, -1)
        arrays["alive"][:t, s, 0] = sample.alive
        arrays["rewards"][:t, s, 0] = sample.rewards
        arrays["terminations"][:t, s, 0] = sample.dones
        log_probs[:t, s, 0] = sample.old_log_probs
        predictions[: len(sample.value_preds), s, 0] = sample.value_preds
        truncations[t - 1, s, 0] = True
    origin = samples[0].origin
    scenario, player = (description.scenario, "") if origin is None else (origin.scenario, origin.player)
    metadata = metadata_of(description, scenario, player)
    return Trajectories(
        dataset=Dataset(metadata=metadata, **arrays),
        log_probs=log_probs,
        predictions=predictions,
        truncations=truncations,
        sums=np.zeros(0),
    )


def check_origin(sample: ReplaySample, description: EnvironmentDescription) -> None:
    """Raise BadInputError where a sample of this version was recorded in another environment."""
    origin = sample.origin
    assert origin is not None, "the caller asks for samples of this version"
    if origin.environment != description.signature or origin.spec != description.actions:
        raise BadInputError(
            f"{sample.source}: recorded in another environment ({origin.scenario}, signature "
            f"{origin.environment[:12]}); expected {description.scenario}, {description.signature[:12]}"
        )
    missing = [name for name in description.features if name not in sample.feature_names]
    if missing:
        raise BadInputError(f"{sample.source}: array 'features' has no {missing[0]!r}, which this environment shows")
