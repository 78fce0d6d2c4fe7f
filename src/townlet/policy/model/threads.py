"""Two calls at the same time, on two threads: halves of a batch, shards of a minibatch.

What is computed never depends on it, and numpy's larger operations release the interpreter's lock.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

from townlet.processors import usable_processors

__all__ = ["both"]

A = TypeVar("A")
B = TypeVar("B")

_inside = threading.local()
"""`active` is set on a thread while it is in `both`, so that calls in calls use no further threads."""


def both(first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
    """Return the results of two calls that share nothing they write; the second one runs on another thread.

    They run one after the other where the process may use one processor only, and inside of another `both`.
    """
    if getattr(_inside, "active", False) or usable_processors() == 1:
        return first(), second()
    _inside.active = True
    try:
        future = _pool(os.getpid()).submit(_marked, second)
        try:
            result = first()
        finally:
            wait([future])  # the caller's buffers are in use until then, also when the first call fails
        return result, future.result()
    finally:
        _inside.active = False


def _marked(call: Callable[[], B]) -> B:
    _inside.active = True
    return call()


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "second")
