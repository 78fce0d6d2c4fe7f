"""Recorded play of a policy: what ppo can learn from besides its own rollouts, and how samples from outside hold it."""

from collections.abc import Sequence
from typing import Any, Protocol

import attrs
import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.codec import Record
from townlet.dto.fields import array
from townlet.dto.policy_ref import parse_teacher
from townlet.dto.samples import RecordedMetrics, SampleOrigin
from townlet.errors import BadInputError
from townlet.policy.data.dataset import Dataset, DatasetFacts, read_dataset_and
from townlet.policy.model.inference import normalise
from townlet.policy.model.weights import Weights
from townlet.ports import EnvironmentDescription
from townlet.store.samples import REQUIRED_FEATURES, ReplaySample

__all__ = ["Trajectories", "TrajectoryBatch", "experience_of", "metrics_of", "read_experience", "samples_of"]


class TrajectoryBatch(Protocol):
    """Decisions that ppo can learn from: T decisions of W worlds and N agents, all arrays [T, W, N …]."""

    @property
    def rewards(self) -> NDArray[np.float32]:
        """What each decision was worth."""

    @property
    def terminations(self) -> NDArray[np.bool_]:
        """Lives that ended."""

    @property
    def truncations(self) -> NDArray[np.bool_]:
        """Where the recording was cut."""

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Living agents."""

    @property
    def action_mask(self) -> NDArray[np.bool_]:
        """Legal actions, [T, W, N, A]."""

    @property
    def actions(self) -> NDArray[np.int64]:
        """What was chosen."""

    @property
    def log_probs(self) -> NDArray[np.float32]:
        """Of what was chosen, when it was chosen."""

    @property
    def taught(self) -> NDArray[np.bool_]:
        """[W], worlds whose decisions were a teacher's: no example of the policy's own."""

    def seen(self, weights: Weights) -> NDArray[np.float32]:
        """Return the features [T, W, N, F] as these weights normalise them."""

    def values(self, weights: Weights) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return V(sₜ) and V(sₜ₊₁) [T, W, N]."""


