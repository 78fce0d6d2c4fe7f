"""Matrix products inside of compiled kernels, by the BLAS that scipy brings: no call of Python, no interpreter's lock.

scipy publishes the addresses of its BLAS functions (`scipy.linalg.cython_blas`) for compiled code. They know matrices
by columns; our rows are their columns, so out = x·w is computed as outᵀ = wᵀ·xᵀ.
"""

import ctypes
from functools import cache
from typing import Any, cast

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray
from scipy.linalg import blas, cython_blas

from townlet.policy.model.blas import add_library

__all__ = ["columns", "matrix", "multiply", "product_address"]

Reals = NDArray[Any]

_IS_PLAIN = bool(cast("Any", numba.config).DISABLE_JIT)
_FUNCTIONS = {"float32": "sgemm", "float64": "dgemm"}


@cache
def product_address(kind: str) -> np.int64:
    """Return the address of BLAS's product of matrices of float32 or float64."""
    add_library(cython_blas.__file__)
    capsule, python = cython_blas.__pyx_capi__[_FUNCTIONS[kind]], ctypes.pythonapi
    name, pointer = python.PyCapsule_GetName, python.PyCapsule_GetPointer
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return np.int64(pointer(capsule, name(capsule)))


@intrinsic
def _compiled_multiply(
    _: Any, address: Any, x: Any, turns_x: Any, w: Any, turns_w: Any, out: Any, adds: Any
) -> tuple[Any, Any]:
    def call(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = dict(zip(("address", "x", "turns_x", "w", "turns_w", "out", "adds"), signature.args, strict=True))
        values = dict(zip(kinds, arguments, strict=True))
        arrays = {name: context.make_array(kinds[name])(context, builder, values[name]) for name in ("x", "w", "out")}
        real, size = context.get_data_type(out.dtype), context.get_abi_sizeof(context.get_data_type(out.dtype))
        letter, whole = ir.IntType(8), ir.IntType(32)

        def place(kind: Any, value: Any) -> Any:
            place = cgutils.alloca_once(builder, kind)
            builder.store(value, place)
            return place

        def turned(flag: Any) -> Any:
            is_set = builder.icmp_unsigned("!=", flag, flag.type(0))
            return place(letter, builder.select(is_set, letter(ord("T")), letter(ord("N"))))

        def length(array: Any, axis: int) -> Any:
            return builder.extract_value(array.shape, axis)

        def stride(array: Any) -> Any:
            step = builder.sdiv(builder.extract_value(array.strides, 0), ir.IntType(64)(size))
            return place(whole, builder.trunc(step, whole))

        x, w, result = arrays["x"], arrays["w"], arrays["out"]
        shared = builder.select(
            builder.icmp_unsigned("!=", values["turns_x"], values["turns_x"].type(0)), length(x, 0), length(x, 1)
        )
        sizes = [place(whole, builder.trunc(each, whole)) for each in (length(result, 1), length(result, 0), shared)]
        adds_it = builder.icmp_unsigned("!=", values["adds"], values["adds"].type(0))
        one, share = place(real, real(1.0)), place(real, builder.select(adds_it, real(1.0), real(0.0)))
        pointers = [
            turned(values["turns_w"]), turned(values["turns_x"]), *sizes, one, w.data, stride(w), x.data, stride(x),
            share, result.data, stride(result),
        ]  # fmt: skip
        kind = ir.FunctionType(ir.VoidType(), [pointer.type for pointer in pointers])
        builder.call(builder.inttoptr(values["address"], kind.as_pointer()), pointers)
        return context.get_dummy_value()

    return types.void(address, x, turns_x, w, turns_w, out, adds), call


def _plain_multiply(address: int, x: Reals, turns_x: bool, w: Reals, turns_w: bool, out: Reals, adds: bool) -> None:
    """The same call through scipy, for plain Python."""
    function = blas.sgemm if out.dtype == np.float32 else blas.dgemm
    out[:] = function(1, w.T, x.T, adds, out.T, trans_a=turns_w, trans_b=turns_x).T


multiply: Any = _plain_multiply if _IS_PLAIN else _compiled_multiply
"""``multiply(address, x, turns_x, w, turns_w, out, adds)`` writes the product x·w to `out`, or adds it.

`x`, `w` and `out` have two axes; the rows of each lie in memory one after the other, with or without other numbers
between two of them. Where `turns_x` or `turns_w` is set the transposed matrix takes its place.
"""


def _view(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Return the array structure of a part of a flat array; the stride is that of the last argument."""
    source = context.make_array(signature.args[0])(context, builder, arguments[0])
    result, size = context.make_array(signature.return_type)(context, builder), source.itemsize
    # An address that is a number: LLVM vectorises no loop over two parts of what it knows to be one array.
    address = builder.add(builder.ptrtoint(source.data, size.type), builder.mul(arguments[1], size))
    context.populate_array(
        result,
        data=builder.inttoptr(address, source.data.type),
        shape=cgutils.pack_array(builder, arguments[2:4]),
        strides=cgutils.pack_array(builder, [builder.mul(arguments[-1], size), size]),
        itemsize=size,
        meminfo=None,
    )
    return result._getvalue()


@intrinsic
def _compiled_matrix(_: Any, flat: Any, offset: Any, rows: Any, columns: Any) -> tuple[Any, Any]:
    return types.Array(flat.dtype, 2, "C")(flat, *[types.int64] * 3), _view


@intrinsic
def _compiled_columns(_: Any, flat: Any, offset: Any, rows: Any, columns: Any, stride: Any) -> tuple[Any, Any]:
    return types.Array(flat.dtype, 2, "A")(flat, *[types.int64] * 4), _view


def _plain_columns(flat: Reals, offset: int, rows: int, columns: int, stride: int) -> Reals:
    return np.lib.stride_tricks.as_strided(flat[offset:], (rows, columns), (stride * flat.itemsize, flat.itemsize))


def _plain_matrix(flat: Reals, offset: int, rows: int, columns: int) -> Reals:
    return flat[offset : offset + rows * columns].reshape(rows, columns)


columns: Any = _plain_columns if _IS_PLAIN else _compiled_columns
"""``columns(flat, offset, rows, columns, stride)`` returns a part of a flat array as columns of a matrix: a view.

The rows of the whole matrix have `stride` numbers.
"""
matrix: Any = _plain_matrix if _IS_PLAIN else _compiled_matrix
"""``matrix(flat, offset, rows, columns)`` returns a part of a flat array as a matrix: a view."""
