"""Data sets of the teacher's play: recorded decisions as one safetensors blob, flattened into samples for learning."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

import attrs
import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.canonical import read_tensors, write_tensors
from townlet.dto.codec import CodecError, Record, structure
from townlet.dto.fields import array
from townlet.errors import BadInputError
from townlet.policy.model.inference import normalise

__all__ = ["Dataset", "DatasetFacts", "Samples", "flatten", "read_dataset", "read_dataset_and"]

_KEY = "townlet"


@frozen(kw_only=True)
class DatasetFacts(Record):
    """What a data set says of itself: the one metadata entry."""

    schema: Literal[1] = 1
    """Version of this layout."""
    features: tuple[str, ...]
    """Names of the F features."""
    actions: tuple[str, ...]
    """Names of the A actions."""
    environment: str
    """Signature of the environment it was recorded in."""
    scenario: str
    """Scenario it was recorded in."""
    teacher: str
    """Who labelled it: ``teacher:NAME``, or the digest of the weights that played."""
    discount: float
    """The environment's gamma per decision."""


@frozen(kw_only=True, eq=False)
class Samples:
    """Flat training samples: B unforced decisions of living agents."""

    features: NDArray[np.float32]
    """[B, F], normalised."""
    action_mask: NDArray[np.bool_]
    """[B, A]."""
    labels: NDArray[np.int64]
    """[B], the teacher's actions."""


@frozen(kw_only=True)
class Dataset(Record):
    """Recorded decisions; (observation, action) pairs are pre-action. T decisions, W episodes, N agents."""

    facts: DatasetFacts
    """Names and origin."""
    observations: NDArray[np.float32] = array("T W N F", np.float32)
    """What each agent saw, raw."""
    action_mask: NDArray[np.bool_] = array("T W N A", np.bool_)
    """Which actions were legal."""
    labels: NDArray[np.int16] = array("T W N", np.int16)
    """What the teacher chose there; not always what was played."""
    alive: NDArray[np.bool_] = array("T W N", np.bool_)
    """Which slots held a living agent."""
    rewards: NDArray[np.float32] = array("T W N", np.float32)
    """What the played action was worth."""
    terminations: NDArray[np.bool_] = array("T W N", np.bool_)
    """Whose life ended in the decision."""

    def __attrs_post_init__(self) -> None:
        width, actions = self.observations.shape[-1], self.action_mask.shape[-1]
        if len(self.facts.features) != width or len(self.facts.actions) != actions:
            raise ValueError(
                f"{len(self.facts.features)} feature and {len(self.facts.actions)} action names "
                f"for {width} features and {actions} actions"
            )

    @property
    def unforced(self) -> NDArray[np.bool_]:
        """[T, W, N], living agents that had a choice."""
        choices: NDArray[np.bool_] = self.action_mask.sum(-1) > 1
        return choices & self.alive

    def normaliser(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return mean and scale [F] over living agents; features that never vary get scale 1."""
        seen = self.observations[self.alive]
        mean, scale = seen.mean(0, dtype=np.float64), seen.std(0, dtype=np.float64)
        return mean.astype(np.float32), np.where(scale < 1e-3, 1.0, scale).astype(np.float32)

    @property
    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """The arrays by name."""
        return {a.name: np.ascontiguousarray(getattr(self, a.name)) for a in attrs.fields(Dataset) if a.name != "facts"}

    def to_bytes(self, more: Mapping[str, NDArray[Any]] = MappingProxyType({})) -> bytes:
        """Return the safetensors file, `more` arrays beside the data set's; equal data sets give equal bytes."""
        return write_tensors({**self.tensors, **more}, _KEY, self.facts.model_dump())


def read_dataset(data: bytes, source: str) -> Dataset:
    """Return the data set of a safetensors file; BadInputError naming `source` for anything unfit."""
    dataset, more = read_dataset_and(data, source)
    if more:
        raise BadInputError(f"{source}: not a data set of a teacher (it holds {', '.join(more)} too)")
    return dataset


def read_dataset_and(data: bytes, source: str) -> tuple[Dataset, Mapping[str, NDArray[Any]]]:
    """Return the data set of a safetensors file and the other arrays that stand in it, unchecked."""
    try:
        metadata, tensors = read_tensors(data, _KEY)
        facts = structure(metadata, DatasetFacts)
        own = {a.name: tensors.pop(a.name) for a in attrs.fields(Dataset) if a.name != "facts"}
        dataset = Dataset(facts=facts, **own)
    except (CodecError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"{source}: not a data set of this project ({error})") from error
    for name in ("observations", "rewards"):
        if not np.isfinite(own[name]).all():
            raise BadInputError(f"{source}: {name} holds numbers that are not finite")
    labels = dataset.labels[dataset.alive]
    if labels.size and not (labels.min() >= 0 and labels.max() < len(facts.actions)):
        raise BadInputError(f"{source}: labels outside the {len(facts.actions)} actions")
    return dataset, tensors


def flatten(
    dataset: Dataset, episodes: NDArray[np.intp], mean: NDArray[np.float32], scale: NDArray[np.float32]
) -> Samples:
    """Return the unforced decisions of some episodes as flat, normalised samples."""
    chosen = dataset.unforced[:, episodes]
    return Samples(
        features=normalise(dataset.observations[:, episodes][chosen], mean, scale),
        action_mask=dataset.action_mask[:, episodes][chosen],
        labels=dataset.labels[:, episodes][chosen].astype(np.int64),
    )
