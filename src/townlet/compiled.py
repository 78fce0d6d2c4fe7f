"""Compile kernels with numba: one set of options, and a cache keyed by the digest of the sources."""

import logging
import sys
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

try:
    import numba
except Exception as error:  # what numba raises for an unfit NUMBA_… variable is of many kinds
    raise ImportError(f"numba cannot be imported: {error}; look at the variables NUMBA_… of the environment") from error

from townlet.kernel_cache import CheckedCache, folder_for
from townlet.kernel_compiler import EntryCompiler, InlinedCompiler

__all__ = ["announce_compilation", "cache_folder", "entry_kernel", "f32", "i64", "is_cold", "kernel", "u64"]

_LOG = logging.getLogger("townlet.kernels")

F = TypeVar("F", bound=Callable[..., object])

f32 = cast("Callable[[float], float]", np.float32)
"""float32. A bare literal would be float64 in numba and float32 in Python."""
i64 = cast("Callable[[int], int]", np.int64)
"""int64."""
u64 = cast("Callable[[int], int]", np.uint64)
"""uint64. Mixed with int64, numba would return a float."""


_NAMED = (
    "dto/town_rules.py",
    "compiled.py",
    "kernel_arguments.py",
    "kernel_compiler.py",
    "policy/distributions/backward.py",
    "policy/distributions/exponential.py",
    "policy/model/products.py",
    "policy/gradient/kernel.py",
    "policy/gradient/layout.py",
    "policy/gradient/loss_kernels.py",
    "policy/gradient/trunks.py",
)
"""Sources of kernels beside those of the town."""


@cache
def cache_folder() -> Path | None:
    """Return the folder of the compiled kernels, one per digest of their sources; None where none can be kept.

    numba itself checks only the file of the entry kernel and would miss a change in the others. Python and the
    libraries count as sources: installations share the folder.
    """
    digest = sha256(f"Python {sys.version_info[:2]} numba {numba.__version__} numpy {np.__version__}".encode())
    package = Path(__file__).parent
    sources = (*(package / name for name in _NAMED), *sorted((package / "world").glob("*.py")))
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return folder_for(digest.hexdigest()[:16])


@cache
def is_cold() -> bool:
    """Tell whether the kernels must be compiled first (a quarter of a minute, once for each version of the sources)."""
    folder = cache_folder()
    return folder is None or not any(folder.rglob("*.nbc"))


@cache
def announce_compilation() -> None:
    """Say once, before the first step of a town, that its kernels have to be compiled."""
    if is_cold():
        _LOG.warning("the town's kernels are compiled, once for this version: about a quarter of a minute")


_OPTIONS = {"nogil": True, "fastmath": False, "error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}


def kernel(function: F) -> F:
    """Compile a kernel that only kernels call: without the interpreter's lock, strict floating point.

    Reference counting is off: kernels allocate nothing (a kernel that did would not compile), and counting every view
    of the shared buffer made the town five times slower. Kernels are inlined into the entry kernel: a call would push
    the eight arrays of a town onto the stack. Python calls a kernel through an `entry_kernel` only, or with
    NUMBA_DISABLE_JIT=1, which returns the plain function; it computes the same bits.
    """
    njit: Any = numba.njit  # its stubs lack some options
    return cast(
        "F", njit(**_OPTIONS, no_cpython_wrapper=True, forceinline=True, pipeline_class=InlinedCompiler)(function)
    )


def entry_kernel(function: F) -> F:
    """Compile a kernel that Python calls, with all kernels that it reaches, and keep it in the cache."""
    njit: Any = numba.njit
    compiled = njit(**_OPTIONS, pipeline_class=EntryCompiler)(function)
    folder = None if compiled is function else cache_folder()  # with NUMBA_DISABLE_JIT=1 it is
    if folder is not None:
        settings: Any = numba.config
        before = settings.CACHE_DIR
        settings.CACHE_DIR = str(folder)
        try:
            compiled._cache = CheckedCache(function)
        finally:
            settings.CACHE_DIR = before
    if compiled is function:  # whole numbers of kernels wrap around on purpose, of which numpy would warn
        return np.errstate(over="ignore")(function)
    return cast("F", compiled)
