"""A line of numbers as one row of blocks, and a number's place between limits as one row of characters."""

from collections.abc import Sequence
from itertools import pairwise

__all__ = ["level", "scale_marks", "sparkline"]

_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int, low: float, high: float) -> str:
    """Return a series as at most `width` blocks, each the mean of its stretch, on a scale from `low` to `high`.

    >>> sparkline([1, 2, 3, 4, 5, 6, 7, 8], 4, 0, 8)
    '▂▄▆█'
    """
    width = min(width, len(values))
    edges = [round(i * len(values) / width) for i in range(width + 1)] if width > 0 else [0]
    stretches = (values[start:end] for start, end in pairwise(edges))
    return "".join(level(sum(each) / len(each), low, high) for each in stretches)


def level(value: float, low: float, high: float) -> str:
    """Return the block of one number on the same scale.

    >>> level(0.0, 0.0, 1.0), level(1.0, 0.0, 1.0), level(3.0, 3.0, 3.0)
    ('▁', '█', '▅')
    """
    share = (value - low) / (high - low) if high > low else 0.5
    return _BLOCKS[min(max(int(share * len(_BLOCKS)), 0), len(_BLOCKS) - 1)]


def scale_marks(value: float, baseline: float, limit: float, width: int) -> str:
    """Return a row on which the candidate ``●``, the baseline ``┆`` and the limit ``┃`` stand at their places.

    Where two share a place, the limit is shown before the candidate, the candidate before the baseline.

    >>> scale_marks(1.0, 3.0, 5.0, 9)
    '●╌╌╌┆╌╌╌┃'
    """
    low, high = min(value, baseline, limit), max(value, baseline, limit)
    row = ["╌"] * width
    for number, mark in ((baseline, "┆"), (value, "●"), (limit, "┃")):
        share = (number - low) / (high - low) if high > low else 0.5
        row[round(share * (width - 1))] = mark
    return "".join(row)
