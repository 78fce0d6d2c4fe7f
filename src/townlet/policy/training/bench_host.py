"""What a measurement ran on: processor, libraries and threads, and how fast one large matrix product is there."""

import os
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.dto.codec import Record
from townlet.policy.model.blas import one_thread
from townlet.policy.training.fingerprint import fingerprint

__all__ = ["BenchHost", "bench_host", "clocks", "peak_memory", "sgemm_speed"]

_CPU_INFO = Path("/proc/cpuinfo")
_L2_CACHE = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")
_VECTORS = (("AVX512F", "AVX-512"), ("AVX2", "AVX2"), ("SVE", "SVE"), ("ASIMD", "NEON"), ("VSX", "VSX"))
"""What numpy calls the widest vector instructions of a processor, and what its makers call them."""
_SGEMM_SIZE = 1536


@frozen(kw_only=True)
class BenchHost(Record):
    """The machine and the libraries of a measurement."""

    processor: str
    """Model, family and number as the system names them."""
    processors: int
    """Processors that this process may use."""
    vectors: str
    """The widest vector instructions that numpy uses."""
    l2_cache: str
    """Size of the second-level cache of one core, such as ``512K``; ``unknown`` where the system does not say."""
    blas: str
    """Library of numpy's matrix products, its version and the kernel that it chose."""
    threads: str
    """What OMP_NUM_THREADS asks for; ``default`` where it is not set."""
    versions: str
    """Versions of Python, Townlet, numpy, numba and torch."""

    def __str__(self) -> str:
        """Return all of it as one sentence."""
        return (
            f"{self.processor}, {self.processors} processors, {self.vectors}, L2 cache {self.l2_cache} a core; "
            f"{self.blas}; OMP_NUM_THREADS {self.threads}; {self.versions}"
        )


def bench_host() -> BenchHost:
    """Return what this process runs on."""
    facts = fingerprint()
    features = facts["cpu_features"].split()
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    libraries = ("townlet", "numpy", "numba", "torch")
    return BenchHost(
        processor=_processor(),
        processors=int(facts["processors"]),
        vectors=next((word for name, word in _VECTORS if name in features), "none that is known"),
        l2_cache=_L2_CACHE.read_text(encoding="ascii").strip() if _L2_CACHE.is_file() else "unknown",
        blas=f"{blas['name']} {blas['version']}, kernel {facts['blas']}",
        threads=facts["threads"],
        versions=", ".join(f"{name} {facts[name]}" for name in ("python", *libraries)),
    )


def _processor() -> str:
    """Return the processor's model, with its family and number where Linux gives them."""
    if not _CPU_INFO.is_file():
        return platform.processor() or platform.machine()
    first = _CPU_INFO.read_text(encoding="utf-8", errors="replace").split("\n\n", maxsplit=1)[0]
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    name = facts.get("model name", platform.machine())
    return f"{name} (family {facts['cpu family']}, model {facts['model']})" if "cpu family" in facts else name


def clocks() -> NDArray[np.float64]:
    """Return the moment [2] by the clock and by the processor time of this process, all threads together, in seconds.

    Other programs move the first, and hardly the second.
    """
    return np.array((perf_counter(), process_time()))


def sgemm_speed(threads: int = 1) -> NDArray[np.float64]:
    """Return GFLOP [2] per second of each clock, of one product of float32 matrices [1536, 1536] on each thread."""
    source = np.random.default_rng(0)
    left, right = (source.standard_normal((_SGEMM_SIZE, _SGEMM_SIZE), np.float32) for _ in range(2))
    outputs = [np.empty_like(left) for _ in range(threads)]
    with one_thread(), ThreadPoolExecutor(threads) as pool:
        began = clocks()
        list(pool.map(lambda output: np.matmul(left, right, out=output), outputs))
        return 2e-9 * threads * _SGEMM_SIZE**3 / (clocks() - began)


def peak_memory() -> int | None:
    """Return the most bytes that this process held so far, and each of its children on Linux; None on Windows."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else (peak + _children_memory()) * 1024


def _children_memory() -> int:
    """Return the most KiB that the running children held so far; pages that they share count for each."""
    total = 0
    for file in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):  # that process has ended
            lines = (line.partition(":") for line in file.read_text(encoding="utf-8").splitlines())
            facts = {key: value.split() for key, _, value in lines}
            if facts["PPid"] == [str(os.getpid())] and "VmHWM" in facts:  # one that has ended holds none
                total += int(facts["VmHWM"][0])
    return total
