"""Replay samples from outside: one NPZ with its JSON. Every array and field is hostile until checked."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.codec import CodecError, structure
from townlet.dto.samples import SampleOrigin
from townlet.errors import BadInputError
from townlet.store.arrays import read_arrays, write_arrays
from townlet.store.untrusted import finite_numbers, read_json

__all__ = ["REQUIRED_FEATURES", "ReplaySample", "read_sample", "sample_files"]

REQUIRED_FEATURES = ("rivalry_max", "rivalry_avoid_count")
"""Every sample sees its rivalries."""
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
    """[T], what was chosen."""
    old_log_probs: NDArray[np.float32]
    """[T], of the chosen action when it was chosen."""
    rewards: NDArray[np.float32]
    """[T]."""
    value_preds: NDArray[np.float32]
    """[T] or [T + 1]; the last is the value of what was seen afterwards."""
    dones: NDArray[np.bool_]
    """[T], whose life ended in the decision."""
    feature_names: tuple[str, ...]
    """Names of the F features."""
    metrics: Mapping[str, float]
    """What the JSON says of the sample."""
    agent_id: str = ""
    """Whose decisions these are."""
    action_lookup: Mapping[str, int]
    """Names of actions, local to the file."""
    action_mask: NDArray[np.bool_] | None = None
    """[T, A]; only samples of this version say what was legal."""
    alive: NDArray[np.bool_] | None = None
    """[T]; only samples of this version may hold dead time."""
    origin: SampleOrigin | None = None
    """Where a sample of this version comes from; none for older ones."""

    @property
    def timesteps(self) -> int:
        """T."""
        return len(self.actions)

    @property
    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """The arrays by their names in the file; those it does not have are left out."""
        held: Mapping[str, NDArray[Any] | None] = {
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
        return {name: array for name, array in held.items() if array is not None}

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the seven arrays."""
        return tuple(self.arrays[name].shape for name in _ARRAYS)

    def column(self, name: str) -> NDArray[np.float32]:
        """Return one feature [T] by name."""
        return np.asarray(self.features[:, self.feature_names.index(name)], np.float32)


def sample_files(sample: ReplaySample) -> tuple[bytes, bytes]:
    """Return the NPZ and the JSON of a sample."""
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


def read_sample(path: Path, meta: Path | None = None) -> ReplaySample:
    """Return a checked sample; BadInputError naming file and array. `meta` is the same stem's ``.json`` by default."""
    arrays = read_arrays(path)
    missing = [name for name in _ARRAYS if name not in arrays]
    if missing:
        only = " (an observation-only file: it says what was seen, not what was done)" if "actions" in missing else ""
        raise BadInputError(f"{path}: array {missing[0]!r} is missing{only}; expected {', '.join(_ARRAYS)}")
    typed = {name: _typed(arrays[name], name, path) for name in _DTYPES if name in arrays}
    shaped = _shaped(typed, path)
    about = read_json(meta or path.with_suffix(".json"))
    return _with_facts(path, meta or path.with_suffix(".json"), shaped, about)


def _typed(array: NDArray[Any], name: str, path: Path) -> NDArray[Any]:
    kinds, dtype = _DTYPES[name]
    if array.dtype.kind not in kinds:
        raise BadInputError(f"{path}: array {name!r} holds {array.dtype}; expected {_KINDS[kinds]}")
    with np.errstate(over="ignore"):
        plain = np.ascontiguousarray(array, dtype).reshape(array.shape)
    if kinds == "f" and not np.isfinite(plain).all():
        raise BadInputError(f"{path}: array {name!r} holds numbers that are not finite")
    if name == "actions" and (array < 0).any():
        raise BadInputError(f"{path}: array 'actions' holds negative actions")
    return plain


def _shaped(arrays: Mapping[str, NDArray[Any]], path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays with their time axis; 0-d means length 1, a map or features without time mean T = 1."""
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


def _with_facts(path: Path, source: Path, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> ReplaySample:
    names = about.get("feature_names")
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
    lookup = _lookup(about.get("action_lookup"), source)
    width = about.get("action_dim")
    if width is not None and (type(width) is not int or arrays["actions"].max() >= width):
        raise BadInputError(f"{path}: array 'actions' holds {arrays['actions'].max()}, but action_dim is {width!r}")
    if about.get("timesteps", len(arrays["actions"])) != len(arrays["actions"]):
        raise BadInputError(f"{source}: timesteps is {about['timesteps']!r}, but {path} holds {len(arrays['actions'])}")
    agent = about.get("agent_id", "")
    return ReplaySample(
        source=str(path),
        feature_names=tuple(names),
        metrics=finite_numbers(about.get("metrics", {}), f"{source}: metrics"),
        agent_id=agent if isinstance(agent, str) else str(agent),
        action_lookup=lookup,
        origin=_origin(about, arrays, path, source),
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
    about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], path: Path, source: Path
) -> SampleOrigin | None:
    if _ORIGIN not in about:
        return None
    try:
        origin = structure(about[_ORIGIN], SampleOrigin)
    except CodecError as error:
        raise BadInputError(f"{source}: {_ORIGIN}: {error}") from error
    width = len(origin.actions)
    if "alive" not in arrays or arrays.get("action_mask", np.empty((0, 0))).shape[1] != width:
        raise BadInputError(f"{path}: expected arrays 'alive' and 'action_mask' for the {width} actions of {source}")
    if arrays["actions"].max() >= width:
        raise BadInputError(f"{path}: array 'actions' holds {arrays['actions'].max()}, but there are {width} actions")
    return origin
