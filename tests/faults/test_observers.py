"""What only shows, counts or writes beside the journal ends no run: one warning says how often it failed."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corridor import CorridorProvider, Keeping
from homes import Town
from numpy.typing import NDArray

from townlet.dto.boundary import StepResult
from townlet.dto.journal import Entry, ProcessStarted, VisitStarted
from townlet.policy.training.telemetry import Telemetry
from townlet.store.rundir import RunDirectory

HERE = Path(__file__).parent


class KilledError(BaseException):
    """The process is gone."""


class Failing:
    """Counts its calls and raises at each."""

    def __init__(self, error: Exception) -> None:
        self.error, self.calls = error, 0

    def __call__(self, _: Any) -> None:
        """Raise."""
        self.calls += 1
        raise self.error


@pytest.mark.parametrize("error", [ValueError("of no use\nsecond line"), OSError(28, "No space left"), MemoryError()])
def test_listeners_that_raise_change_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """The run ends as without them; each is told once, with its first error and the number of errors."""
    undisturbed = Town(tmp_path / "undisturbed" / "home")
    undisturbed.home.parent.mkdir()
    expected = undisturbed.walk("straight")
    walker, journal, metrics = Town(tmp_path / "home").facade("straight"), Failing(error), Failing(error)
    walker.listen, walker.watch = journal, metrics

    summary = walker.run()

    assert (expected.state, expected.semantic_hash) == (summary.state, summary.semantic_hash)
    assert "done" == summary.state
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    reason = f"{type(error).__name__}: {str(error).splitlines()[0]}" if str(error) else type(error).__name__
    assert [
        f"a listener to the journal failed {journal.calls} times ({reason}); the run is not affected",
        f"a listener to the metrics failed {metrics.calls} times ({reason}); the run is not affected",
    ] == told


def test_a_metric_stream_that_cannot_be_written_ends_no_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A directory stands where the file should be, which nobody can write, not even root."""
    town = Town(tmp_path / "home")
    walker = town.facade("straight")

    def obstruct(entry: Entry) -> None:
        if isinstance(entry.record, ProcessStarted):
            RunDirectory.find(town.home, "latest").metrics.mkdir()

    walker.listen = obstruct
    summary = walker.run()

    assert ("done", True) == (summary.state, summary.champion_moved)
    (told,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told.startswith(f"writing {RunDirectory.at(Path(summary.path)).metrics} failed ")
    assert told.endswith("the run is not affected")


def test_the_command_line_warns_once(tmp_path: Path) -> None:
    """A run that was interrupted is resumed by a process of its own, with a directory where its stream should be."""
    town = Town(tmp_path / "home")
    walker = town.facade("straight")

    def die(entry: Entry) -> None:
        if isinstance(entry.record, VisitStarted):
            raise KilledError

    walker.listen = die
    with pytest.raises(KilledError):
        walker.run()
    run = RunDirectory.find(town.home, "latest")
    run.metrics.mkdir()
    done = subprocess.run(
        [sys.executable, HERE / "corridor_door.py", "resume", run.path, "--home", town.home],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent / "policy")]), "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    (warning,) = [line for line in done.stderr.splitlines() if "metrics.jsonl" in line]
    assert warning.startswith(f"warning: writing {run.metrics} failed ")
    assert warning.endswith("; the run is not affected")


@pytest.mark.parametrize(
    "damage", [b"\n", b"{}\n", b"\xff\xfe\n", b"[1]\n", b'{"state": "ppo"', b"null\n", b"[" * 200_000 + b"\n"]
)
def test_a_metric_stream_that_cannot_be_read_is_rewound_all_the_same(tmp_path: Path, damage: bytes) -> None:
    """Lines that nobody can read are dropped; the others stay."""
    stream = Telemetry(path=tmp_path / "metrics.jsonl")
    other, own = stream.for_visit("bc", 1), stream.for_visit("ppo", 1)
    other.emit(1, {"loss": 0.5})
    own.emit(1, {"loss": 0.4})
    own.emit(2, {"loss": 0.3})
    kept = (tmp_path / "metrics.jsonl").read_bytes().splitlines(keepends=True)[:2]
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(damage)

    own.rewind(1)

    assert b"".join(kept) == (tmp_path / "metrics.jsonl").read_bytes()
    assert {} == stream.failures.counts


def test_a_failure_is_journalled_though_its_stack_cannot_be_written(tmp_path: Path) -> None:
    """A directory stands where the stack should be; the reason is in the journal."""

    class Wrong(Keeping):
        """Raises when world 8 is played."""

        def step(self, actions: NDArray[np.int64]) -> StepResult:
            """Raise."""
            if 8 in self.world_ids:
                raise ValueError("the corridor caved in")
            return super().step(actions)

    town = Town(tmp_path / "home")
    walker = town.facade("straight")
    walker.environments = CorridorProvider(Wrong)

    def obstruct(entry: Entry) -> None:
        if isinstance(entry.record, ProcessStarted):
            RunDirectory.find(town.home, "latest").traceback.mkdir()

    walker.listen = obstruct
    summary = walker.run()

    assert ("failed", "evaluate: ValueError: the corridor caved in") == (summary.state, summary.reason)
