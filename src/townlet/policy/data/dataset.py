"""Data sets: recorded decisions of a teacher in one safetensors file, and their flat training samples."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal

import attrs
import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.canonical import read_tensors, write_tensors
from townlet.dto.actions import Actions, ActionSpec, StoredActions
from townlet.dto.array_fields import array
from townlet.dto.codec import CodecError, Record, structure
from townlet.errors import BadInputError, StrategyFailedError
from townlet.policy.model.forward import normalise
from townlet.ports import EnvironmentDescription

__all__ = [
    "Dataset",
    "DatasetMetadata",
    "Samples",
    "blank_arrays",
    "flatten",
    "label_counts",
    "label_dtype",
    "label_entropy",
    "metadata_of",
    "read_dataset",
    "read_dataset_and_extras",
    "split_episodes",
]

_KEY = "townlet"
_BLOCK = 1024
"""Rows that are summed at a time."""


@frozen(kw_only=True)
class DatasetMetadata(StoredActions):
    """Metadata of a data set: the one entry of the safetensors header."""

    schema: Literal[1] = 1
    """Version of this layout."""
    features: tuple[str, ...]
    """Names of the F features."""
    environment: str
    """Signature of the environment it was recorded in."""
    scenario: str
    """Scenario it was recorded in."""
    teacher: str
    """Policy whose actions are the labels: ``teacher:NAME``, or a weights digest."""
    discount: float
    """The environment's gamma per decision."""


@frozen(kw_only=True, eq=False)
class Samples:
    """Flat training samples: B unforced decisions of living agents."""

    features: NDArray[np.float32]
    """[B, F], normalised."""
    action_mask: NDArray[np.bool_]
    """[B, A]."""
    labels: Actions
    """[B, C], the teacher's actions."""


