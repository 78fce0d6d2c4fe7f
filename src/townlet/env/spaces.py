"""Gymnasium's spaces as flat features and as heads of an action, with a name for every number."""

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from gymnasium import spaces

from townlet.dto.actions import ActionSpec, BoxHead, DiscreteHead
from townlet.dto.spaces import MASK, SpacePart
from townlet.errors import BadInputError
from townlet.layouts import ActionLayout, Layouts, ObservationLayout, indexed

__all__ = ["MASK", "action_layout", "layouts_of", "observation_layout"]

_MOST_FEATURES = 4096
_SUPPORTED = "Box, Discrete, MultiDiscrete, MultiBinary, and Dict and Tuple of those"

Leaf: TypeAlias = spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary
Path: TypeAlias = tuple[int | str, ...]


def layouts_of(observation: spaces.Space[Any], action: spaces.Space[Any], environment: str) -> Layouts:
    """Return how observations and actions of two spaces are read and written."""
    return Layouts(observations=observation_layout(observation, environment), action=action_layout(action, environment))


def observation_layout(space: spaces.Space[Any], environment: str) -> ObservationLayout:
    """Return the layout of a space; BadInputError for one that cannot be made flat, naming the part.

    A mask in the observation is no feature.
    """
    if isinstance(space, spaces.Dict) and MASK in space.spaces:
        space = spaces.Dict({key: part for key, part in space.spaces.items() if key != MASK})
    layout = ObservationLayout(parts=tuple(_part(path, leaf) for path, leaf in _leaves(space, (), environment)))
    count = len(layout.names)
    if not 0 < count <= _MOST_FEATURES:
        raise BadInputError(
            f"{environment}: an observation holds {count} numbers, expected 1 to {_MOST_FEATURES}; wrap the "
            "environment so that it shows features instead of an image"
        )
    return layout


def action_layout(space: spaces.Space[Any], environment: str) -> ActionLayout:
    """Return the layout of a space; BadInputError for one that cannot be chosen from, naming the part."""
    parts, discrete, box = list[SpacePart](), list[DiscreteHead](), list[BoxHead]()
    for path, leaf in _leaves(space, (), environment):
        part = _part(path, leaf)
        if isinstance(leaf, spaces.Box):
            box += _box_heads(part.name or "action", leaf)
        else:
            # A choice of two is what a policy makes of zeros and ones.
            starts, counts = zip(*_options(leaf), strict=True) if part.size else ((), ())
            alone = isinstance(space, spaces.Discrete)
            for name, least, count in zip(indexed(part.name or "action", part.shape), starts, counts, strict=True):
                options = tuple(str(least + option) for option in range(count))
                discrete.append(DiscreteHead(name="" if alone else name, options=options))
        parts.append(part)
    return ActionLayout(parts=tuple(parts), spec=ActionSpec(discrete=tuple(discrete), box=tuple(box)))


def _leaves(space: spaces.Space[Any], path: Path, environment: str) -> Iterator[tuple[Path, Leaf]]:
    """Yield the path and the space of each part that is no Dict and no Tuple, in Gymnasium's order."""
    match space:
        case spaces.Box() | spaces.Discrete() | spaces.MultiDiscrete() | spaces.MultiBinary():
            yield path, space
        case spaces.Dict():
            for key, part in space.spaces.items():
                yield from _leaves(part, (*path, str(key)), environment)
        case spaces.Tuple():
            for index, part in enumerate(space.spaces):
                yield from _leaves(part, (*path, index), environment)
        case _:
            where = "/".join(map(str, path)) or "the whole space"
            raise BadInputError(f"{environment}: {where} is {space}; expected {_SUPPORTED}; wrap the environment")


def _part(path: Path, leaf: Leaf) -> SpacePart:
    """Return a leaf as a record."""
    shape, dtype = tuple(map(int, leaf.shape or ())), str(np.dtype(leaf.dtype or np.int64))
    if isinstance(leaf, spaces.Box):
        return SpacePart(path=path, kind="box", shape=shape, dtype=dtype)
    if isinstance(leaf, spaces.MultiBinary):
        return SpacePart(path=path, kind="binary", shape=shape, dtype=dtype)
    options = _options(leaf)
    return SpacePart(
        path=path,
        kind="choice",
        shape=shape,
        dtype=dtype,
        starts=tuple(least for least, _ in options),
        counts=tuple(count for _, count in options),
    )


def _options(leaf: spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary) -> list[tuple[int, int]]:
    """Return least option and number of options of each choice of a space."""
    if isinstance(leaf, spaces.Discrete):
        return [(int(leaf.start), int(leaf.n))]
    if isinstance(leaf, spaces.MultiBinary):
        return [(0, 2)] * int(np.prod(leaf.shape))
    return [(int(least), int(count)) for least, count in zip(leaf.start.ravel(), leaf.nvec.ravel(), strict=True)]


def _box_heads(path: str, leaf: spaces.Box) -> Iterator[BoxHead]:
    is_integer = np.dtype(leaf.dtype).kind in "iu"
    for name, low, high in zip(indexed(path, leaf.shape), leaf.low.ravel(), leaf.high.ravel(), strict=True):
        yield BoxHead(name=name, low=_bound(low), high=_bound(high), integer=is_integer)


def _bound(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
