"""Forward pass in numpy: every policy acts here, with the same bits for any split of a batch.

The product of a row differs in its last bits from that row's product in another batch: alone, at other places of the
batch, with another BLAS. Rows are therefore multiplied in tiles of one fixed shape, padded with zeros, in a layout in
which all rows of a tile have the same bits; which one that is, is tried once for each shape of a product.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from townlet.policy.model.blas import one_thread

__all__ = ["Layers", "forward", "forward_row", "normalise"]

Layers = tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]
"""(weight [in, out], bias [out]) of each layer; ReLU between layers, none after the last."""

TILE = 256
"""Rows of the batch in every matrix product."""
_MARGIN = 8
"""Empty rows at both ends of a transposed tile: OpenBLAS multiplies the ends otherwise on processors with AVX2."""
_ROWS_FOR_TWO_THREADS = 2048
"""Rows from which a second thread gains more than it costs to wake it."""
_TRIALS = 8
"""Rows that are tried: the bits of one may be equal by chance."""


@one_thread()
def forward(layers: Layers, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the outputs [B, out] of a multi-layer perceptron for inputs [B, in]."""
    shapes, rows = [weight.shape for weight, _ in layers], len(inputs)
    write = _write_in_rows if all(_is_uniform(*shape) for shape in shapes) else _write_in_columns
    outputs = np.empty((rows, layers[-1][1].shape[0]), np.float32)
    if rows < _ROWS_FOR_TWO_THREADS:
        write(layers, inputs, outputs)
    else:
        from townlet.policy.model.threads import both  # its imports would double the time to load a policy

        half = rows // 2
        both(lambda: write(layers, inputs[:half], outputs[:half]), lambda: write(layers, inputs[half:], outputs[half:]))
    return outputs


def _write_in_rows(layers: Layers, inputs: NDArray[np.float32], outputs: NDArray[np.float32]) -> None:
    """Write the outputs of tiles [256, in] × [in, out]."""
    rows, width = inputs.shape
    tile = np.zeros((TILE, width), np.float32)
    hidden = [np.empty((TILE, bias.shape[0]), np.float32) for _, bias in layers]
    zeros = [np.zeros_like(y) for y in hidden]  # numpy has no vectorised maximum with one number for AVX2
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
                np.maximum(y, zeros[index], out=y)
            x = y
        outputs[start : start + size] = x[:size]


def _write_in_columns(layers: Layers, inputs: NDArray[np.float32], outputs: NDArray[np.float32]) -> None:
    """Write the outputs of tiles [out, in] × [in, 272], each row of the batch a column between two margins."""
    rows, width = inputs.shape
    tile = np.zeros((TILE + 2 * _MARGIN, width), np.float32)
    hidden = [np.empty((bias.shape[0], len(tile)), np.float32) for _, bias in layers]
    zeros = [np.zeros_like(y) for y in hidden]  # numpy has no vectorised maximum with one number for AVX2
    for start in range(0, rows, TILE):
        size = min(TILE, rows - start)
        end = _MARGIN + size
        tile[_MARGIN:end], tile[end:] = inputs[start : start + size], 0
        x = tile.T
        for index, (weight, bias) in enumerate(layers):
            y = hidden[index]
            np.matmul(weight.T, x, out=y)
            y += bias[:, None]
            if index < len(layers) - 1:
                np.maximum(y, zeros[index], out=y)
            x = y
        outputs[start : start + size] = x[:, _MARGIN:end].T


@lru_cache(maxsize=256)
def _is_uniform(inputs: int, outputs: int) -> bool:
    """Return whether equal rows of a tile have equal products, in every bit, wherever they stand."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((inputs, outputs), np.float32)
    for row in rng.standard_normal((_TRIALS, 1, inputs), np.float32):
        product = np.matmul(np.repeat(row, TILE, axis=0), weight)
        if not (product == product[0]).all():
            return False
    return True


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
    features: NDArray[np.float32],
    mean: NDArray[np.float32],
    scale: NDArray[np.float32],
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Return (features − mean) ÷ scale, clipped to ±10; float32 [B, F], written to `out` where it is given."""
    result = np.subtract(features, mean, out=out)
    result /= scale
    return np.clip(result, -10, 10, out=result)
