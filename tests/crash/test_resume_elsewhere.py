"""`townlet resume` says on stderr that a run goes on with other bits, as on another processor."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from townlet.policy.model.blas import kernel_name

SCHEDULE = """\
schedule: townlet/v1
name: twice
seed: 3
environment: {id: town, scenario: queue_conflict, worlds: 1}
teacher: scripted
registry: {name: twice}
initial: first
states:
  first: {strategy: capture, with: {episodes: 1, days: 1}, next: [{to: second}]}
  second: {strategy: capture, with: {episodes: 1, days: 1}, next: [{to: done}]}
"""
BEGIN = """\
import os
from pathlib import Path
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
def die(entry):
    if entry.record.kind == "transition":
        os._exit(9)
PolicyTrainingOrchestrator(Path("twice.yaml"), home=Path("home"), listen=die).run()
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory with a home whose run died between two states."""
    (tmp_path / "twice.yaml").write_text(SCHEDULE, encoding="utf-8")
    assert 9 == subprocess.run([sys.executable, "-c", BEGIN], cwd=tmp_path, check=False).returncode
    return tmp_path


def resumed(place: Path, **environment: str) -> str:
    """Return what `townlet resume` writes to stderr, on one line."""
    process = subprocess.run(
        [sys.executable, "-m", "townlet", "resume", "latest", "--home", "home"],
        cwd=place,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == process.returncode, process.stderr
    return " ".join(process.stderr.split())


def test_another_matrix_kernel_is_told_when_a_run_is_resumed(place: Path) -> None:
    """The warning names what differs; a real process with another OpenBLAS kernel."""
    here = kernel_name()
    if here == "unknown" or platform.machine() != "x86_64":
        pytest.skip("numpy computes matrix products with another BLAS here")
    other = "Nehalem" if here == "Haswell" else "Haswell"
    told = resumed(place, OPENBLAS_CORETYPE=other)
    assert "warning: exactness is broken from here on, the process differs from the run's first: " in told
    assert f"blas {here} → {other}" in told


def test_on_the_same_machine_nothing_is_told_of_exactness(place: Path) -> None:
    """A resume that changes no bits is no news."""
    assert "exact" not in resumed(place)
