"""Columns are packed into little text and come back as the whole numbers that they were."""

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townlet.dto.recording import PackedColumn

NUMBERS = st.integers(-(2**50), 2**50) | st.integers(-2, 2)


@given(st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=1, max_size=30))
def test_whole_numbers_come_back(rows: list[list[int]]) -> None:
    """Of any size, in several series."""
    values = np.array(rows, np.int64)

    np.testing.assert_array_equal(values, PackedColumn.of("x", values).values())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0, 0, 0], [0, 3]),  # a zero, and three further ones
        ([1, 2, 3], [2, 2, 2]),
        ([-1, -1, -1], [1, 0, 1]),
        ([100, 100], [0xC8, 0x01, 0, 0]),  # zigzag(100) = 200, in two bytes of seven bits
    ],
    ids=["zeros", "steps", "negative", "two bytes"],
)
def test_the_bytes_are_those_that_the_page_reads(values: list[int], expected: list[int]) -> None:
    """Differences, zigzag, runs of zeros, varints: viewer_columns.js reads the same."""
    assert bytes(expected) == base64.b64decode(PackedColumn.of("x", np.array(values)).data)


def test_a_run_of_zeros_goes_on_into_the_next_series() -> None:
    """Two series that never change take two bytes."""
    packed = PackedColumn.of("x", np.zeros((500, 2), np.int64))

    assert bytes([0, 0xE7, 0x07]) == base64.b64decode(packed.data)
    assert (500, 2) == packed.values().shape


@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (1, 1)], ids=["no rows", "no series", "one number"])
def test_empty_columns_come_back(shape: tuple[int, int]) -> None:
    """An episode without conflicts has none."""
    assert shape == PackedColumn.of("x", np.zeros(shape)).values().shape


def test_a_scale_rounds_to_its_fractions() -> None:
    """A value is its whole number ÷ scale."""
    values = np.array([0.124, -3.5, 7.006])

    np.testing.assert_allclose([[0.12], [-3.5], [7.01]], PackedColumn.of("x", values, 100).values())
