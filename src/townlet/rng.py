"""Keyed randomness: every random number is a pure function of who asks and when.

The mixer is SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators"). Chaining it over
the parts of a key gives the same bits for any batch split, thread count or order of worlds, and leaves no generator
state to save.
"""

from collections.abc import Iterable
from hashlib import sha256
from operator import index

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["derive", "mix", "seed_sequence", "uniform"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER_1 = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLIER_2 = np.uint64(0x94D049BB133111EB)


def mix(key: ArrayLike, part: ArrayLike) -> NDArray[np.uint64]:
    """Return SplitMix64's finaliser of `key` advanced by `part`; both broadcast, unsigned 64-bit, wrapping."""
    with np.errstate(over="ignore"):
        z = np.asarray(key, np.uint64) + (np.asarray(part, np.uint64) + np.uint64(1)) * _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * _MULTIPLIER_1
        z = (z ^ (z >> np.uint64(27))) * _MULTIPLIER_2
        return np.asarray(z ^ (z >> np.uint64(31)))


def uniform(key: ArrayLike) -> NDArray[np.float32]:
    """Return float32 numbers in [0, 1) from the top 24 bits of `key`."""
    return np.asarray((np.asarray(key, np.uint64) >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24))


def _words(parts: Iterable[int | str]) -> tuple[int, ...]:
    return tuple(
        int.from_bytes(sha256(part.encode()).digest()[:4], "little") if isinstance(part, str) else index(part)
        for part in parts
    )


def seed_sequence(seed: int, *parts: int | str) -> np.random.SeedSequence:
    """Return the `SeedSequence` of a run seed for a spawn key such as (state, visit, iteration, world, stream).

    TypeError for a seed that is not a whole number, and for a part that is neither text nor a whole number.
    """
    return np.random.SeedSequence(index(seed), spawn_key=_words(parts))


def derive(seed: int, *parts: int | str) -> int:
    """Return an integer in [0, 2⁶³) derived from a run seed and a key; what one component hands to the next."""
    return int(seed_sequence(seed, *parts).generate_state(1, np.uint64)[0] >> np.uint64(1))
