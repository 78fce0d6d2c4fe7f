"""Forward and backward pass of both trunks by hand, for a block of rows: matrix products, and loops between them.

Back-propagation through a layer:

    y = relu(x·W + b),  u = x·W + b
    ∂L/∂u = ∂L/∂y where y > 0, and 0 elsewhere
    ∂L/∂W = xᵀ·∂L/∂u
    ∂L/∂b = Σ_rows ∂L/∂u
    ∂L/∂x = ∂L/∂u·Wᵀ

Actor and critic read the same features, so their first layers are one wide product. Outputs of a trunk have their rows
as the second axis: the loops over them take many rows at once.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from townlet.compiled import kernel, u64
from townlet.policy.gradient.layout import Memory
from townlet.policy.model.products import columns, matrix, multiply

__all__ = ["bias_relu", "relu_backward", "trunk_backward", "trunk_forward", "wide_backward", "wide_forward"]

Reals = NDArray[Any]
Real = np.floating[Any]
Table = NDArray[np.void]


@kernel
def bias_relu(y: Reals, bias: Reals, first: int, end: int, floor: Real) -> None:
    """Add the bias [1, H] to the columns from `first` up to `end` of y [B, H], and clip at the floor, in place.

    y ← max(y + bias, floor)
    """
    for i in range(y.shape[0]):
        for j in range(u64(first), u64(end)):
            number = y[i, j] + bias[0, j]
            y[i, j] = floor if number <= floor else number  # a NaN stays NaN


@kernel
def relu_backward(grad: Reals, y: Reals, grad_bias: Reals, first: int, end: int, zero: Real) -> None:
    """Turn ∂L/∂y [B, H] into ∂L/∂u, in place, in these columns, and add it to ∂L/∂b [1, H]; y is ReLU's output.

    y = max(u, 0)  ⇒  ∂L/∂u = ∂L/∂y where y > 0, and 0 where y ≤ 0
    """
    for i in range(grad.shape[0]):
        for j in range(u64(first), u64(end)):
            number = zero if y[i, j] <= zero else grad[i, j]
            grad[i, j] = number
            grad_bias[0, j] += number


@kernel
def wide_forward(memory: Memory, parameters: Reals, rows: int, first: int, end: int, zero: Real) -> None:
    """Compute the first hidden layers, columns from `first` up to `end` of both trunks side by side, from the features.

    y = relu(x·W + b)
    """
    features, width = memory.sizes.features, memory.sizes.wide
    x = matrix(memory.scratch, memory.places.features, rows, features)
    y = matrix(memory.scratch, memory.places.wide, rows, width)
    weight = matrix(parameters, 0, features, width)
    multiply(memory.address, x, False, weight[:, first:end], False, y[:, first:end], False)
    bias_relu(y, matrix(parameters, features * width, 1, width), first, end, zero)


@kernel
def wide_backward(memory: Memory, gradient: Reals, rows: int, first: int, end: int, zero: Real) -> None:
    """Add ∂L/∂W and ∂L/∂b of these columns of the first layers, from ∂L/∂y of both trunks."""
    features, width = memory.sizes.features, memory.sizes.wide
    x = matrix(memory.scratch, memory.places.features, rows, features)
    y = matrix(memory.scratch, memory.places.wide, rows, width)
    grad_y = matrix(memory.scratch, memory.places.wide_gradient, rows, width)
    relu_backward(grad_y, y, matrix(gradient, features * width, 1, width), first, end, zero)
    grad_weight = matrix(gradient, 0, features, width)
    multiply(memory.address, x, True, grad_y[:, first:end], False, grad_weight[:, first:end], True)


@kernel
def trunk_forward(memory: Memory, table: Table, parameters: Reals, rows: int, zero: Real) -> None:
    """Compute a trunk's outputs [out, B] in the scratch memory, from its first hidden layer."""
    last = len(table) - 1
    for layer in table[1:last]:
        x = columns(memory.scratch, layer["x"], rows, layer["inputs"], layer["x_stride"])
        weight = columns(parameters, layer["weight"], layer["inputs"], layer["outputs"], layer["weight_stride"])
        y = matrix(memory.scratch, layer["y"], rows, layer["outputs"])
        multiply(memory.address, x, False, weight, False, y, False)
        bias_relu(y, matrix(parameters, layer["bias"], 1, layer["outputs"]), 0, layer["outputs"], zero)
    layer = table[last]
    x = columns(memory.scratch, layer["x"], rows, layer["inputs"], layer["x_stride"])
    weight = columns(parameters, layer["weight"], layer["inputs"], layer["outputs"], layer["weight_stride"])
    y = matrix(memory.scratch, layer["y"], layer["outputs"], rows)
    multiply(memory.address, weight, True, x, True, y, False)
    for output in range(y.shape[0]):
        shift = parameters[layer["bias"] + output]
        for i in range(y.shape[1]):
            y[output, i] += shift


@kernel
def trunk_backward(memory: Memory, table: Table, parameters: Reals, gradient: Reals, rows: int, zero: Real) -> None:
    """Add ∂L/∂W and ∂L/∂b of a trunk's layers from ∂L/∂outputs, which stands where the outputs were.

    Of a first hidden layer only ∂L/∂y is computed; it stands in the wide layer's.
    """
    layer = table[len(table) - 1]
    grad_y = matrix(memory.scratch, layer["y"], layer["outputs"], rows)
    x = columns(memory.scratch, layer["x"], rows, layer["inputs"], layer["x_stride"])
    grad_weight = columns(gradient, layer["weight"], layer["inputs"], layer["outputs"], layer["weight_stride"])
    multiply(memory.address, x, True, grad_y, True, grad_weight, True)
    ones = matrix(memory.scratch, memory.places.ones, rows, 1)
    multiply(memory.address, grad_y, False, ones, False, matrix(gradient, layer["bias"], layer["outputs"], 1), True)
    if len(table) == 1:
        return
    weight = columns(parameters, layer["weight"], layer["inputs"], layer["outputs"], layer["weight_stride"])
    grad_x = columns(memory.scratch, layer["grad_x"], rows, layer["inputs"], layer["x_stride"])
    multiply(memory.address, grad_y, True, weight, True, grad_x, False)
    for index in range(len(table) - 2, 0, -1):
        layer = table[index]
        y = matrix(memory.scratch, layer["y"], rows, layer["outputs"])
        grad_y = matrix(memory.scratch, layer["grad_y"], rows, layer["outputs"])
        relu_backward(grad_y, y, matrix(gradient, layer["bias"], 1, layer["outputs"]), 0, layer["outputs"], zero)
        x = columns(memory.scratch, layer["x"], rows, layer["inputs"], layer["x_stride"])
        grad_weight = columns(gradient, layer["weight"], layer["inputs"], layer["outputs"], layer["weight_stride"])
        multiply(memory.address, x, True, grad_y, False, grad_weight, True)
        weight = columns(parameters, layer["weight"], layer["inputs"], layer["outputs"], layer["weight_stride"])
        grad_x = columns(memory.scratch, layer["grad_x"], rows, layer["inputs"], layer["x_stride"])
        multiply(memory.address, grad_y, False, weight, True, grad_x, False)
