"""Forward pass in numpy: every policy acts here, with the same bits for any split of a batch.

The product of a single row differs in its last bits from that row's product in a batch. Rows are therefore
multiplied in tiles of one fixed shape, padded with zeros.
"""

import numpy as np
from numpy.typing import NDArray

from townlet.policy.model.blas import one_thread

__all__ = ["Layers", "forward", "forward_row", "normalise"]

Layers = tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]
"""(weight [in, out], bias [out]) of each layer; ReLU between layers, none after the last."""

TILE = 256
"""Rows of every matrix product."""


@one_thread()
def forward(layers: Layers, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the outputs [B, out] of a multi-layer perceptron for inputs [B, in]."""
    rows, width = inputs.shape
    outputs = np.empty((rows, layers[-1][1].shape[0]), np.float32)
    tile = np.zeros((TILE, width), np.float32)
    hidden = [np.empty((TILE, bias.shape[0]), np.float32) for _, bias in layers]
    for start in range(0, rows, TILE):
        size = min(TILE, rows - start)
        if size == TILE:
            x = inputs[start : start + TILE]
        else:
            tile[:size], tile[size:] = inputs[start:], 0
            x = tile
        for index, (weight, bias) in enumerate(layers):
            y = hidden[index]
            np.matmul(x, weight, out=y)
            y += bias
            if index < len(layers) - 1:
                np.maximum(y, 0, out=y)
            x = y
        outputs[start : start + size] = x[:size]
    return outputs


def forward_row(layers: Layers, row: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the outputs [out] for one row [in]: fast, and equal to those of `forward` but for the last bits."""
    last = layers[-1]
    for weight, bias in layers[:-1]:
        row = row @ weight
        row += bias
        np.maximum(row, 0, out=row)
    row = row @ last[0]
    row += last[1]
    return row


def normalise(
    features: NDArray[np.float32], mean: NDArray[np.float32], scale: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return (features − mean) ÷ scale, clipped to ±10; float32 [B, F]."""
    result = features - mean
    result /= scale
    return np.clip(result, -10, 10, out=result)