@frozen(kw_only=True)
class Trajectories(Record):
    """A policy's recorded play: its decisions, how likely it found them and what it expected. U = T + 1."""

    play: Dataset
    """What was seen, done and earned; its labels are the actions, its teacher is the player."""
    log_probs: NDArray[np.float32] = array("T W N", np.float32)
    """Of the chosen actions when they were chosen; 0 for a script."""
    predictions: NDArray[np.float32] = array("U W N", np.float32)
    """V(sₜ) as the player saw it, in units of reward; 0 for a script."""
    truncations: NDArray[np.bool_] = array("T W N", np.bool_)
    """Where a recording was cut."""
    sums: NDArray[np.float64] = array("M", np.float64)
    """KPI sums of the play, in the order of the environment's metrics; empty where nobody counted."""

    def __attrs_post_init__(self) -> None:
        shape = self.play.labels.shape
        if self.log_probs.shape != shape or self.predictions.shape != (shape[0] + 1, *shape[1:]):
            raise ValueError(f"expected log_probs {shape} and one prediction more, found {self.predictions.shape}")

    @property
    def rewards(self) -> NDArray[np.float32]:
        """[T, W, N]."""
        return self.play.rewards

    @property
    def terminations(self) -> NDArray[np.bool_]:
        """[T, W, N]."""
        return self.play.terminations

    @property
    def alive(self) -> NDArray[np.bool_]:
        """[T, W, N]."""
        return self.play.alive

    @property
    def action_mask(self) -> NDArray[np.bool_]:
        """[T, W, N, A]."""
        return self.play.action_mask

    @property
    def actions(self) -> NDArray[np.int64]:
        """[T, W, N]."""
        return self.play.labels.astype(np.int64)

    @property
    def taught(self) -> NDArray[np.bool_]:
        """[W], no world: what ppo learns from was played by a policy."""
        return np.zeros(self.play.labels.shape[1], np.bool_)

    def seen(self, weights: Weights) -> NDArray[np.float32]:
        """Return the features [T, W, N, F] as these weights normalise them."""
        flat = self.play.observations.reshape(-1, self.play.observations.shape[-1])
        return normalise(flat, weights.mean, weights.scale).reshape(self.play.observations.shape)

    def values(self, weights: Weights) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return V(sₜ) and V(sₜ₊₁) as the player saw them; whose weights are asked does not matter."""
        return self.predictions[:-1], self.predictions[1:]

    def to_bytes(self) -> bytes:
        """Return the safetensors file."""
        return self.play.to_bytes(
            {
                "log_probs": self.log_probs,
                "predictions": self.predictions,
                "truncations": self.truncations,
                "sums": self.sums,
            }
        )


def read_experience(data: bytes, source: str) -> Trajectories:
    """Return the recorded play of a safetensors file; BadInputError naming `source` for anything unfit."""
    play, more = read_dataset_and(data, source)
    try:
        found = Trajectories(play=play, **more)
    except (TypeError, ValueError) as error:
        raise BadInputError(f"{source}: not a policy's recorded play ({error})") from error
    if not all(np.isfinite(numbers).all() for numbers in (found.log_probs, found.predictions, found.sums)):
        raise BadInputError(f"{source}: holds numbers that are not finite")
    return found


def metrics_of(found: Trajectories) -> RecordedMetrics:
    """Return what recorded play was worth, over its living agents."""
    play, lives = found.play, found.play.alive
    count = max(int(lives.sum()), 1)
    shares = np.bincount(play.labels[lives], minlength=1) / count
    shares = shares[shares > 0]
    rivalry: dict[str, Any] = {}
    for name in REQUIRED_FEATURES:
        known = name in play.facts.features and bool(lives.any())
        column = play.observations[..., play.facts.features.index(name)][lives] if known else np.zeros(1, np.float32)
        rivalry |= {f"{name}_mean": float(column.mean(dtype=np.float64)), f"{name}_max": float(column.max())}
    return RecordedMetrics(
        timesteps=len(play.labels),
        reward_sum=float(play.rewards.sum(dtype=np.float64)),
        reward_mean=float(play.rewards[lives].sum(dtype=np.float64)) / count,
        log_prob_mean=float(found.log_probs[lives].sum(dtype=np.float64)) / count,
        value_pred_last=float(found.predictions[-1].mean(dtype=np.float64)) if found.predictions.size else 0.0,
        action_entropy=max(float(-(shares * np.log(shares)).sum()), 0.0),
        **rivalry,
    )


def samples_of(found: Trajectories) -> tuple[tuple[str, ReplaySample], ...]:
    """Return one named sample per world and agent, such as other programs read; rivalries that nobody sees are 0."""
    facts, decisions = found.play.facts, len(found.play.labels)
    lacking = tuple(name for name in REQUIRED_FEATURES if name not in facts.features)
    origin = SampleOrigin(
        actions=facts.actions, environment=facts.environment, scenario=facts.scenario, player=facts.teacher,
        discount=facts.discount,
    )  # fmt: skip
    named = []
    for world, agent in np.ndindex(found.play.labels.shape[1:]):
        part = attrs.evolve(found, play=_only(found.play, world, agent), **_columns(found, world, agent))
        numbers = metrics_of(part).model_dump()
        labels = part.play.labels[part.play.alive]
        counts = {f"action_{name}_count": int((labels == i).sum()) for i, name in enumerate(facts.actions)}
        features = np.pad(part.play.observations[:, 0, 0], ((0, 0), (0, len(lacking))))
        sample = ReplaySample(
            source="",
            map=np.zeros((decisions, 1, 1, 1), np.float32),
            features=features,
            actions=part.actions[:, 0, 0],
            old_log_probs=part.log_probs[:, 0, 0],
            rewards=part.rewards[:, 0, 0],
            value_preds=part.predictions[:, 0, 0],
            dones=part.terminations[:, 0, 0],
            feature_names=(*facts.features, *lacking),
            metrics=numbers | counts,
            agent_id=f"world_{world}_agent_{agent}",
            action_lookup={name: index for index, name in enumerate(facts.actions)},
            action_mask=part.action_mask[:, 0, 0],
            alive=part.alive[:, 0, 0],
            origin=origin,
        )
        named.append((f"rollout_{world:04d}_{agent:03d}", sample))
    return tuple(named)


def _columns(found: Trajectories, world: int, agent: int) -> dict[str, Any]:
    arrays = {"log_probs": found.log_probs, "predictions": found.predictions, "truncations": found.truncations}
    return {name: values[:, world : world + 1, agent : agent + 1] for name, values in arrays.items()}


def _only(play: Dataset, world: int, agent: int) -> Dataset:
    arrays = {name: values[:, world : world + 1, agent : agent + 1] for name, values in play.tensors.items()}
    changes: dict[str, Any] = dict(arrays)
    return attrs.evolve(play, **changes)


def experience_of(samples: Sequence[ReplaySample], about: EnvironmentDescription, *, for_ppo: bool) -> Trajectories:
    """Return samples that this version wrote as one recording, each sample one world of one agent, aligned by name.

    BadInputError naming the sample that cannot be trained on here: an older one, one of another environment, or
    (`for_ppo`) one that a script played, which has no probabilities.
    """
    if not samples:
        raise BadInputError("the data set holds no accepted sample; there is nothing to train on")
    for sample in samples:
        _check_trainable(sample, about, for_ppo=for_ppo)
    longest, count = max(sample.timesteps for sample in samples), len(samples)
    shape = (longest, count, 1)
    arrays: dict[str, Any] = {
        "observations": np.zeros((*shape, len(about.features)), np.float32),
        "action_mask": np.zeros((*shape, len(about.actions)), np.bool_),
        "labels": np.zeros(shape, np.int16),
        "alive": np.zeros(shape, np.bool_),
        "rewards": np.zeros(shape, np.float32),
        "terminations": np.zeros(shape, np.bool_),
    }
    log_probs, truncations = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
    predictions = np.zeros((longest + 1, count, 1), np.float32)
    for s, sample in enumerate(samples):
        t = sample.timesteps
        order = [sample.feature_names.index(name) for name in about.features]
        arrays["observations"][:t, s, 0] = sample.features[:, order]
        arrays["action_mask"][:t, s, 0], arrays["alive"][:t, s, 0] = sample.action_mask, sample.alive
        arrays["labels"][:t, s, 0], arrays["rewards"][:t, s, 0] = sample.actions, sample.rewards
        arrays["terminations"][:t, s, 0], log_probs[:t, s, 0] = sample.dones, sample.old_log_probs
        predictions[: len(sample.value_preds), s, 0] = sample.value_preds
        truncations[t - 1, s, 0] = True
    origin = samples[0].origin
    assert origin is not None, "checked above"
    facts = DatasetFacts(
        features=about.features, actions=about.actions, environment=about.signature, scenario=origin.scenario,
        teacher=origin.player, discount=about.discount,
    )  # fmt: skip
    play = Dataset(facts=facts, **arrays)
    return Trajectories(
        play=play, log_probs=log_probs, predictions=predictions, truncations=truncations, sums=np.zeros(0)
    )


def _check_trainable(sample: ReplaySample, about: EnvironmentDescription, *, for_ppo: bool) -> None:
    origin = sample.origin
    if origin is None:
        raise BadInputError(
            f"{sample.source}: not written by this version; older samples are summarised, training on them comes later"
        )
    if origin.environment != about.signature or origin.actions != about.actions:
        raise BadInputError(
            f"{sample.source}: recorded in another environment ({origin.scenario}, signature "
            f"{origin.environment[:12]}); expected {about.scenario}, {about.signature[:12]}"
        )
    missing = [name for name in about.features if name not in sample.feature_names]
    if missing:
        raise BadInputError(f"{sample.source}: array 'features' has no {missing[0]!r}, which this environment shows")
    if for_ppo and parse_teacher(origin.player) is not None:
        raise BadInputError(
            f"{sample.source}: played by {origin.player}, a script without probabilities; ppo learns from the play of "
            "a policy (--mode rollout --rollout-save-dir), bc from a script's (--mode bc --bc-manifest)"
        )
