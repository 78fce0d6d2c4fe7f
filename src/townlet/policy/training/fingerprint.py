"""The fingerprint of a process: versions and machine, what the bits of a run may depend on."""

import os
import platform
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType

from townlet.policy.model.blas import kernel_name
from townlet.processors import usable_processors

__all__ = ["changes", "fingerprint", "unrecorded"]

_LIBRARIES = ("townlet", "numpy", "scipy", "numba", "torch", "transitions", "attrs", "cattrs", "safetensors")
_SETS = ("cpu_features",)
"""Names whose values are sets of words."""


@cache
def fingerprint() -> Mapping[str, str]:
    """Return versions and machine: what exactness of bits may depend on.

    `cpu_features` are the vector instructions that numpy uses here, without those that NPY_DISABLE_CPU_FEATURES turns
    off; `blas` is the kernel that OpenBLAS chose for this processor or took from OPENBLAS_CORETYPE; `torch_cpu` is the
    instruction set that ATEN_CPU_CAPABILITY asks torch for; `threads` what OMP_NUM_THREADS asks for, since sums that
    are divided over other numbers of threads are rounded otherwise.
    """
    features: Mapping[str, bool] = import_module("numpy._core._multiarray_umath").__cpu_features__
    versions = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "processors": str(usable_processors()),
        "cpu_features": " ".join(sorted(name for name, enabled in features.items() if enabled)),
        "blas": kernel_name(),
        "torch_cpu": os.environ.get("ATEN_CPU_CAPABILITY", "default"),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
    }
    for library in _LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            versions[library] = "not installed"
    return MappingProxyType(versions)


def changes(before: Mapping[str, str]) -> dict[str, str]:
    """Return what differs from an earlier fingerprint, as ``old → new`` by name; of sets, what went and what came.

    A name that only one of the two has is not compared: what was not recorded is unknown, not changed.
    """
    now = fingerprint()
    return {
        name: _change(name, before[name], now[name])
        for name in sorted(before.keys() & now.keys())
        if before[name] != now[name]
    }


def unrecorded(before: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names that an earlier fingerprint, of an earlier Townlet, lacks."""
    return tuple(sorted(fingerprint().keys() - before.keys()))


def _change(name: str, old: str, new: str) -> str:
    if name in _SETS:
        before, now = set(old.split()), set(new.split())
        old, new = (" ".join(sorted(part)) or "nothing" for part in (before - now, now - before))
    return f"{old} → {new}"
