"""Forward and backward pass of the two trunks by hand: numpy's matrix products, numba kernels between them. No torch.

Back-propagation through a layer:

    y = relu(x·W + b),  u = x·W + b
    ∂L/∂u = ∂L/∂y where y > 0, and 0 elsewhere
    ∂L/∂W = xᵀ·∂L/∂u
    ∂L/∂b = Σ_rows ∂L/∂u
    ∂L/∂x = ∂L/∂u·Wᵀ

xᵀ·∂L/∂u can be summed over blocks of rows, because some BLAS kernels multiply many rows at half of their speed. Every
call of numpy is one for all rows of a shard: each takes the interpreter's lock, which the other shard's thread wants.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from townlet.policy.model.forward import Layers
from townlet.policy.ppo.numba_kernels import bias_relu, relu_backward

__all__ = ["MLPBackprop", "Reals", "ScratchBuffer", "TrunkPair", "transposed_product"]

Reals = NDArray[Any]

_GROWTH = 8
"""A scratch buffer that is too small is made larger by one in this many rows, so that it seldom grows again."""


class ScratchBuffer:
    """Reusable array [rows, …], allocated once and enlarged when more rows are needed."""

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self._array = np.empty((0, *shape), dtype)

    def first(self, rows: int) -> Reals:
        """Return a view of the first `rows` rows; their contents are undefined."""
        if rows > len(self._array):
            self._array = np.empty((rows + rows // _GROWTH, *self._array.shape[1:]), self._array.dtype)
        return self._array[:rows]

    def gather(self, source: Reals, rows: Reals) -> Reals:
        """Copy `source[rows]` to the first rows and return them."""
        return np.take(source, rows, 0, out=self.first(len(rows)), mode="clip")  # the mode that needs no copy


def transposed_product(x: Reals, y: Reals, block_rows: int, out: Reals) -> Reals:
    """Write xᵀ·y to `out` [in, out] and return it, for x [B, in] and y [B, out]: a sum over blocks of so many rows."""
    np.matmul(x[:block_rows].T, y[:block_rows], out=out)
    for start in range(block_rows, len(x), block_rows):
        out += np.matmul(x[start : start + block_rows].T, y[start : start + block_rows])
    return out


class MLPBackprop:
    """Forward and backward pass of one MLP, with views of its weights and gradients and scratch buffers."""

    def __init__(self, layers: Layers, gradients: Layers, block_rows: int) -> None:
        """Take weights and gradients as views; `layers` are those from a hidden layer or the features to the output."""
        self.layers, self.gradients, self.block_rows = layers, gradients, block_rows
        self.real = layers[0][0].dtype.type
        self._outputs = [ScratchBuffer(bias.shape, self.real) for _, bias in layers]
        self._grad_inputs = [ScratchBuffer(bias.shape, self.real) for _, bias in layers[:-1]]
        self._products = [np.empty_like(weight) for weight, _ in layers]
        self._ones = ScratchBuffer((), self.real)

    def forward(self, x: Reals) -> Reals:
        """Return outputs [B, out] for inputs [B, in]: a scratch buffer, overwritten by the next forward pass."""
        for index, ((weight, bias), buffer) in enumerate(zip(self.layers, self._outputs, strict=True)):
            y = np.matmul(x, weight, out=buffer.first(len(x)))
            bias_relu(y, bias, self.real(0 if index < len(self.layers) - 1 else -np.inf))
            x = y
        return x

    def backward(self, x: Reals, grad_output: Reals, grad_x: Reals | None = None) -> None:
        """Add ∂L/∂W and ∂L/∂b of every layer, from x [B, in] of the last forward pass and ∂L/∂output [B, out].

        Writes ∂L/∂x to `grad_x` [B, in] where it is given.
        """
        ones = self._ones.first(len(x))
        ones.fill(1)
        grad_u = grad_output  # the last layer has no ReLU
        for index in range(len(self.layers) - 1, -1, -1):
            inputs = self._outputs[index - 1].first(len(x)) if index else x
            grad_weight, grad_bias = self.gradients[index]
            grad_weight += transposed_product(inputs, grad_u, self.block_rows, self._products[index])
            grad_bias += np.matmul(ones, grad_u)
            grad_y = self._grad_inputs[index - 1].first(len(x)) if index else grad_x
            if grad_y is not None:
                product = np.multiply if grad_u.shape[1] == 1 else np.matmul  # the same, and four times as fast
                product(grad_u, self.layers[index][0].T, out=grad_y)
            if index and grad_y is not None:
                relu_backward(grad_y, inputs, self.real(0))
                grad_u = grad_y  # the kernel applied ReLU's derivative in place


class TrunkPair:
    """Actor and critic on the same rows, each with a hidden layer: their first layers are one wide product."""

    def __init__(self, actor: Layers, critic: Layers, gradients: tuple[Layers, Layers], block_rows: int) -> None:
        """Take weights and gradients of both as views."""
        self._firsts, self._first_gradients = (actor[0], critic[0]), (gradients[0][0], gradients[1][0])
        self._actor, self._critic = (
            MLPBackprop(layers[1:], views[1:], block_rows)
            for layers, views in zip((actor, critic), gradients, strict=True)
        )
        self._block_rows = block_rows
        (features, self._split), width = actor[0][0].shape, critic[0][0].shape[1]
        self.real = actor[0][0].dtype.type
        self._weight = np.empty((features, self._split + width), self.real)
        self._bias = np.empty(self._split + width, self.real)
        self._product = np.empty_like(self._weight)
        self._hidden, self._grad_hidden = (ScratchBuffer(self._bias.shape, self.real) for _ in range(2))
        self._ones = ScratchBuffer((), self.real)

    def forward(self, x: Reals) -> tuple[Reals, Reals]:
        """Return the outputs of actor [B, A + D] and critic [B, 1] for features [B, F], in scratch buffers."""
        for position, part in enumerate((self._weight, self._bias)):  # the optimizer has changed them
            np.concatenate([first[position] for first in self._firsts], axis=-1, out=part)
        y = np.matmul(x, self._weight, out=self._hidden.first(len(x)))
        bias_relu(y, self._bias, self.real(0))
        return self._actor.forward(y[:, : self._split]), self._critic.forward(y[:, self._split :])

    def backward(self, x: Reals, grad_outputs: Reals, grad_values: Reals) -> None:
        """Add ∂L/∂W and ∂L/∂b of every layer of both, from the features of the last forward pass."""
        y, grad_y = self._hidden.first(len(x)), self._grad_hidden.first(len(x))
        left, right = slice(None, self._split), slice(self._split, None)
        self._actor.backward(y[:, left], grad_outputs, grad_y[:, left])
        self._critic.backward(y[:, right], grad_values, grad_y[:, right])
        relu_backward(grad_y, y, self.real(0))
        transposed_product(x, grad_y, self._block_rows, self._product)
        ones = self._ones.first(len(x))
        ones.fill(1)
        grad_bias = np.matmul(ones, grad_y)
        for (grad_weight, grad_first_bias), part in zip(self._first_gradients, (left, right), strict=True):
            np.add(grad_weight, self._product[:, part], out=grad_weight)
            np.add(grad_first_bias, grad_bias[part], out=grad_first_bias)
