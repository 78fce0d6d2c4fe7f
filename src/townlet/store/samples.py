"""Replay samples: one NPZ file with its JSON file. The files are untrusted: every array and field is checked."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.codec import CodecError, structure
from townlet.dto.samples import SampleOrigin
from townlet.errors import BadInputError
from townlet.store.arrays import MAX_BYTES, read_arrays, write_arrays
from townlet.store.untrusted import DOCUMENT_BYTES, finite_numbers, parse_json, read_regular

__all__ = ["REQUIRED_FEATURES", "ReplaySample", "SampleFiles", "read_files", "read_sample", "sample_files"]

REQUIRED_FEATURES = ("rivalry_max", "rivalry_avoid_count")
"""Features that every sample must have."""
_ARRAYS = ("map", "features", "actions", "old_log_probs", "rewards", "value_preds", "dones")
_KINDS = {"f": "floating-point numbers", "iu": "whole numbers", "b": "booleans"}
_DTYPES: Mapping[str, tuple[str, Any]] = {
    "map": ("f", np.float32),
    "features": ("f", np.float32),
    "actions": ("iu", np.int64),
    "old_log_probs": ("f", np.float32),
    "rewards": ("f", np.float32),
    "value_preds": ("f", np.float32),
    "dones": ("b", np.bool_),
    "action_mask": ("b", np.bool_),
    "alive": ("b", np.bool_),
}
_ORIGIN = "townlet"
_ROUNDING = 1e-5
"""Largest log-probability that rounding can make of a certain action, whose logarithm is 0."""


@frozen(kw_only=True, eq=False)
class ReplaySample:
    """One agent's recorded decisions: T decisions, F features, A actions."""

    source: str
    """File it was read from."""
    map: NDArray[np.float32]
    """[T, C, H, W]; zeros of [T, 1, 1, 1] in samples of this version."""
    features: NDArray[np.float32]
    """[T, F], raw."""
    actions: NDArray[np.int64]
    """[T], the actions taken."""
    old_log_probs: NDArray[np.float32]
    """[T], log-probabilities of the actions when they were taken."""
    rewards: NDArray[np.float32]
    """[T]."""
    value_preds: NDArray[np.float32]
    """[T] or [T + 1]; the last is the value of the observation after the last decision."""
    dones: NDArray[np.bool_]
    """[T], True where the agent's life ended in the decision."""
    feature_names: tuple[str, ...]
    """Names of the F features."""
    metrics: Mapping[str, float]
    """Metrics of the sample in its JSON file."""
    agent_id: str = ""
    """Id of the agent."""
    action_lookup: Mapping[str, int]
    """Action numbers by name, local to the file."""
    action_mask: NDArray[np.bool_] | None = None
    """[T, A], True for a legal action; only in samples of this version."""
    alive: NDArray[np.bool_] | None = None
    """[T], True for a living agent; only in samples of this version."""
    origin: SampleOrigin | None = None
    """Origin of a sample of this version; None for older ones."""

    @property
    def timesteps(self) -> int:
        """T, the number of decisions."""
        return len(self.actions)

    @property
    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """The arrays that the sample has, by their names in the file."""
        arrays: Mapping[str, NDArray[Any] | None] = {
            "map": self.map,
            "features": self.features,
            "actions": self.actions,
            "old_log_probs": self.old_log_probs,
            "rewards": self.rewards,
            "value_preds": self.value_preds,
            "dones": self.dones,
            "action_mask": self.action_mask,
            "alive": self.alive,
        }
        return {name: array for name, array in arrays.items() if array is not None}

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the seven required arrays."""
        return tuple(self.arrays[name].shape for name in _ARRAYS)

    def column(self, name: str) -> NDArray[np.float32]:
        """Return the feature [T] with this name."""
        return np.asarray(self.features[:, self.feature_names.index(name)], np.float32)


def sample_files(sample: ReplaySample) -> tuple[bytes, bytes]:
    """Return the bytes of a sample's NPZ and JSON files."""
    lookup = json.dumps(dict(sample.action_lookup))
    meta: dict[str, Any] = {
        "agent_id": sample.agent_id,
        "feature_names": list(sample.feature_names),
        "action_lookup": lookup,
        "action_dim": len(sample.action_lookup),
        "metrics": dict(sample.metrics),
        "map_shape": list(sample.map.shape),
        "timesteps": sample.timesteps,
    }
    if sample.origin is not None:
        meta[_ORIGIN] = sample.origin.model_dump()
    return write_arrays(sample.arrays), json.dumps(meta, indent=1, sort_keys=True, allow_nan=False).encode()


