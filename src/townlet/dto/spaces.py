"""An environment's own observations and actions, described without the library that the environment comes from."""

from typing import Any, Literal

from attrs import frozen

from townlet.dto.codec import Record, converter
from townlet.dto.problems import short_repr

__all__ = ["MASK", "NativeSpaces", "SpacePart"]

MASK = "action_mask"
"""Key of an observation, or of an info, that says which options are legal."""


def _place(value: Any, _: Any) -> int | str:
    if type(value) is not str and (type(value) is not int or value < 0):
        raise ValueError(f"expected a key or a place, 0 or more; found {short_repr(value)}")
    return value


converter.register_structure_hook(int | str, _place)


@frozen(kw_only=True)
class SpacePart(Record):
    """A part of a space that is one array: a Box, a Discrete, a MultiDiscrete or a MultiBinary of Gymnasium."""

    path: tuple[int | str, ...] = ()
    """Where the part is: a text is a key of a Dict, a number the place in a Tuple; empty where the part is all."""
    kind: Literal["box", "binary", "choice"]
    """`box`: numbers; `binary`: zeros and ones; `choice`: one of several options for each element."""
    shape: tuple[int, ...] = ()
    """Shape of the array."""
    dtype: str = "float32"
    """Data type of the array, as numpy names it."""
    starts: tuple[int, ...] = ()
    """Least option of each element of a choice, in C order; empty otherwise."""
    counts: tuple[int, ...] = ()
    """Number of options of each element of a choice; empty otherwise."""

    def __attrs_post_init__(self) -> None:
        if any(size < 0 for size in self.shape):
            raise ValueError(f"part {self.name!r}: shape is {self.shape}; expected no negative size")
        elements = self.size if self.kind == "choice" else 0
        if (len(self.starts), len(self.counts)) != (elements, elements):
            raise ValueError(
                f"part {self.name!r}: {len(self.starts)} starts and {len(self.counts)} counts; expected {elements} of "
                "each, one for each element of a choice"
            )
        if any(count < 1 for count in self.counts):
            raise ValueError(f"part {self.name!r}: an element without an option; expected at least one")

    @property
    def name(self) -> str:
        """The path as one word."""
        return "/".join(map(str, self.path))

    @property
    def size(self) -> int:
        """Elements of the array."""
        size = 1
        for length in self.shape:
            size *= length
        return size


@frozen(kw_only=True)
class NativeSpaces(Record):
    """The spaces of one agent, part by part, in the order of the features and of the heads."""

    observation: tuple[SpacePart, ...]
    """Parts of an observation, without a mask of actions."""
    action: tuple[SpacePart, ...]
    """Parts of an action."""

    def __attrs_post_init__(self) -> None:
        for what, parts in (("an observation", self.observation), ("an action", self.action)):
            paths = [part.path for part in parts]
            if not paths or len(set(paths)) < len(paths):
                raise ValueError(f"{what} has no part, or two parts at one place")
            if any(a != b and a == b[: len(a)] for a in paths for b in paths):
                raise ValueError(f"{what} has a part inside another part")
