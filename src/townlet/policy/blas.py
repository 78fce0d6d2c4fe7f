"""How many threads numpy's matrix products take: one, where the caller has threads of its own."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

from numpy.linalg import _umath_linalg

__all__ = ["one_thread"]

_NAMES = ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads64_", "openblas_{}_num_threads")
"""What OpenBLAS calls its two functions, by who built it."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep the matrix products of the whole process on the thread that asks for each, for a while.

    Shards on threads of their own would wait for each other's products, and the last bits of a product of odd shape
    differ with the number of its threads. A BLAS that is not OpenBLAS goes on as its own environment variables say.
    """
    library = ctypes.CDLL(_umath_linalg.__file__)
    name = next((each for each in _NAMES if hasattr(library, each.format("set"))), None)
    if name is None:
        yield
        return
    take, before = getattr(library, name.format("set")), getattr(library, name.format("get"))()
    take(1)
    try:
        yield
    finally:
        take(before)
