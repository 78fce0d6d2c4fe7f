"""Kernels are compiled once, as parts of the entry kernel that calls them."""

import gc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from townlet import compiled
from townlet.compiled import entry_kernel, f32, kernel

numba = pytest.importorskip("numba")
pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled with NUMBA_DISABLE_JIT=1")


@kernel
def _third(value: float) -> float:
    return value / f32(3)


@kernel
def _thirds(values: NDArray[np.float32], i: int) -> float:
    return _third(values[i]) + _third(values[i])


@kernel
def _unfit(values: NDArray[np.float32]) -> None:
    values.no_such_word()


@pytest.fixture(autouse=True)
def _cold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what is compiled in a folder of the test's own, so that nothing comes from the user's cache."""
    monkeypatch.setattr(compiled, "cache_folder", lambda: tmp_path)


@pytest.fixture
def collecting() -> Iterator[None]:
    """Leave Python's garbage collector as it was."""
    enabled = gc.isenabled()
    yield
    (gc.enable if enabled else gc.disable)()


def test_a_kernel_below_a_kernel_computes_what_python_computes() -> None:
    """Two levels of calls become one function, with the bits of float32."""

    @entry_kernel
    def add(values: NDArray[np.float32]) -> None:
        for i in range(len(values)):
            values[i] = _thirds(values, i)

    values = np.arange(7, dtype=np.float32)
    expected = values / np.float32(3) + values / np.float32(3)
    add(values)
    assert expected.tobytes() == values.tobytes()


def test_only_entry_kernels_become_machine_code_and_files() -> None:
    """What was compiled for a kernel that only kernels call cannot be called, and has no cache."""

    @entry_kernel
    def first(values: NDArray[np.float32]) -> float:
        return _thirds(values, 0)

    first(np.ones(1, np.float32))
    (entry,), (inlined,) = first.overloads.values(), _third.overloads.values()
    assert entry.library.get_pointer_to_function(entry.fndesc.llvm_cpython_wrapper_name)
    assert 0 == inlined.library.get_pointer_to_function(inlined.fndesc.llvm_func_name)
    assert "CheckedCache" == type(first._cache).__name__
    assert "NullCache" == type(_third._cache).__name__


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_left_as_it_was(enabled: bool, collecting: None) -> None:
    """Also after a function that cannot be compiled."""
    (gc.enable if enabled else gc.disable)()

    @entry_kernel
    def fits(values: NDArray[np.float32]) -> None:
        values[0] = _third(values[0])

    @entry_kernel
    def fails(values: NDArray[np.float32]) -> None:
        _unfit(values)

    fits(np.ones(1, np.float32))
    assert enabled == gc.isenabled()
    with pytest.raises(numba.core.errors.TypingError, match="no_such_word"):
        fails(np.ones(1, np.float32))
    assert enabled == gc.isenabled()
