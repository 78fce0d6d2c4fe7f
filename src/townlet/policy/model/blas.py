"""Set the number of threads of matrix products to one: products of small networks gain nothing from more."""

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock

from numpy.linalg import _umath_linalg

__all__ = ["add_library", "kernel_name", "one_thread"]

_NAMES = (
    "scipy_openblas_{}_num_threads64_",
    "openblas_{}_num_threads64_",
    "scipy_openblas_{}_num_threads",
    "openblas_{}_num_threads",
)
"""Names of OpenBLAS's get and set functions in its different builds."""

_CORE_NAMES = ("scipy_openblas_get_corename64_", "openblas_get_corename64_", "openblas_get_corename")
"""Names of OpenBLAS's function that returns the kernel it uses, in its different builds."""

_lock = Lock()
_open = 0
"""Contexts that are open."""
_saved: dict[str, int] = {}
"""The number of threads of each library, to be restored when the last context ends."""
_libraries = [_umath_linalg.__file__]
"""Files that are linked to the BLAS libraries of this process: numpy's, and scipy's where kernels use it."""


def _renew_lock() -> None:
    """Replace the lock in a forked child: the thread that held it at the fork does not exist there."""
    global _lock  # noqa: PLW0603
    _lock = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute every matrix product of the process on the calling thread while the context is open.

    The last bits of a product of odd shape depend on its number of threads, and OpenBLAS's own threads spin while they
    wait, which makes a busy machine twenty times slower. Another BLAS keeps the number of threads of its environment
    variables.
    """
    global _open  # noqa: PLW0603
    with _lock:
        _open += 1
        _restrict()
    try:
        yield
    finally:
        with _lock:
            _open -= 1
            if not _open:
                for library, threads in _saved.items():
                    _openblas(library)[1](threads)
                _saved.clear()


def add_library(file: str) -> None:
    """Let `one_thread` also set the threads of the library that a file is linked to, now where a context is open."""
    with _lock:
        if file not in _libraries:
            _libraries.append(file)
        if _open:
            _restrict()


def _restrict() -> None:
    for library in _libraries:
        get_threads, set_threads = _openblas(library)
        _saved.setdefault(library, get_threads())
        set_threads(1)


@cache
def _openblas(file: str) -> tuple[Callable[[], int], Callable[[int], object]]:
    """Return the functions that get and set the number of threads; for another BLAS, functions that do nothing."""
    library = ctypes.CDLL(file)
    for name in _NAMES:
        if hasattr(library, name.format("set")):
            return getattr(library, name.format("get")), getattr(library, name.format("set"))
    return (lambda: 1), (lambda _: None)


def kernel_name() -> str:
    """Return the kernel that OpenBLAS uses on this processor, such as ``SkylakeX``; ``unknown`` for another BLAS."""
    library = ctypes.CDLL(_umath_linalg.__file__)
    for name in _CORE_NAMES:
        if hasattr(library, name):
            function = getattr(library, name)
            function.restype = ctypes.c_char_p
            return bytes(function()).decode("ascii", "replace")
    return "unknown"
