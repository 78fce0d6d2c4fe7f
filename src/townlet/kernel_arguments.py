"""Arguments of a kernel that stay the same from call to call, written into memory once.

numba finds out the type of every argument and copies it at every call. With the thirty arrays of a town that takes ten
times as long as a step of one world; with their place in memory instead of them, half a microsecond.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic

__all__ = ["fixed_arguments"]

T = TypeVar("T")

_SETTINGS: Any = numba.config


def _words(value: Any) -> list[int]:
    """Return what a variable holds: of an array its size, address, shape and strides, and no owner."""
    kind = numba.typeof(value)
    if isinstance(kind, types.BaseTuple):
        return [word for item in value for word in _words(item)]
    if isinstance(kind, types.Array):
        return [0, 0, value.size, value.itemsize, value.ctypes.data, *value.shape, *value.strides]
    if isinstance(kind, types.Record):
        return [np.frombuffer(value, np.uint8).ctypes.data]
    raise TypeError(f"expected arrays, rows of arrays and tuples of them, found {kind}")


def fixed_arguments(example: Callable[[], T]) -> tuple[Callable[[T], T], Callable[[T], T]]:
    """Return `pack`, which writes arguments for a kernel, and `unpack`, by which the kernel reads them.

    The arguments are arrays, rows of arrays and tuples of them, of the types of the example; TypeError for others.
    The arrays must outlive what was packed, and stay where they are. With NUMBA_DISABLE_JIT=1 nothing is written: what
    was packed is the arguments themselves.
    """

    @cache
    def kind() -> Any:
        return numba.typeof(example())

    def pack(values: T) -> T:
        if numba.typeof(values) != kind():
            raise TypeError(f"expected arguments of type {kind()}, found {numba.typeof(values)}")
        words = np.array(_words(values), np.int64)
        return values if _SETTINGS.DISABLE_JIT else cast("T", words)

    @intrinsic
    def unpack(_: Any, packed: Any) -> tuple[Any, Any]:
        def load(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            words = context.make_array(signature.args[0])(context, builder, arguments[0])
            return builder.load(builder.bitcast(words.data, context.get_value_type(kind()).as_pointer()))

        return kind()(packed), load

    return pack, (lambda values: values) if _SETTINGS.DISABLE_JIT else cast("Callable[[T], T]", unpack)
