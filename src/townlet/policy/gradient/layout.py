"""Where the learner's kernels find weights, gradients and intermediate results: parts of flat arrays."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from townlet.dto.actions import ActionSpec
from townlet.policy.model.forward import Layers
from townlet.policy.model.products import product_address

__all__ = ["LAYER", "Layout", "Memory", "ParameterViews"]

Reals = NDArray[Any]


LAYER = np.dtype(
    [
        (name, np.int64)
        for name in (
            "weight", "weight_stride", "bias", "inputs", "outputs", "x", "x_stride", "grad_x", "y", "grad_y",
        )
    ]
)  # fmt: skip
"""A layer: where weight and bias begin among the parameters, its widths, and where x, ∂L/∂x, y and ∂L/∂y begin in the
scratch memory. A stride is the distance of two rows: the first layers stand side by side, and so do their outputs."""

_LINE = 64
"""Bytes of a line of the processor's cache."""
_VECTORS = 7
"""Numbers for each row of a block."""


class Places(NamedTuple):
    """Where intermediate results of a block of rows begin in the scratch memory."""

    features: int
    wide: int
    """Outputs of the first hidden layers, side by side."""
    wide_gradient: int
    ones: int
    p: int
    """Probabilities of the options."""
    legal: int
    """1 for a legal option."""
    anchor_log_p: int
    anchor_p: int
    vectors: int
    """Numbers for each row."""


class Sizes(NamedTuple):
    """Numbers of features, columns and rows."""

    features: int
    wide: int
    """Columns of both first layers."""
    split: int
    """The actor's among them."""
    rows: int
    """Rows of a block."""
    logits: int
    boxes: int
    log_std: int
    """Parameters before log σ."""


class Memory(NamedTuple):
    """What every kernel of a shard's gradient needs to know; each shard has a scratch memory of its own."""

    address: np.int64
    """Of BLAS's product."""
    scratch: Reals
    """Intermediate results of one block of rows."""
    places: Places
    sizes: Sizes
    offsets: NDArray[np.int64]
    """[K + 1], where the logits of each discrete head begin."""


class ParameterViews(NamedTuple):
    """Parameters in the shapes of the layers: views of one flat array."""

    actor: Layers
    critic: Layers
    log_std: Reals

    def each(self) -> list[Reals]:
        """Return the arrays in the order of torch's parameters: weights before biases, actor before critic."""
        parts = [weight for weight, _ in self.actor] + [bias for _, bias in self.actor]
        parts = [self.log_std] * bool(self.log_std.size) + parts
        return [*parts, *(weight for weight, _ in self.critic), *(bias for _, bias in self.critic)]


class Layout:
    """Places of all parameters in one array: first layers side by side, the actor's others, the critic's, log σ."""

    def __init__(self, actor: Layers, critic: Layers, actions: ActionSpec, rows: int) -> None:
        """Take the shapes of the layers, none where a trunk is not trained; a block has at most so many rows."""
        first = (actor or critic)[0][0]
        self.kind, self.actions = first.dtype, actions
        features = first.shape[0]
        widths = [(features, *(len(bias) for _, bias in trunk)) for trunk in (actor, critic)]
        split, width = (sum(each[1:2]) for each in widths)
        logits, boxes, wide = actions.logits, len(actions.box), split + width
        self.parameters = (features + 1) * wide
        blocks = (features, wide, wide, 1, logits, logits, logits, logits, _VECTORS)
        starts = np.cumsum((0, *blocks)) * rows
        self._scratch = int(starts[-1])
        self._places = Places(*starts[:-1].tolist())
        self.tables = self._table(widths[0], 0, wide, rows), self._table(widths[1], split, wide, rows)
        """Layers of the actor and of the critic, as the kernels read them."""
        self._sizes = Sizes(features, wide, split, rows, logits, boxes, self.parameters)
        boxes *= bool(actor)
        parts = [_parts(table) for table in self.tables]
        self.groups = np.array([*parts[0], (self.parameters, 1, boxes, boxes)], np.int64), _whole(parts[1])
        """The actor's and the critic's parts of a flat array [N, 4]: (start, rows, columns, stride)."""
        self.parameters += boxes

    def _table(self, widths: Sequence[int], first: int, wide: int, rows: int) -> NDArray[np.void]:
        """Return the layers of a trunk, and take room for those after the first."""
        table = np.zeros(len(widths) - 1, LAYER)
        x, x_stride, grad_x = self._places.features, widths[0], -1
        for index, (inputs, outputs) in enumerate(pairwise(widths)):
            weight, bias = self._room(inputs, outputs) if index else (first, inputs * wide + first)
            y, grad_y, stride = self._scratch, self._scratch + outputs * rows, outputs
            if index == 0 and len(table) > 1:
                y, grad_y, stride = self._places.wide + first, self._places.wide_gradient + first, wide
            else:
                self._scratch += 2 * outputs * rows
            table[index] = (weight, outputs if index else wide, bias, inputs, outputs, x, x_stride, grad_x, y, grad_y)
            x, x_stride, grad_x = y, stride, grad_y
        return table

    def _room(self, inputs: int, outputs: int) -> tuple[int, int]:
        start = self.parameters
        self.parameters += (inputs + 1) * outputs
        return start, start + inputs * outputs

    @property
    def features(self) -> int:
        """F, inputs of both networks."""
        return self._sizes.features

    def flat(self, size: int) -> Reals:
        """Return a new array of zeros that begins where a line of the processor's cache does."""
        room = np.zeros(size * self.kind.itemsize + _LINE, np.uint8)
        start = -room.ctypes.data % _LINE
        return room[start : start + size * self.kind.itemsize].view(self.kind)

    def memory(self) -> Memory:
        """Return a new scratch memory."""
        scratch = self.flat(self._scratch)
        scratch[self._places.ones :][: self._sizes.rows] = 1
        offsets = np.array(self.actions.offsets, np.int64)
        return Memory(product_address(self.kind.name), scratch, self._places, self._sizes, offsets)

    def views(self, flat: Reals) -> ParameterViews:
        """Return the parts of a flat array [P] in the shapes of the parameters."""
        trunks: list[Layers] = []
        for table in self.tables:
            layers = []
            for weight, stride, bias, inputs, outputs, *_ in table.tolist():
                strides = (stride * flat.itemsize, flat.itemsize)
                view = np.lib.stride_tricks.as_strided(flat[weight:], (inputs, outputs), strides)
                layers.append((view, flat[bias : bias + outputs]))
            trunks.append(tuple(layers))
        actor, critic = trunks
        return ParameterViews(actor, critic, flat[self._sizes.log_std :])


def _parts(table: NDArray[np.void]) -> list[tuple[int, int, int, int]]:
    """Return the parts of a flat array that are a trunk's: (start, rows, columns, stride)."""
    parts = []
    for weight, stride, bias, inputs, outputs, *_ in table.tolist():
        parts += [(weight, inputs, outputs, stride), (bias, 1, outputs, outputs)]
    return parts


def _whole(parts: list[tuple[int, int, int, int]]) -> NDArray[np.int64]:
    return np.array(parts, np.int64).reshape(-1, 4)
