"""Gymnasium's spaces as flat features and as heads of an action, with a name for every number."""

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from attrs import frozen
from gymnasium import spaces
from numpy.typing import NDArray

from townlet.dto.actions import ActionSpec, BoxHead, DiscreteHead
from townlet.errors import BadInputError

__all__ = ["MASK", "ActionLayout", "Layouts", "ObservationLayout"]

MASK = "action_mask"
"""Key of an observation, or of an info, that says which options are legal."""
_MOST_FEATURES = 4096
_SUPPORTED = "Box, Discrete, MultiDiscrete, MultiBinary, and Dict and Tuple of those"

Leaf: TypeAlias = spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary


def _leaves(space: spaces.Space[Any], path: str, environment: str) -> Iterator[tuple[str, Leaf]]:
    """Yield the path and the space of each part that is no Dict and no Tuple, in Gymnasium's order."""
    match space:
        case spaces.Box() | spaces.Discrete() | spaces.MultiDiscrete() | spaces.MultiBinary():
            yield path, space
        case spaces.Dict() | spaces.Tuple():
            parts = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
            for key, part in parts:
                yield from _leaves(part, f"{path}/{key}" if path else str(key), environment)
        case _:
            where = path or "the whole space"
            raise BadInputError(f"{environment}: {where} is {space}; expected {_SUPPORTED}; wrap the environment")


def _indexed(path: str, shape: tuple[int, ...]) -> Iterator[str]:
    """Yield a name for each element of an array."""
    for index in np.ndindex(shape):
        yield f"{path}[{','.join(map(str, index))}]" if index else path


def _options(leaf: spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary) -> list[tuple[int, int]]:
    """Return least option and number of options of each choice of a space."""
    if isinstance(leaf, spaces.Discrete):
        return [(int(leaf.start), int(leaf.n))]
    if isinstance(leaf, spaces.MultiBinary):
        return [(0, 2)] * int(np.prod(leaf.shape))
    return [(int(least), int(count)) for least, count in zip(leaf.start.ravel(), leaf.nvec.ravel(), strict=True)]


@frozen(kw_only=True)
class ObservationLayout:
    """Turns an environment's own observations into F features and back, as `gymnasium.spaces.flatten` does."""

    space: spaces.Space[Any]
    """The space, without a mask."""
    names: tuple[str, ...]
    """Names of the F features."""

    @classmethod
    def of(cls, space: spaces.Space[Any], environment: str) -> "ObservationLayout":
        """Return the layout of a space; BadInputError for one that cannot be made flat, naming the part.

        A mask in the observation is no feature.
        """
        if isinstance(space, spaces.Dict) and MASK in space.spaces:
            space = spaces.Dict({key: part for key, part in space.spaces.items() if key != MASK})
        leaves = list(_leaves(space, "", environment))
        names = tuple(name for path, leaf in leaves for name in _feature_names(path or "observation", leaf))
        if not 0 < len(names) <= _MOST_FEATURES:
            raise BadInputError(
                f"{environment}: an observation holds {len(names)} numbers, expected 1 to {_MOST_FEATURES}; wrap the "
                "environment so that it shows features instead of an image"
            )
        return cls(space=space, names=names)

    @property
    def row(self) -> tuple[int, ...] | None:
        """Shape of an observation that is a row of features already; None where there is more to do."""
        return self.space.shape if isinstance(self.space, spaces.Box) and len(self.space.shape) == 1 else None

    def flatten(self, observation: Any) -> NDArray[np.float32]:
        """Return the features [F] of an observation, a copy."""
        if isinstance(self.space, spaces.Box):  # most are, and asking Gymnasium costs more than many an environment
            return np.array(observation, np.float32).ravel()
        return np.array(spaces.flatten(self.space, observation), np.float32)

    def flatten_rows(self, batch: Any, count: int) -> NDArray[np.float32]:
        """Return the features [B, F] of a batch of observations, arrays with a leading axis B, as a copy.

        ValueError, naming the part, for another shape and for an option that does not exist.
        """
        columns = list[NDArray[Any]]()
        for (path, leaf), part in zip(_leaves(self.space, "", ""), _parts(self.space, batch), strict=True):
            rows, shape = np.asarray(part), (count, *(leaf.shape or ()))
            if rows.shape != shape:
                raise ValueError(f"{path or 'a batch'} of shape {rows.shape}, expected {shape}")
            columns.append(_columns_of(leaf, rows.reshape(count, -1)))
        return np.concatenate(columns, axis=1, dtype=np.float32)

    def unflatten(self, features: NDArray[np.float32]) -> Any:
        """Return the observation of features [F], in the environment's own structure."""
        return spaces.unflatten(self.space, features)

    def unflatten_rows(self, features: NDArray[np.float32]) -> Any:
        """Return the observations of features [B, F] as one structure, whose arrays have a leading axis B."""
        columns = iter(np.split(features, np.cumsum([_width(leaf) for _, leaf in _leaves(self.space, "", "")])[:-1], 1))
        return _nest(self.space, (_rows_of(leaf, next(columns)) for _, leaf in _leaves(self.space, "", "")))