@frozen(kw_only=True, eq=False)
class SampleFiles:
    """The content of a sample's two files, each read once: what is hashed is what is parsed."""

    path: Path
    """NPZ file."""
    data: bytes
    """Its content."""
    meta_path: Path
    """JSON file."""
    meta: bytes
    """Its content."""

    @property
    def digest(self) -> bytes:
        """The SHA-256 digests of both."""
        return sha256(self.data).digest() + sha256(self.meta).digest()

    def parse(self) -> ReplaySample:
        """Return the sample; BadInputError naming file and array if it is invalid."""
        return _parse(
            self.path, read_arrays(self.data, self.path), self.meta_path, parse_json(self.meta, self.meta_path)
        )


def read_files(path: Path, meta: Path | None = None) -> SampleFiles:
    """Return the files of a sample, `meta` by default the JSON file with the same stem; BadInputError if unreadable."""
    meta_path = meta or path.with_suffix(".json")
    data = read_regular(path, MAX_BYTES)
    return SampleFiles(path=path, data=data, meta_path=meta_path, meta=read_regular(meta_path, DOCUMENT_BYTES))


def read_sample(path: Path, meta: Path | None = None) -> ReplaySample:
    """Return a sample; BadInputError naming file and array if it is invalid. `meta` as in `read_files`."""
    return read_files(path, meta).parse()


def _parse(
    path: Path, arrays: Mapping[str, NDArray[Any]], meta_path: Path, metadata: Mapping[str, Any]
) -> ReplaySample:
    missing = [name for name in _ARRAYS if name not in arrays]
    if missing:
        only = " (an observation-only file: it says what was seen, not what was done)" if "actions" in missing else ""
        raise BadInputError(f"{path}: array {missing[0]!r} is missing{only}; expected {', '.join(_ARRAYS)}")
    typed = {name: _typed(arrays[name], name, path) for name in _DTYPES if name in arrays}
    shaped = _shaped(typed, path)
    return _with_metadata(path, meta_path, shaped, metadata)


def _typed(array: NDArray[Any], name: str, path: Path) -> NDArray[Any]:
    kinds, dtype = _DTYPES[name]
    if array.dtype.kind not in kinds:
        raise BadInputError(f"{path}: array {name!r} holds {array.dtype}; expected {_KINDS[kinds]}")
    if kinds == "iu" and array.dtype.kind == "u" and (array > np.iinfo(dtype).max).any():
        row = int(np.argmax(np.ravel(array > np.iinfo(dtype).max)))
        raise BadInputError(
            f"{path}: array {name!r} holds {np.ravel(array)[row]} in row {row}; expected less than 2**63"
        )
    with np.errstate(over="ignore"):
        plain = np.ascontiguousarray(array, dtype).reshape(array.shape)
    if kinds == "f" and not np.isfinite(plain).all():
        raise BadInputError(f"{path}: array {name!r} holds numbers that are not finite")
    if name == "old_log_probs" and (plain > _ROUNDING).any():
        row = int(np.argmax(np.ravel(plain > _ROUNDING)))
        raise BadInputError(
            f"{path}: array {name!r} holds {np.ravel(plain)[row]:g} in row {row}, a probability above 1; expected at "
            "most 0"
        )
    if name == "actions" and (array < 0).any():
        raise BadInputError(f"{path}: array 'actions' holds negative actions")
    return plain


