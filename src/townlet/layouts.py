"""Between an environment's own observations and actions and the rows of a network; numpy only.

F features, A options of all discrete heads, C columns of an action, B rows of a batch.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.actions import ActionSpec
from townlet.dto.spaces import NativeSpaces, SpacePart

__all__ = ["ActionLayout", "Layouts", "ObservationLayout", "indexed"]


def indexed(path: str, shape: tuple[int, ...]) -> Iterator[str]:
    """Yield a name for each element of an array.

    >>> list(indexed("arm", (2,))), list(indexed("gear", ()))
    (['arm[0]', 'arm[1]'], ['gear'])
    """
    for index in np.ndindex(shape):
        yield f"{path}[{','.join(map(str, index))}]" if index else path


@frozen(kw_only=True)
class ObservationLayout:
    """Turns an environment's own observations into F features and back, as `gymnasium.spaces.flatten` does."""

    parts: tuple[SpacePart, ...]
    """The parts of an observation, in the order of the features."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the F features."""
        return tuple(name for part in self.parts for name in _feature_names(part))

    @property
    def row(self) -> tuple[int, ...] | None:
        """Shape of an observation that is a row of features already; None where there is more to do."""
        only = self.parts[0]
        return only.shape if not only.path and only.kind == "box" and len(only.shape) == 1 else None

    def flatten(self, observation: Any) -> NDArray[np.float32]:
        """Return the features [F] of an observation, a copy; ValueError, naming the part, for an unknown option."""
        if not self.parts[0].path and self.parts[0].kind != "choice":  # most are an array
            return np.array(observation, np.float32).ravel()
        values = zip(self.parts, _values(self.parts, observation), strict=True)
        return np.concatenate(
            [_columns(part, np.asarray(value).reshape(1, -1))[0] for part, value in values], dtype=np.float32
        )

    def flatten_rows(self, batch: Any, count: int) -> NDArray[np.float32]:
        """Return the features [B, F] of a batch of observations, arrays with a leading axis B, as a copy.

        ValueError, naming the part, for another shape and for an option that does not exist.
        """
        columns = list[NDArray[Any]]()
        for part, value in zip(self.parts, _values(self.parts, batch), strict=True):
            rows, shape = np.asarray(value), (count, *part.shape)
            if rows.shape != shape:
                raise ValueError(f"{part.name or 'a batch'} of shape {rows.shape}, expected {shape}")
            columns.append(_columns(part, rows.reshape(count, part.size)))
        return np.concatenate(columns, axis=1, dtype=np.float32)

    def unflatten(self, features: NDArray[np.float32]) -> Any:
        """Return the observation of features [F], in the environment's own structure."""
        return _nest([part.path for part in self.parts], [rows[0] for rows in self._rows(features[None])])

    def unflatten_rows(self, features: NDArray[np.float32]) -> Any:
        """Return the observations of features [B, F] as one structure, whose arrays have a leading axis B."""
        return _nest([part.path for part in self.parts], list(self._rows(features)))

    def __str__(self) -> str:
        """Return the parts in words, for messages."""
        return ", ".join(map(_in_words, self.parts))

    def _rows(self, features: NDArray[np.float32]) -> Iterator[NDArray[Any]]:
        ends = np.cumsum([_width(part) for part in self.parts])[:-1]
        for part, columns in zip(self.parts, np.split(features, ends, 1), strict=True):
            yield _rows_of(part, columns)


