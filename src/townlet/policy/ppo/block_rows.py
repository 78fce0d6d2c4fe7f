"""How many rows a product of gradients takes at once: measured once for each machine, BLAS and shape, and kept.

Some BLAS kernels multiply xᵀ·d of thousands of rows at less than half of their speed, and blocks of some hundred rows
at all of it; others lose by blocks. The choice decides last bits. So it is kept beside the compiled kernels, stored in
checkpoints, named in the result, and the option `block_rows` takes its place.
"""

import logging
import platform
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from itertools import product
from pathlib import Path
from time import perf_counter

import numpy as np

from townlet.compiled import cache_folder
from townlet.policy.model.blas import kernel_name, one_thread
from townlet.policy.ppo.backprop import MOST_ROWS, transposed_product

__all__ = ["CANDIDATES", "choose_block_rows", "measure_block_rows"]

_LOG = logging.getLogger("townlet.kernels")

CANDIDATES = (MOST_ROWS, 256, 384)
"""All rows at once, and blocks: 256 rows are slow at 128 × 128 where 384 are fast."""
_GAIN = 0.9
"""A later candidate must take less than this share of the best earlier one's time, so that noise decides nothing."""
_REPEATS = 9
_SMALL = 512
"""Rows up to which nothing is measured: all are one block."""


def choose_block_rows(shapes: Sequence[tuple[int, int]], rows: int) -> int:
    """Return the block for products xᵀ·d of x [rows, in] and d [rows, out], for the shapes (in, out) of all layers."""
    if rows <= _SMALL:
        return MOST_ROWS
    file = _kept_in(shapes, rows)
    if file is not None:
        with suppress(OSError, ValueError):
            kept = int(file.read_text("ascii"))
            if kept in CANDIDATES:
                return kept
    seconds = measure_block_rows(shapes, rows)
    chosen = fastest(seconds)
    if file is not None:
        try:
            file.write_text(f"{chosen}\n", "ascii")
        except OSError as error:
            _LOG.warning("the rows of a block are measured again in each run, because %s cannot be written: %s", file, error)
    return chosen


def fastest(seconds: Sequence[float]) -> int:
    """Return the candidate to use for seconds in the order of `CANDIDATES`."""
    best = 0
    for index, each in enumerate(seconds):
        if each < _GAIN * seconds[best]:
            best = index
    return CANDIDATES[best]


@one_thread()
def measure_block_rows(shapes: Sequence[tuple[int, int]], rows: int) -> list[float]:
    """Return the shortest seconds of all products for each of `CANDIDATES`, which take turns."""
    rng = np.random.default_rng(0)
    arrays = [
        (rng.standard_normal((rows, i), np.float32), rng.standard_normal((rows, o), np.float32), np.empty((i, o), np.float32))
        for i, o in shapes
    ]
    seconds = [np.inf] * len(CANDIDATES)
    for _, (index, block) in product(range(_REPEATS), enumerate(CANDIDATES)):
        began = perf_counter()
        for x, d, out in arrays:
            transposed_product(x, d, block, out)
        seconds[index] = min(seconds[index], perf_counter() - began)
    return seconds


def _kept_in(shapes: Sequence[tuple[int, int]], rows: int) -> Path | None:
    folder = cache_folder()
    machine = (platform.node(), platform.processor(), kernel_name(), np.__version__, tuple(shapes), rows)
    return None if folder is None else folder / f"block-rows-{sha256(repr(machine).encode()).hexdigest()[:16]}.txt"
