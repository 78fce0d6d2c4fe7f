"""Compile kernels with numba: one set of options, and a cache keyed by the digest of the sources."""

import os
import tempfile
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np

__all__ = ["cache_folder", "compiled", "entry", "f32", "i64", "is_cold", "u64"]

F = TypeVar("F", bound=Callable[..., object])

f32 = cast("Callable[[float], float]", np.float32)
"""Makes a single: a bare literal would be computed in double by the compiler and in single by Python."""
i64 = cast("Callable[[int], int]", np.int64)
"""Makes a signed 64-bit number."""
u64 = cast("Callable[[int], int]", np.uint64)
"""Makes an unsigned 64-bit number: mixed with a signed one the compiler would answer with a float."""


@cache
def cache_folder() -> Path:
    """Return where compiled kernels are kept: one folder per digest of the sources they are compiled from.

    The compiler's own check looks only at the file of the outermost kernel, so a change in a rule would go unseen.
    """
    digest = sha256(numba.__version__.encode())
    package = Path(__file__).parent
    kernels = sorted((package / "world").glob("*.py"))
    for source in (package / "dto" / "town_rules.py", Path(__file__), *kernels):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    name = f"kernels-{digest.hexdigest()[:16]}"
    home = os.environ.get("XDG_CACHE_HOME")
    for root in (Path(home) if home else Path("~").expanduser() / ".cache", Path(tempfile.gettempdir())):
        folder = root / "townlet" / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:  # a read-only home: the next place
            continue
        if os.access(folder, os.W_OK):
            return folder
    return Path(tempfile.mkdtemp(prefix="townlet-"))


def is_cold() -> bool:
    """Tell whether the kernels must be compiled first (some twenty seconds, once for each version)."""
    return not any(cache_folder().rglob("*.nbc"))


def _compile(function: F, *, entry: bool) -> F:
    settings: Any = numba.config
    njit: Any = numba.njit  # its stubs do not know all that it takes
    before = settings.CACHE_DIR
    settings.CACHE_DIR = str(cache_folder())
    try:
        options: dict[str, object] = {"cache": True, "nogil": True, "fastmath": False, "error_model": "numpy"}
        options |= {"_nrt": False, "no_cpython_wrapper": not entry, "no_cfunc_wrapper": True, "forceinline": not entry}
        return cast("F", njit(**options)(function))
    finally:
        settings.CACHE_DIR = before


def compiled(function: F) -> F:
    """Compile a kernel that other kernels call: cached, without the interpreter's lock, strict floating point.

    The reference counter is off: kernels allocate nothing (one that did would not compile), and counting every view of
    the shared buffer made the town five times slower. Kernels are inlined into the entry: a call would push the eight
    arrays of a town onto the stack. Python cannot call what comes back, save with NUMBA_DISABLE_JIT=1
    or through an `entry`: the door that it needs would take a fifth of the time of compilation.

    With NUMBA_DISABLE_JIT=1 the plain function comes back, which computes the same bits.
    """
    return _compile(function, entry=False)


def entry(function: F) -> F:
    """Compile a kernel that Python calls, otherwise like `compiled`."""
    return _compile(function, entry=True)