@frozen(kw_only=True)
class ActionLayout:
    """Turns actions of a policy into the environment's own and back."""

    parts: tuple[SpacePart, ...]
    """The parts of an action."""
    spec: ActionSpec
    """The heads."""

    def to_native(self, actions: NDArray[Any]) -> list[Any]:
        """Return the environment's own action for each of the actions [B, C]."""
        only = self.parts[0]
        if not only.path and only.kind == "choice" and not only.shape:  # a shorter way for what is most frequent
            return list(actions[:, 0].astype(np.int64) + only.starts[0])
        paths = [part.path for part in self.parts]
        return [_nest(paths, list(self._parts(*row))) for row in zip(*self._split(actions), strict=True)]

    def to_native_rows(self, actions: NDArray[Any]) -> Any:
        """Return actions [B, C] as one of the environment's own, whose arrays have a leading axis B."""
        return _nest([part.path for part in self.parts], list(self._parts(*self._split(actions))))

    def _split(self, actions: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the options of the discrete heads, and the numbers of the others in their own units."""
        heads = len(self.spec.discrete)
        return actions[:, :heads].astype(np.int64), self.spec.to_native(actions[:, heads:].astype(np.float32))

    def _parts(self, options: NDArray[np.int64], numbers: NDArray[np.float32]) -> Iterator[Any]:
        """Yield the value of each part: of options [K] and numbers [D], or of rows [B, K] and [B, D] of them."""
        option, number, rows = 0, 0, options.shape[:-1]
        for part in self.parts:
            if part.kind == "box":
                yield numbers[..., number : number + part.size].reshape(*rows, *part.shape).astype(part.dtype)
                number += part.size
            else:
                chosen = options[..., option : option + part.size] + (np.array(part.starts or 0))
                yield chosen[..., 0] if not part.shape else chosen.reshape(*rows, *part.shape)
                option += part.size

    def from_native(self, action: Any) -> NDArray[Any]:
        """Return the environment's own action as columns [C]; ValueError for one that is not in the space."""
        columns: NDArray[Any] = self._columns([np.asarray(each)[None] for each in _values(self.parts, action)])[0]
        return columns

    def from_native_rows(self, actions: Any, count: int) -> NDArray[Any]:
        """Return a batch of the environment's own actions, arrays with a leading axis B, as columns [B, C]."""
        values = [np.asarray(each) for each in _values(self.parts, actions)]
        short = next((value.shape for value in values if value.shape[:1] != (count,)), None)
        if short is not None:
            raise ValueError(f"a batch of shape {short}, expected {count} actions on its first axis")
        return self._columns(values)

    def _columns(self, values: list[NDArray[Any]]) -> NDArray[Any]:
        """Return the values of the parts, each [B, …], as columns [B, C]."""
        options, numbers = list[NDArray[Any]](), list[NDArray[Any]]()
        for part, value in zip(self.parts, values, strict=True):
            if math.prod(value.shape[1:]) != part.size:
                raise ValueError(f"an action of shape {value.shape[1:]}, expected {part.shape}")
            rows = value.reshape(len(value), part.size)
            if part.kind == "box":
                numbers.append(rows)
            elif value.dtype.kind not in "iub":
                raise ValueError(f"an action of type {value.dtype}, expected whole numbers")
            else:
                options.append(rows.astype(np.int64) - np.array(part.starts or 0))
        count = len(values[0])
        chosen = np.concatenate(options, axis=1) if options else np.empty((count, 0), np.int64)
        drawn = self.spec.from_native(np.concatenate(numbers, axis=1) if numbers else np.empty((count, 0)))
        return np.concatenate((chosen, drawn), axis=1).astype(self.spec.dtype)

    def __str__(self) -> str:
        """Return the parts in words, for messages."""
        return ", ".join(map(_in_words, self.parts))


@frozen(kw_only=True)
class Layouts:
    """Both layouts of an environment."""

    observations: ObservationLayout
    """How observations become features."""
    action: ActionLayout
    """How columns become actions."""

    @classmethod
    def of(cls, spaces: NativeSpaces, spec: ActionSpec) -> "Layouts":
        """Return the layouts of spaces whose actions have the heads of `spec`."""
        return cls(
            observations=ObservationLayout(parts=spaces.observation),
            action=ActionLayout(parts=spaces.action, spec=spec),
        )

    @property
    def spaces(self) -> NativeSpaces:
        """The spaces."""
        return NativeSpaces(observation=self.observations.parts, action=self.action.parts)

    def rows(self, observation: Any) -> tuple[NDArray[np.float32], bool]:
        """Return features [B, F] and whether the observation was a batch; ValueError for another structure."""
        parts = self.observations.parts
        values = [np.asarray(value) for value in _values(parts, observation)]
        unfit = next((value.dtype for value in values if value.dtype.kind not in "biuf"), None)
        if unfit is not None:
            raise ValueError(f"an array of type {unfit}; expected numbers: {self.observations}")
        if all(value.shape == part.shape for value, part in zip(values, parts, strict=True)):
            return self.observations.flatten(observation)[None], False
        if any(value.shape[1:] != part.shape or not value.ndim for value, part in zip(values, parts, strict=True)):
            raise ValueError(
                f"arrays of shapes {[value.shape for value in values]}; expected {self.observations}, or a batch"
            )
        return self.observations.flatten_rows(observation, len(values[0])), True

    def actions(self, columns: NDArray[Any], *, is_batch: bool) -> Any:
        """Return the environment's own action of columns [B, C], or a batch of them with a leading axis B."""
        return self.action.to_native_rows(columns) if is_batch else self.action.to_native(columns)[0]


def _feature_names(part: SpacePart) -> Iterator[str]:
    path = part.name or "observation"
    if part.kind != "choice":
        yield from indexed(path, part.shape)
        return
    for name, least, count in zip(indexed(path, part.shape), part.starts, part.counts, strict=True):
        yield from (f"{name}={least + option}" for option in range(count))


def _width(part: SpacePart) -> int:
    """Return the number of features of a part."""
    return sum(part.counts) if part.kind == "choice" else part.size


def _rows_of(part: SpacePart, columns: NDArray[np.float32]) -> NDArray[Any]:
    """Return the values [B, …] of a part, of its features [B, F]."""
    if part.kind != "choice":
        return columns.reshape(len(columns), *part.shape).astype(part.dtype)
    elements = np.split(columns, np.cumsum(part.counts)[:-1], 1)
    chosen = np.stack([each.argmax(1) + least for each, least in zip(elements, part.starts, strict=True)], 1)
    return chosen.reshape(len(columns), *part.shape)


def _columns(part: SpacePart, rows: NDArray[Any]) -> NDArray[Any]:
    """Return the features [B, F] of the values [B, …] of a part; ValueError for an option that does not exist."""
    if part.kind != "choice":
        return rows
    choices = zip(part.starts, part.counts, strict=True)
    columns = [rows[:, [place]] == least + np.arange(count) for place, (least, count) in enumerate(choices)]
    if not all(each.any(1).all() for each in columns):
        raise ValueError(f"an option that is not one of {_in_words(part)}")
    return np.concatenate(columns, axis=1)


def _in_words(part: SpacePart) -> str:
    """Return a part as Gymnasium names its space."""
    if part.kind != "choice":
        words = f"{'Box' if part.kind == 'box' else 'MultiBinary'}({list(part.shape)}, {part.dtype})"
    elif part.shape:
        words = f"MultiDiscrete({list(part.counts)}{f', start={list(part.starts)}' if any(part.starts) else ''})"
    else:
        words = f"Discrete({part.counts[0]}{f', start={part.starts[0]}' if part.starts[0] else ''})"
    return f"{part.name}: {words}" if part.path else words


def _nest(paths: Sequence[tuple[int | str, ...]], values: Sequence[Any]) -> Any:
    """Return the values of the parts at their places, in Dicts and Tuples."""
    if not paths[0]:
        return values[0]
    groups: dict[int | str, list[int]] = {}
    for index, path in enumerate(paths):
        groups.setdefault(path[0], []).append(index)
    inner = {
        key: _nest([paths[index][1:] for index in indices], [values[index] for index in indices])
        for key, indices in groups.items()
    }
    return tuple(inner.values()) if isinstance(paths[0][0], int) else inner


def _values(parts: Sequence[SpacePart], value: Any) -> Iterator[Any]:
    """Yield what stands at the place of each part."""
    for part in parts:
        inner = value
        for key in part.path:
            inner = inner[key]
        yield inner