@frozen(kw_only=True)
class Dataset(Record):
    """Recorded decisions; (observation, action) pairs are pre-action. T decisions, W episodes, N agents."""

    metadata: DatasetMetadata
    """Feature and action names, environment, teacher."""
    observations: NDArray[np.float32] = array("T W N F", np.float32)
    """Raw observations."""
    action_mask: NDArray[np.bool_] = array("T W N A", np.bool_)
    """True for a legal action."""
    labels: NDArray[np.int16] | NDArray[np.float32] = array("T W N C", np.int16, np.float32)
    """[T, W, N, C], the teacher's action, int16, or float32 with box heads; a perturbed decision plays another one."""
    alive: NDArray[np.bool_] = array("T W N", np.bool_)
    """True for a living agent."""
    rewards: NDArray[np.float32] = array("T W N", np.float32)
    """Reward of the action that was played."""
    terminations: NDArray[np.bool_] = array("T W N", np.bool_)
    """True where the agent's life ended in the decision."""

    def __attrs_post_init__(self) -> None:
        width, logits, spec = self.observations.shape[-1], self.action_mask.shape[-1], self.metadata.spec
        if len(self.metadata.features) != width or spec.logits != logits:
            raise ValueError(
                f"{len(self.metadata.features)} feature and {spec.logits} option names "
                f"for {width} features and {logits} options"
            )
        if self.labels.shape[-1] != spec.columns or self.labels.dtype != label_dtype(spec):
            raise ValueError(
                f"labels: expected {label_dtype(spec)} with {spec.columns} columns, found {self.labels.dtype} with "
                f"{self.labels.shape[-1]}"
            )

    @property
    def unforced(self) -> NDArray[np.bool_]:
        """[T, W, N], True for a living agent that has a choice."""
        choices: NDArray[np.bool_] = self.metadata.spec.has_choice(self.action_mask)
        return choices & self.alive

    def normaliser(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return mean and scale [F] over living agents; a feature with standard deviation below 10⁻³ gets scale 1."""
        count = max(int(self.alive.sum()), 1)
        mean = self._sum_of_living(lambda rows: rows) / count
        scale = np.sqrt(self._sum_of_living(lambda rows: np.square(rows - mean)) / count)
        return mean.astype(np.float32), np.where(scale < 1e-3, 1.0, scale).astype(np.float32)

    def _sum_of_living(self, of: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return the sum [F] of a function of living agents' observations, block by block: a copy of all is large."""
        numbers, total = np.flatnonzero(self.alive), np.zeros(self.observations.shape[-1])
        for start in range(0, len(numbers), _BLOCK):
            rows = of(self.observed(numbers[start : start + _BLOCK]).astype(np.float64))
            total = np.concatenate((total[None], rows)).sum(0)  # one row after the other, wherever blocks begin
        return total

    def numbers(self, episodes: NDArray[np.intp], chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Return the numbers of `chosen` decisions [T, E, N] of some episodes, in the order of `observed`."""
        numbers = np.arange(self.alive.size).reshape(self.alive.shape)
        return numbers[:, episodes][chosen]

    def observed(self, numbers: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return a copy of the observations [B, F] of decisions by number."""
        return self.observations.reshape(-1, self.observations.shape[-1]).take(numbers, axis=0)

    @property
    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """The arrays by their names in the file."""
        return {name: np.ascontiguousarray(getattr(self, name)) for name in _array_names()}

    def to_bytes(self, extras: Mapping[str, NDArray[Any]] = MappingProxyType({})) -> bytes:
        """Return the safetensors file, with `extras` as further arrays; equal data sets give equal bytes."""
        labels = self.metadata.spec.to_stored(self.tensors["labels"])
        return write_tensors({**self.tensors, "labels": labels, **extras}, _KEY, self.metadata.model_dump())


def blank_arrays(shape: tuple[int, int, int], description: EnvironmentDescription) -> dict[str, NDArray[Any]]:
    """Return the arrays of a data set of [T, W, N] decisions in which no agent lives."""
    spec = description.actions
    return {
        "observations": np.zeros((*shape, len(description.features)), np.float32),
        "action_mask": np.zeros((*shape, spec.logits), np.bool_),
        "labels": np.zeros((*shape, spec.columns), label_dtype(spec)),
        "alive": np.zeros(shape, np.bool_),
        "rewards": np.zeros(shape, np.float32),
        "terminations": np.zeros(shape, np.bool_),
    }


def metadata_of(description: EnvironmentDescription, scenario: str, teacher: str) -> DatasetMetadata:
    """Return the metadata of what a teacher did in a scenario of an environment."""
    return DatasetMetadata(
        features=description.features,
        actions=description.actions.outputs,
        heads=description.actions.stored_heads,
        environment=description.signature,
        scenario=scenario,
        teacher=teacher,
        discount=description.discount,
    )


def label_dtype(spec: ActionSpec) -> np.dtype[Any]:
    """Return the data type of labels: int16, or float32 where a head is a box."""
    return np.dtype(np.float32 if spec.box else np.int16)


def _array_names() -> list[str]:
    return [field.name for field in attrs.fields(Dataset) if field.name != "metadata"]


def read_dataset(data: bytes, source: str) -> Dataset:
    """Return the data set of a safetensors file; BadInputError naming `source` if it is invalid."""
    dataset, extras = read_dataset_and_extras(data, source)
    if extras:
        raise BadInputError(f"{source}: not a data set of a teacher (it holds {', '.join(extras)} too)")
    return dataset


def read_dataset_and_extras(data: bytes, source: str) -> tuple[Dataset, Mapping[str, NDArray[Any]]]:
    """Return the data set of a safetensors file and the file's other arrays, which are not checked."""
    try:
        header, tensors = read_tensors(data, _KEY)
        metadata = structure(header, DatasetMetadata)
        arrays = {name: tensors.pop(name) for name in _array_names()}
        arrays["labels"] = arrays["labels"].reshape(*arrays["alive"].shape, metadata.spec.columns)
        dataset = Dataset(metadata=metadata, **arrays)
    except (CodecError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(f"{source}: not a data set of this project ({error})") from error
    for name in ("observations", "rewards"):
        if not np.isfinite(arrays[name]).all():
            raise BadInputError(f"{source}: {name} holds numbers that are not finite")
    _check_decisions(dataset, source)
    return dataset, tensors


def _check_decisions(dataset: Dataset, source: str) -> None:
    """Raise BadInputError naming the first decision of a living agent that cannot have happened."""
    spec, alive = dataset.metadata.spec, dataset.alive
    if spec.box and not np.isfinite(dataset.labels).all():
        raise BadInputError(f"{source}: labels holds numbers that are not finite")
    for column, (head, mask) in enumerate(zip(spec.discrete, spec.segments(dataset.action_mask), strict=True)):
        labels, count = dataset.labels[..., column], len(head.options)
        outside = (labels < 0) | (labels >= count) | (labels != np.floor(labels))
        legal = np.take_along_axis(mask, np.where(outside, 0, labels)[..., None].astype(np.intp), -1)[..., 0]
        for name, wrong, found in (
            ("labels", outside, f"an action outside the {count} actions"),
            ("action_mask", ~mask.any(-1), "no legal action"),
            ("labels", ~legal, "an action that action_mask forbids"),
        ):
            if (wrong & alive).any():
                t, world, agent = (int(index) for index in np.argwhere(wrong & alive)[0])
                raise BadInputError(
                    f"{source}: {name} holds {found} at decision {t} of world {world}, agent {agent}"
                    f"{f', head {head.name}' if head.name else ''}; expected a legal one"
                )


def label_counts(dataset: Dataset) -> NDArray[np.int64]:
    """Return how often living agents chose each option [A] of the discrete heads."""
    spec, living = dataset.metadata.spec, dataset.labels[dataset.alive]
    counts = [np.bincount(living[:, k], minlength=len(head.options)) for k, head in enumerate(spec.discrete)]
    return np.concatenate(counts) if counts else np.zeros(0, np.int64)


def label_entropy(dataset: Dataset) -> float:
    """Return the entropy of the labels, nat: that of the options, summed over the discrete heads."""
    total = 0.0
    for counts in dataset.metadata.spec.segments(label_counts(dataset)):
        shares = counts[counts > 0] / max(counts.sum(), 1)
        total += max(float(-(shares * np.log(shares)).sum()), 0.0)
    return total


def flatten(
    dataset: Dataset, episodes: NDArray[np.intp], mean: NDArray[np.float32], scale: NDArray[np.float32]
) -> Samples:
    """Return the unforced decisions of some episodes as flat, normalised samples."""
    unforced = dataset.unforced[:, episodes]
    observed = dataset.observed(dataset.numbers(episodes, unforced))
    return Samples(
        features=normalise(observed, mean, scale, out=observed),
        action_mask=dataset.action_mask[:, episodes][unforced],
        labels=dataset.labels[:, episodes][unforced].astype(dataset.metadata.spec.dtype),
    )


def split_episodes(
    episodes: int, heldout: float, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return training and held-out episodes: by episode, never by shuffled steps."""
    if episodes < 2:
        raise StrategyFailedError(f"cloning needs at least 2 episodes, one of them held out; found {episodes}")
    order = rng.permutation(episodes)
    count = min(max(1, round(heldout * episodes)), episodes - 1)
    return np.sort(order[count:]), np.sort(order[:count])
