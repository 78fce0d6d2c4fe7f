"""What an agent chooses in one decision: an action is one row with a column for each head.

A discrete head chooses one of its options; its column holds the option's index. A box head chooses a number; its
column holds the number in the units of its bounds, −1 at the lower and +1 at the upper bound. Discrete heads come
first. A network has an output for each option (a logit) and one for each box head (a mean).
"""

from functools import cached_property
from itertools import accumulate
from typing import Any, ClassVar

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.codec import Record

__all__ = ["ActionSpec", "Actions", "BoxHead", "DiscreteHead", "StoredActions"]

Actions = NDArray[np.int64] | NDArray[np.float32]
"""Actions [..., C]: int64, or float32 where a head is a box."""


@frozen(kw_only=True)
class DiscreteHead(Record):
    """A choice of one option."""

    name: str = ""
    """Path of the head in the action space; empty where the space is this head alone."""
    options: tuple[str, ...]
    """Names of the options, in order."""

    def __attrs_post_init__(self) -> None:
        if not self.options:
            raise ValueError(f"discrete head {self.name!r} has no option; expected at least one")
        if len(set(self.options)) != len(self.options):
            raise ValueError(f"discrete head {self.name!r} has two options of one name")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the logits."""
        return tuple(f"{self.name}={option}" if self.name else option for option in self.options)


@frozen(kw_only=True)
class BoxHead(Record):
    """A choice of one number."""

    name: str
    """Path of the number in the action space."""
    low: float | None = None
    """Least value; None where there is no bound."""
    high: float | None = None
    """Largest value; None where there is no bound."""
    integer: bool = False
    """True where only whole numbers are actions."""

    def __attrs_post_init__(self) -> None:
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"box head {self.name!r}: low is {self.low:g}, expected less than high, {self.high:g}")

    @property
    def centre(self) -> float:
        """The number that 0 stands for: the middle of two bounds, else 0."""
        return 0.0 if self.low is None or self.high is None else (self.low + self.high) / 2

    @property
    def half(self) -> float:
        """The distance that 1 stands for: half of the range between two bounds, else 1."""
        return 1.0 if self.low is None or self.high is None else (self.high - self.low) / 2


@frozen(kw_only=True, slots=False)
class ActionSpec(Record):
    """The heads of an action. K discrete heads with A options together, D box heads; C = K + D columns."""

    discrete: tuple[DiscreteHead, ...] = ()
    """The discrete heads."""
    box: tuple[BoxHead, ...] = ()
    """The box heads."""

    def __attrs_post_init__(self) -> None:
        names = [*(head.name for head in self.discrete), *(head.name for head in self.box)]
        if not names:
            raise ValueError("an action without a head; expected at least one discrete or box head")
        if len(set(names)) != len(names):
            raise ValueError("two heads of an action have one name")

    @classmethod
    def one_of(cls, *options: str) -> "ActionSpec":
        """Return the spec of one choice between options."""
        return cls(discrete=(DiscreteHead(options=options),))

    @property
    def columns(self) -> int:
        """C, columns of an array of actions."""
        return len(self.discrete) + len(self.box)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of an array of actions: int64, or float32 where a head is a box."""
        return np.dtype(np.float32 if self.box else np.int64)

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """K + 1 numbers: the logits of discrete head k are offsets[k] up to offsets[k + 1]."""
        return (0, *accumulate(len(head.options) for head in self.discrete))

    @property
    def logits(self) -> int:
        """A, options of all discrete heads: width of an action mask."""
        return self.offsets[-1]

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """Names of a network's A + D outputs, in order."""
        return (*(name for head in self.discrete for name in head.outputs), *(head.name for head in self.box))

    def segments(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """Return views of the part of each discrete head of an array [..., A]."""
        return [values[..., start:end] for start, end in zip(self.offsets, self.offsets[1:], strict=False)]

    def stored_shape(self, *rows: int) -> tuple[int, ...]:
        """Return the shape in which files hold actions [rows, C]: without the axis C where one choice is all."""
        return rows if self.is_one_choice else (*rows, self.columns)

    def to_stored(self, actions: NDArray[Any]) -> NDArray[Any]:
        """Return actions [..., C] as files hold them."""
        return actions.reshape(self.stored_shape(*actions.shape[:-1]))

    @property
    def is_one_choice(self) -> bool:
        """Tell whether an action is one choice and nothing else."""
        return not self.box and len(self.discrete) == 1 and not self.discrete[0].name

    @property
    def stored_heads(self) -> "ActionSpec | None":
        """This spec as files name it beside the names of the outputs: None where one choice is all."""
        return None if self.is_one_choice else self

    def has_choice(self, mask: Any) -> Any:
        """Return which rows [...] of a mask [..., A] leave a choice: a box head, or two legal options of one head.

        `mask` is an array of numpy or of torch, and so is the answer.
        """
        choices = mask.sum(-1) > len(self.discrete)
        return choices | True if self.box else choices

    def is_empty(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which rows [...] of a mask [..., A] allow no option of some head: the environment's mistake."""
        empty = np.zeros(mask.shape[:-1], np.bool_)
        for options in self.segments(mask):
            empty |= ~options.any(-1)
        return empty

    def problem(self, actions: Any, *rows: int) -> str:
        """Return why an object is no array of actions [rows, C] that can be played; empty where it is one."""
        expected = f"expected {self.dtype} actions of shape {(*rows, self.columns)}"
        if not isinstance(actions, np.ndarray):
            return f"{expected}, found {type(actions).__name__}"
        if actions.shape != (*rows, self.columns) or actions.dtype != self.dtype:
            return f"{expected}, found {actions.dtype} {actions.shape}"
        if self.box and not np.isfinite(actions).all():
            return f"{expected}, found a number that is not finite"
        for index, head in enumerate(self.discrete):
            options, count = actions[..., index], len(head.options)
            if (options < 0).any() or (options >= count).any():
                return f"expected options 0 to {count - 1} of {head.name or 'the action'}, found another"
        return ""

    def to_native(self, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return box columns [..., D] in the environment's units: scaled, clipped to the bounds, rounded last."""
        scaled = self._constants["centre"] + self._constants["half"] * numbers.astype(np.float64)
        clipped = np.clip(scaled, self._constants["low"], self._constants["high"])
        native: NDArray[np.float32] = np.where(self._constants["integer"], np.rint(clipped), clipped).astype(np.float32)
        return native

    def from_native(self, numbers: NDArray[Any]) -> NDArray[np.float32]:
        """Return numbers [..., D] of the environment's units as box columns."""
        values = (numbers.astype(np.float64) - self._constants["centre"]) / self._constants["half"]
        columns: NDArray[np.float32] = values.astype(np.float32)
        return columns

    @cached_property
    def _constants(self) -> dict[str, NDArray[Any]]:
        return {
            "centre": np.array([head.centre for head in self.box]),
            "half": np.array([head.half for head in self.box]),
            "low": np.array([-np.inf if head.low is None else head.low for head in self.box]),
            "high": np.array([np.inf if head.high is None else head.high for head in self.box]),
            "integer": np.array([head.integer for head in self.box], np.bool_),
        }


@frozen(kw_only=True)
class StoredActions(Record):
    """Metadata of a file about actions."""

    left_out: ClassVar[frozenset[str]] = frozenset({"heads"})
    """Fields that a file leaves out where they are None: files of before they existed keep their digests."""
    actions: tuple[str, ...]
    """Names of the A + D outputs of a network."""
    heads: ActionSpec | None = None
    """Heads of an action; absent where an action is one choice between `actions`."""

    def __attrs_post_init__(self) -> None:
        if self.heads is not None and self.heads.outputs != self.actions:
            raise ValueError("actions are not the names of the outputs of the heads")

    @property
    def spec(self) -> ActionSpec:
        """Heads of an action."""
        return ActionSpec.one_of(*self.actions) if self.heads is None else self.heads

    def model_dump(self) -> dict[str, Any]:
        """Return this record as plain data, without the fields of `left_out` that are None."""
        data = super().model_dump()
        return {name: value for name, value in data.items() if name not in self.left_out or value is not None}
