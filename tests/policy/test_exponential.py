"""The exponential of the kernels is exact to a rounding, at every end of its range, and the same in plain Python."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from townlet.compiled import entry_kernel
from townlet.policy.distributions.exponential import exponential, exponential_constants

KINDS = [np.float32, np.float64]


@entry_kernel
def _exponentials(x: NDArray[np.floating], y: NDArray[np.floating], constants: tuple[np.floating, ...]) -> None:
    for i in range(len(x)):
        y[i] = exponential(x[i], constants)


def exponentials(x: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return exp(x) by the kernel."""
    y = np.empty_like(x)
    _exponentials(x, y, exponential_constants(x.dtype.type))
    return y


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_exact_to_a_rounding(kind: type) -> None:
    """Within one unit of the last place, wherever the result is a normal number."""
    most = -np.log(np.finfo(kind).tiny)
    x = np.concatenate([np.linspace(-most, most, 20_001), np.linspace(-1, 1, 20_001)]).astype(kind)[1:-1]
    exact = np.exp(x.astype(np.longdouble))
    assert np.abs((exponentials(x) - exact) / exact).max() <= np.finfo(kind).eps


@pytest.mark.parametrize("kind", KINDS)
def test_its_ends_are_zero_infinity_and_nan(kind: type) -> None:
    """Illegal options have −10⁹; what is not a number stays so."""
    x = np.array([-1e9, -np.inf, 0, 1e9, np.inf, np.nan], kind)
    assert [0, 0, 1, np.inf, np.inf] == exponentials(x)[:-1].tolist()
    assert np.isnan(exponentials(x)[-1])


def test_plain_python_computes_the_same_bits() -> None:
    """Without numba's compiler."""
    run = "import numpy, sys, test_exponential as t; sys.stdout.write(t.exponentials(t.sample()).tobytes().hex())"
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": paths}
    process = subprocess.run([sys.executable, "-c", run], env=environment, capture_output=True, text=True, check=True)
    assert exponentials(sample()).tobytes().hex() == process.stdout


def sample() -> NDArray[np.float32]:
    """Return some numbers of single precision."""
    return np.random.default_rng(0).normal(0, 20, 500).astype(np.float32)
