"""Compile kernels with numba: one set of options, and a cache keyed by the digest of the sources."""

import os
import stat
import tempfile
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np

__all__ = ["cache_folder", "entry_kernel", "f32", "i64", "is_cold", "kernel", "u64"]

F = TypeVar("F", bound=Callable[..., object])

f32 = cast("Callable[[float], float]", np.float32)
"""float32. A bare literal would be float64 in numba and float32 in Python."""
i64 = cast("Callable[[int], int]", np.int64)
"""int64."""
u64 = cast("Callable[[int], int]", np.uint64)
"""uint64. Mixed with int64, numba would return a float."""


@cache
def cache_folder() -> Path:
    """Return the folder of the compiled kernels: one per digest of their sources.

    numba itself checks only the file of the entry kernel and would miss a change in the others.
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
            folder.parent.mkdir(0o700, parents=True, exist_ok=True)
            folder.mkdir(0o700, exist_ok=True)
            if _is_own(folder.parent) and _is_own(folder) and os.access(folder, os.W_OK):
                return folder
        except OSError:  # a read-only home: the next place
            continue
    return Path(tempfile.mkdtemp(prefix="townlet-"))


def _is_own(folder: Path) -> bool:
    """Tell whether only this user may write in a folder, after taking that right from others where it is the user's.

    The compiled kernels are code: whoever may write them may run anything in this process.
    """
    status = folder.lstat()
    if status.st_uid != os.geteuid() or not stat.S_ISDIR(status.st_mode):
        return False
    if status.st_mode & 0o022:
        folder.chmod(0o700)
    return True


def is_cold() -> bool:
    """Tell whether the kernels must be compiled first (some twenty seconds, once for each version)."""
    return not any(cache_folder().rglob("*.nbc"))


def _compile(function: F, *, entry: bool) -> F:
    settings: Any = numba.config
    njit: Any = numba.njit  # its stubs lack some options
    before = settings.CACHE_DIR
    settings.CACHE_DIR = str(cache_folder())
    try:
        options: dict[str, object] = {"cache": True, "nogil": True, "fastmath": False, "error_model": "numpy"}
        options |= {
            "_nrt": False,
            "no_cpython_wrapper": not entry,
            "no_cfunc_wrapper": True,
            "forceinline": not entry,
        }
        return cast("F", njit(**options)(function))
    finally:
        settings.CACHE_DIR = before


def kernel(function: F) -> F:
    """Compile a kernel that only kernels call: cached, without the interpreter's lock, strict floating point.

    Reference counting is off: kernels allocate nothing (a kernel that did would not compile), and counting every view
    of the shared buffer made the town five times slower. Kernels are inlined into the entry kernel: a call would push
    the eight arrays of a town onto the stack. Python calls a kernel through an `entry_kernel` only (a wrapper for each
    would take a fifth of the compile time), or with NUMBA_DISABLE_JIT=1, which returns the plain function; it computes
    the same bits.
    """
    return _compile(function, entry=False)


def entry_kernel(function: F) -> F:
    """Compile a kernel that Python calls, otherwise like `kernel`."""
    return _compile(function, entry=True)
