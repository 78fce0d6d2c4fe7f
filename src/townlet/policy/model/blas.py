"""How many threads numpy's matrix products take: one, for the products of small networks gain nothing from more."""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock

from numpy.linalg import _umath_linalg

__all__ = ["one_thread"]

_NAMES = ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads64_", "openblas_{}_num_threads")
"""What OpenBLAS calls its two functions, by who built it."""

_lock = Lock()
_before: list[int] = []
"""What is to be restored, once for everybody who is inside."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep the matrix products of the whole process on the thread that asks for each, for a while.

    The last bits of a product of odd shape differ with the number of its threads; threads that wait for each other's
    products, and spin, make a busy machine twenty times slower. A BLAS that is not OpenBLAS goes on as its own
    environment variables say.
    """
    get, take = _openblas()
    with _lock:
        _before.append(get() if not _before else _before[0])
        take(1)
    try:
        yield
    finally:
        with _lock:
            before = _before.pop()
            if not _before:
                take(before)


@cache
def _openblas() -> tuple[Callable[[], int], Callable[[int], object]]:
    """Return the functions that tell and change the number of threads."""
    library = ctypes.CDLL(_umath_linalg.__file__)
    for name in _NAMES:
        if hasattr(library, name.format("set")):
            return getattr(library, name.format("get")), getattr(library, name.format("set"))
    return (lambda: 1), (lambda _: None)
