"""What the caller's process has set changes no run: the same weights, and the settings are there again afterwards."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from corridor_runs import run_corridor

from townlet.dto.policy import AnnealSummary

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


@contextmanager
def _settings(name: str) -> Iterator[None]:
    """Set what users of torch and numpy set around their own work."""
    with ExitStack() as stack:
        match name:
            case "no gradients":
                stack.enter_context(torch.no_grad())
            case "inference mode":
                stack.enter_context(torch.inference_mode())
            case "autocast":
                stack.enter_context(torch.autocast("cpu", dtype=torch.bfloat16))
            case "double precision":
                stack.callback(torch.set_default_dtype, torch.get_default_dtype())
                torch.set_default_dtype(torch.float64)
            case "meta device":
                stack.enter_context(torch.device("meta"))
            case "numpy raises":
                stack.enter_context(np.errstate(all="raise"))
        yield


def _semantic(summary: AnnealSummary) -> str:
    return summary.semantic_hash


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The end and the semantic hash of a run in a process without settings."""
    summary = run_corridor(tmp_path_factory.mktemp("plain"))
    return summary.state, _semantic(summary)


@pytest.mark.parametrize(
    "name", ["no gradients", "inference mode", "autocast", "double precision", "meta device", "numpy raises"]
)
def test_settings_of_the_process_change_no_run(name: str, plain: tuple[str, str], tmp_path: Path) -> None:
    """Each ended a run as failed, or could change its numbers."""
    with _settings(name):
        before = _state()
        summary = run_corridor(tmp_path)
        assert before == _state()
    assert plain == (summary.state, _semantic(summary))


def _state() -> tuple[object, ...]:
    return (
        torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu"),
        torch.get_default_dtype(), torch.get_default_device(), np.geterr(),
    )  # fmt: skip


FORK = """
import os, sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from corridor_runs import run_corridor

folder = Path(sys.argv[1])
print((Path(run_corridor(folder / "parent").path) / "head.json").read_text().split("semantic")[1], flush=True)
child = os.fork()
if child == 0:
    print((Path(run_corridor(folder / "child").path) / "head.json").read_text().split("semantic")[1], flush=True)
    os._exit(0)
assert (child, 0) == os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_trains_after_its_parent_has_trained(tmp_path: Path) -> None:
    """Thread pools of the parent do not exist in the child; it trains the same weights."""
    command = [sys.executable, "-c", FORK, str(tmp_path), *sys.path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    first, second = done.stdout.split()
    assert first == second