def _width(leaf: Leaf) -> int:
    """Return the number of features of a leaf."""
    if isinstance(leaf, spaces.Box | spaces.MultiBinary):
        return int(np.prod(leaf.shape))
    return sum(count for _, count in _options(leaf))


def _rows_of(leaf: Leaf, columns: NDArray[np.float32]) -> NDArray[Any]:
    """Return the values [B, …] of a leaf, of its features [B, F]."""
    if isinstance(leaf, spaces.Box | spaces.MultiBinary):
        return columns.reshape(len(columns), *leaf.shape).astype(leaf.dtype)
    parts = np.split(columns, np.cumsum([count for _, count in _options(leaf)])[:-1], 1)
    chosen = np.stack([part.argmax(1) + least for part, (least, _) in zip(parts, _options(leaf), strict=True)], 1)
    return chosen[:, 0] if isinstance(leaf, spaces.Discrete) else chosen.reshape(len(columns), *leaf.shape)


def _columns_of(leaf: Leaf, rows: NDArray[Any]) -> NDArray[Any]:
    """Return the features [B, F] of the values [B, …] of a leaf; ValueError for an option that does not exist."""
    if isinstance(leaf, spaces.Box | spaces.MultiBinary):
        return rows
    columns = [rows[:, [choice]] == least + np.arange(count) for choice, (least, count) in enumerate(_options(leaf))]
    if not all(each.any(1).all() for each in columns):
        raise ValueError(f"an option that is not one of {leaf}")
    return np.concatenate(columns, axis=1)


def _feature_names(path: str, leaf: Leaf) -> Iterator[str]:
    if isinstance(leaf, spaces.Box | spaces.MultiBinary):
        yield from _indexed(path, leaf.shape)
        return
    shape = () if isinstance(leaf, spaces.Discrete) else leaf.nvec.shape
    for name, (least, count) in zip(_indexed(path, shape), _options(leaf), strict=True):
        yield from (f"{name}={least + option}" for option in range(count))


