"""How many rows a product of gradients takes at once: measured once for each machine, BLAS and shape, and kept.

Some BLAS kernels multiply xᵀ·d of thousands of rows at less than half of their speed, and blocks of some hundred rows
at all of it; others lose by blocks. The choice decides last bits. So it is kept beside the compiled kernels, stored in
checkpoints, named in the result, and the option `block_rows` takes its place.
"""

import logging
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import product
from pathlib import Path
from time import perf_counter

import numpy as np

from townlet.compiled import cache_folder
from townlet.policy.model.blas import kernel_name, one_thread
from townlet.policy.ppo.backprop import transposed_product

__all__ = ["choose_block_rows", "fastest", "measure_block_rows"]

_LOG = logging.getLogger("townlet.kernels")

_BLOCKS = (256, 384)
"""Rows of a block that are tried beside all rows at once; 256 are slow at 128 × 128 where 384 are fast."""
_GAIN = 0.9
"""A later candidate must take less than this share of the best earlier one's time, so that noise decides nothing."""
_REPEATS = 9
_SMALL = 1024
"""Rows of a minibatch up to which nothing is measured: all are one block."""


def choose_block_rows(shapes: Sequence[tuple[int, int]], rows: int) -> int:
    """Return the block for minibatches of so many rows, each half a shard, and the shapes (in, out) of all layers.

    The answer `rows` stands for all rows at once.
    """
    if rows <= _SMALL:
        return rows
    file = _kept_in(shapes, rows)
    if file is not None:
        with suppress(OSError, ValueError):
            kept = int(file.read_text("ascii"))
            if kept in (rows, *_BLOCKS):
                return kept
    chosen = fastest(measure_block_rows(shapes, rows))
    if file is not None:
        try:
            file.write_text(f"{chosen}\n", "ascii")
        except OSError as error:
            _LOG.warning("block_rows is measured anew in each run, because %s cannot be written: %s", file, error)
    return chosen


def fastest(seconds: Mapping[int, float]) -> int:
    """Return the block to use, for the seconds of each block, all rows first."""
    best = next(iter(seconds))
    for block, each in seconds.items():
        if each < _GAIN * seconds[best]:
            best = block
    return best


@one_thread()
def measure_block_rows(shapes: Sequence[tuple[int, int]], rows: int) -> dict[int, float]:
    """Return the shortest seconds of all products of a shard for each block, which take turns; all rows first."""
    rng, half = np.random.default_rng(0), rows // 2
    arrays = [[rng.standard_normal((half, width), np.float32) for width in shape] for shape in shapes]
    outs = [np.empty(shape, np.float32) for shape in shapes]
    seconds = dict.fromkeys((rows, *_BLOCKS), np.inf)
    for _, block in product(range(_REPEATS), seconds):
        began = perf_counter()
        for (x, d), out in zip(arrays, outs, strict=True):
            transposed_product(x, d, block, out)
        seconds[block] = min(seconds[block], perf_counter() - began)
    return seconds


def _kept_in(shapes: Sequence[tuple[int, int]], rows: int) -> Path | None:
    folder = cache_folder()
    machine = (platform.node(), platform.processor(), kernel_name(), np.__version__, tuple(shapes), rows)
    return None if folder is None else folder / f"block-rows-{sha256(repr(machine).encode()).hexdigest()[:16]}.txt"
