"""Arguments that are written into memory once are those that a kernel reads."""

import gc
from typing import Any, NamedTuple

import numpy as np
import pytest

from townlet.compiled import entry_kernel
from townlet.kernel_arguments import fixed_arguments

ROW = np.dtype((np.record, np.dtype([("weight", np.float64), ("count", np.int32)], align=True)))


class Parts(NamedTuple):
    """Arrays of several kinds, and rows of one."""

    matrix: np.ndarray
    """[rows, columns]."""
    row: Any
    """One row."""
    rows: np.ndarray
    """[rows]."""
    flags: np.ndarray
    """[rows]."""


def parts(length: int) -> Parts:
    """Return parts of so many rows; each number tells where it stands."""
    rows = np.zeros(length, ROW)
    rows["weight"], rows["count"] = np.arange(length) + 0.5, np.arange(length)
    matrix = np.arange(3 * length, dtype=np.float32).reshape(length, 3)
    return Parts(matrix, rows[length - 1], rows, np.arange(length) % 2 == 0)


pack, unpack = fixed_arguments(lambda: (parts(1), np.zeros(1, np.uint64)))


@entry_kernel
def add_all(arguments: tuple[Parts, np.ndarray], first: int, sums: np.ndarray) -> None:
    """Add what stands in each part from row `first` on, and write into a part."""
    inner, keys = unpack(arguments)
    for i in range(first, len(inner.rows)):
        for column in range(inner.matrix.shape[1]):
            sums[0] += inner.matrix[i, column]
        sums[1] += inner.rows[i].weight
        sums[2] += inner.rows[i].count
        sums[3] += inner.flags[i]
        inner.rows[i].count = 7
    sums[4] = inner.row.weight
    sums[5] = keys[first]


@pytest.mark.parametrize("first", [0, 2])
def test_a_kernel_reads_and_writes_what_was_packed(first: int) -> None:
    """Matrices, rows, a single row, flags and unsigned numbers arrive, and what the kernel writes is in the arrays."""
    values = parts(5), np.arange(5, dtype=np.uint64) + np.uint64(1 << 40)
    packed = pack(values)
    gc.collect()
    for round_ in range(2):
        values[0].rows["count"] = np.arange(5)
        sums = np.zeros(6)
        add_all(packed, first, sums)
        rest = parts(5).rows[first:]
        expected = [parts(5).matrix[first:].sum(), rest["weight"].sum(), rest["count"].sum()]
        assert [*expected, np.sum(values[0].flags[first:]), 4.5, (1 << 40) + first] == sums.tolist(), round_
        assert [*range(first), *[7] * (5 - first)] == values[0].rows["count"].tolist()


def test_arguments_of_other_types_are_refused() -> None:
    """An array of another dtype or layout would be misread; a number has no place in memory that outlives the call."""
    with pytest.raises(TypeError, match=r"expected arguments of type .*found .*int32"):
        pack((parts(1), np.zeros(1, np.int32)))
    with pytest.raises(TypeError, match="expected arguments of type"):
        pack((parts(1), np.zeros(4, np.uint64)[::2]))
    pack_number, _ = fixed_arguments(lambda: (3,))
    with pytest.raises(TypeError, match="expected arrays, rows of arrays and tuples of them, found int64"):
        pack_number((3,))