@frozen(kw_only=True)
class ActionLayout:
    """Turns actions of a policy into the environment's own and back."""

    space: spaces.Space[Any]
    """The space."""
    leaves: tuple[Leaf, ...]
    """Its parts that are no Dict and no Tuple."""
    spec: ActionSpec
    """The heads."""

    @classmethod
    def of(cls, space: spaces.Space[Any], environment: str) -> "ActionLayout":
        """Return the layout of a space; BadInputError for one that cannot be chosen from, naming the part."""
        leaves = tuple(_leaves(space, "", environment))
        discrete, box = list[DiscreteHead](), list[BoxHead]()
        for path, leaf in leaves:
            if isinstance(leaf, spaces.Box):
                box += _box_heads(path or "action", leaf)
                continue
            shape = () if isinstance(leaf, spaces.Discrete) else leaf.shape or ()
            alone = isinstance(space, spaces.Discrete)
            for name, (least, count) in zip(_indexed(path or "action", shape), _options(leaf), strict=True):
                options = tuple(str(least + option) for option in range(count))
                discrete.append(DiscreteHead(name="" if alone else name, options=options))
        spec = ActionSpec(discrete=tuple(discrete), box=tuple(box))
        return cls(space=space, leaves=tuple(leaf for _, leaf in leaves), spec=spec)

    def to_native(self, actions: NDArray[Any]) -> list[Any]:
        """Return the environment's own action for each of the actions [B, C]."""
        if isinstance(self.space, spaces.Discrete):  # the same as below without its detours, for what is most frequent
            return list(actions[:, 0].astype(np.int64) + int(self.space.start))
        return [_nest(self.space, self._values(*row)) for row in zip(*self._split(actions), strict=True)]

    def to_native_rows(self, actions: NDArray[Any]) -> Any:
        """Return actions [B, C] as one of the environment's own, whose arrays have a leading axis B."""
        return _nest(self.space, self._values(*self._split(actions)))

    def _split(self, actions: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the options of the discrete heads, and the numbers of the others in their own units."""
        heads = len(self.spec.discrete)
        return actions[:, :heads].astype(np.int64), self.spec.to_native(actions[:, heads:].astype(np.float32))

    def _values(self, options: NDArray[np.int64], numbers: NDArray[np.float32]) -> Iterator[Any]:
        """Yield the value of each leaf: of options [K] and numbers [D], or of rows [B, K] and [B, D] of them."""
        option, number, rows = 0, 0, options.shape[:-1]
        for leaf in self.leaves:
            if isinstance(leaf, spaces.Box):
                size = int(np.prod(leaf.shape))
                yield numbers[..., number : number + size].reshape(*rows, *leaf.shape).astype(leaf.dtype)
                number += size
            else:
                least = np.array([each for each, _ in _options(leaf)])
                chosen = options[..., option : option + len(least)] + least
                yield chosen[..., 0] if isinstance(leaf, spaces.Discrete) else chosen.reshape(*rows, *leaf.shape)
                option += len(least)

    def from_native(self, action: Any) -> NDArray[Any]:
        """Return the environment's own action as columns [C]; ValueError for one that is not in the space."""
        columns: NDArray[Any] = self._columns([np.asarray(part)[None] for part in _parts(self.space, action)])[0]
        return columns

    def from_native_rows(self, actions: Any, count: int) -> NDArray[Any]:
        """Return a batch of the environment's own actions, arrays with a leading axis B, as columns [B, C]."""
        parts = [np.asarray(part) for part in _parts(self.space, actions)]
        short = next((part.shape for part in parts if part.shape[:1] != (count,)), None)
        if short is not None:
            raise ValueError(f"a batch of shape {short}, expected {count} actions on its first axis")
        return self._columns(parts)

    def _columns(self, parts: list[NDArray[Any]]) -> NDArray[Any]:
        """Return the values of the leaves, each [B, …], as columns [B, C]."""
        options, numbers = list[NDArray[Any]](), list[NDArray[Any]]()
        for leaf, part in zip(self.leaves, parts, strict=True):
            shape = () if isinstance(leaf, spaces.Discrete) else leaf.shape or ()
            rows = part.reshape(len(part), -1)
            if rows.shape[1] != int(np.prod(shape)):
                raise ValueError(f"an action of shape {part.shape[1:]}, expected {shape}")
            if isinstance(leaf, spaces.Box):
                numbers.append(rows)
            elif part.dtype.kind not in "iub":
                raise ValueError(f"an action of type {part.dtype}, expected whole numbers")
            else:
                options.append(rows.astype(np.int64) - [least for least, _ in _options(leaf)])
        count = len(parts[0])
        chosen = np.concatenate(options, axis=1) if options else np.empty((count, 0), np.int64)
        drawn = self.spec.from_native(np.concatenate(numbers, axis=1) if numbers else np.empty((count, 0)))
        return np.concatenate((chosen, drawn), axis=1).astype(self.spec.dtype)


@frozen(kw_only=True)
class Layouts:
    """Both layouts of an environment: what `townlet.policy.training.acting` reads and writes with."""

    observations: ObservationLayout
    """How observations become features."""
    action: ActionLayout
    """How columns become actions."""

    def rows(self, observation: Any) -> tuple[NDArray[np.float32], bool]:
        """Return features [B, F] and whether the observation was a batch; ValueError for another structure."""
        space = self.observations.space
        if isinstance(space, spaces.Dict) and isinstance(observation, dict):
            observation = {key: observation[key] for key in space.spaces}
        parts = [np.asarray(part) for part in _parts(space, observation)]
        leaves = [leaf for _, leaf in _leaves(space, "", "")]
        shapes = [() if isinstance(leaf, spaces.Discrete) else leaf.shape or () for leaf in leaves]
        if all(part.shape == shape for part, shape in zip(parts, shapes, strict=True)):
            return self.observations.flatten(observation)[None], False
        if any(part.shape[1:] != shape or not part.ndim for part, shape in zip(parts, shapes, strict=True)):
            raise ValueError(f"parts of shapes {[part.shape for part in parts]} are neither one of {space} nor a batch")
        return self.observations.flatten_rows(observation, len(parts[0])), True

    def actions(self, columns: NDArray[Any], *, is_batch: bool) -> Any:
        """Return the environment's own action of columns [B, C], or a batch of them with a leading axis B."""
        return self.action.to_native_rows(columns) if is_batch else self.action.to_native(columns)[0]


def _box_heads(path: str, leaf: spaces.Box) -> Iterator[BoxHead]:
    is_integer = np.dtype(leaf.dtype).kind in "iu"
    for name, low, high in zip(_indexed(path, leaf.shape), leaf.low.ravel(), leaf.high.ravel(), strict=True):
        yield BoxHead(name=name, low=_bound(low), high=_bound(high), integer=is_integer)


def _bound(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _nest(space: spaces.Space[Any], values: Iterator[Any]) -> Any:
    """Return a value of a space, made of the values of its leaves."""
    if isinstance(space, spaces.Dict):
        return {key: _nest(part, values) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_nest(part, values) for part in space.spaces)
    return next(values)


def _parts(space: spaces.Space[Any], value: Any) -> Iterator[Any]:
    """Yield the values of the leaves of a space."""
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            yield from _parts(part, value[key])
    elif isinstance(space, spaces.Tuple):
        for part, each in zip(space.spaces, value, strict=True):
            yield from _parts(part, each)
    else:
        yield value