def _shaped(arrays: Mapping[str, NDArray[Any]], path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays with a time axis; an array without one has T = 1."""
    ranks = {"map": 4, "features": 2, "action_mask": 2}
    shaped: dict[str, NDArray[Any]] = {}
    for name, array in arrays.items():
        rank = ranks.get(name, 1)
        if array.ndim not in (rank, rank - 1):
            raise BadInputError(f"{path}: array {name!r} has shape {array.shape}; expected {rank} axes, or {rank - 1}")
        shaped[name] = array if array.ndim == rank else array[None]
    length = len(shaped["actions"])
    if not length:
        raise BadInputError(f"{path}: array 'actions' is empty; expected at least one decision")
    for name, array in shaped.items():
        allowed = (length, length + 1) if name == "value_preds" else (length,)
        if len(array) not in allowed:
            raise BadInputError(
                f"{path}: array {name!r} is {len(array)} long; expected {' or '.join(map(str, allowed))}, "
                "the length of 'actions'"
            )
    return shaped


def _with_metadata(
    path: Path, source: Path, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]
) -> ReplaySample:
    names = metadata.get("feature_names")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadInputError(f"{source}: feature_names is no list of names")
    if len(set(names)) != len(names) or len(names) != arrays["features"].shape[1]:
        raise BadInputError(
            f"{source}: {len(set(names))} different feature_names for array 'features' of width "
            f"{arrays['features'].shape[1]} in {path}"
        )
    absent = [name for name in REQUIRED_FEATURES if name not in names]
    if absent:
        raise BadInputError(f"{source}: feature_names lacks {', '.join(absent)}")
    lookup = _lookup(metadata.get("action_lookup"), source)
    width = metadata.get("action_dim")
    if width is not None and (type(width) is not int or arrays["actions"].max() >= width):
        raise BadInputError(f"{path}: array 'actions' holds {arrays['actions'].max()}, but action_dim is {width!r}")
    if metadata.get("timesteps", len(arrays["actions"])) != len(arrays["actions"]):
        raise BadInputError(
            f"{source}: timesteps is {metadata['timesteps']!r}, but {path} holds {len(arrays['actions'])}"
        )
    agent = metadata.get("agent_id", "")
    return ReplaySample(
        source=str(path),
        feature_names=tuple(names),
        metrics=finite_numbers(metadata.get("metrics", {}), f"{source}: metrics"),
        agent_id=agent if isinstance(agent, str) else str(agent),
        action_lookup=lookup,
        origin=_origin(metadata, arrays, path, source),
        **dict(arrays),
    )


def _lookup(value: Any, source: Path) -> dict[str, int]:
    if value in (None, "", {}):
        return {}
    try:
        lookup = json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise BadInputError(f"{source}: action_lookup is not JSON ({error})") from error
    if not isinstance(lookup, dict) or not all(type(number) is int and number >= 0 for number in lookup.values()):
        raise BadInputError(f"{source}: action_lookup does not map names to whole numbers")
    return lookup


def _origin(
    metadata: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], path: Path, source: Path
) -> SampleOrigin | None:
    if _ORIGIN not in metadata:
        return None
    try:
        origin = structure(metadata[_ORIGIN], SampleOrigin)
    except CodecError as error:
        raise BadInputError(f"{source}: {_ORIGIN}: {error}") from error
    width = len(origin.actions)
    if "alive" not in arrays or arrays.get("action_mask", np.empty((0, 0))).shape[1] != width:
        raise BadInputError(f"{path}: expected arrays 'alive' and 'action_mask' for the {width} actions of {source}")
    if arrays["actions"].max() >= width:
        raise BadInputError(f"{path}: array 'actions' holds {arrays['actions'].max()}, but there are {width} actions")
    _check_decisions(arrays, path)
    return origin


def _check_decisions(arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    """Raise BadInputError naming the first row in which a living agent's decision cannot have happened."""
    actions, mask, alive = arrays["actions"], arrays["action_mask"], arrays["alive"]
    if not alive.any():
        raise BadInputError(f"{path}: array 'alive' has no living agent in any row; expected at least one decision")
    rows = np.arange(len(actions))
    for name, wrong, found, expected in (
        ("action_mask", ~mask.any(-1), "no legal action", "at least one"),
        ("actions", ~mask[rows, actions], "an action that array 'action_mask' forbids", "a legal one"),
    ):
        if (wrong & alive).any():
            row = int(np.argmax(wrong & alive))
            raise BadInputError(f"{path}: array {name!r} holds {found} in row {row}; expected {expected}")
