"""Checks of what callers hand to every view of the town: seeds, actions, render modes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from townlet.dto.codec import did_you_mean
from townlet.errors import BadInputError

__all__ = ["RENDER_MODES", "checked_render_mode", "draw_seed", "is_whole", "whole_action", "whole_seed"]

RENDER_MODES = ("rgb_array", "ansi", "human")
"""Pixels, text, and text written to standard output after every decision."""
_SEED_LIMIT = 1 << 64
_INTEGERS = (int, np.integer)


def is_whole(value: object) -> bool:
    """Return whether a value is an integer of Python or NumPy; booleans, floats and text are not."""
    if type(value) is int:  # first, because the views ask for every action
        return True
    if isinstance(value, np.ndarray):
        return value.ndim == 0 and value.dtype.kind in "iu"
    return isinstance(value, _INTEGERS) and not isinstance(value, bool)


def whole_seed(seed: Any) -> int:
    """Return a seed as Python's int; BadInputError for anything but a whole number from 0 to 2⁶⁴ - 1."""
    if not is_whole(seed) or not 0 <= int(seed) < _SEED_LIMIT:
        raise BadInputError(f"reset: seed is {seed!r}, expected a whole number from 0 to 2**64 - 1, or None")
    return int(seed)


def draw_seed(generator: np.random.Generator) -> int:
    """Return a seed for an episode that nobody seeded, drawn from a view's own generator."""
    return int(generator.integers(1 << 63))


def whole_action(action: Any, agent: str, count: int) -> int:
    """Return an agent's action as Python's int; BadInputError for anything but a whole number below `count`."""
    number = int(action) if is_whole(action) else -1
    if not 0 <= number < count:
        raise BadInputError(f"step: the action of {agent} is {action!r}, expected 0 to {count - 1}, a whole number")
    return number


def checked_render_mode(mode: str | None, modes: Sequence[str] = RENDER_MODES) -> str | None:
    """Return a render mode; BadInputError for one that does not exist."""
    if mode is not None and mode not in modes:
        raise BadInputError(f"render_mode is {mode!r}{did_you_mean(str(mode), tuple(modes))}")
    return mode
