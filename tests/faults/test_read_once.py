"""Every input is read once: what is checked, hashed, used and stored are the same bytes."""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from threading import Thread

import pytest
from corridor import CorridorProvider
from corridor_schedules import WEIGHTS_FILE, write
from ridge_weights import ridge

from townlet.cli import run_command
from townlet.errors import BadInputError
from townlet.policy.training import launch
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.store.files import read_stream
from townlet.store.rundir import RunDirectory

PLAYS = b"""\
schedule: townlet/v1
name: plays
seed: 3
environment: {id: town, scenario: queue_conflict, worlds: 8}
teacher: scripted
registry: {name: plays}
guards: {many: {metric: capture.return_per_agent_day, at_least: 100}}
initial: capture
states:
  capture:
    strategy: capture
    with: {episodes: 4, days: 1}
    next: [{to: done, when: [many]}, {to: hold, why: too few}]
"""


def feed(pipe: Path, data: bytes) -> Thread:
    """Write into a pipe from a thread, once; a reader that has enough breaks it."""

    def write_all() -> None:
        with suppress(BrokenPipeError):
            pipe.write_bytes(data)

    thread = Thread(target=write_all, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("how", ["a process substitution", "standard input", "a named pipe"])
def test_a_schedule_from_a_pipe_is_stored_as_it_was_walked_and_can_be_resumed(how: str, tmp_path: Path) -> None:
    """The journal's digest, the run's copy and the blob are the text; verify is clean, retry and resume go on."""
    townlet = shutil.which("townlet", path=str(Path(sys.executable).parent)) or "townlet"
    (tmp_path / "plays.yaml").write_bytes(PLAYS)
    command = {
        "a process substitution": f"'{townlet}' run <(cat plays.yaml) --home home",
        "standard input": f"cat plays.yaml | '{townlet}' run /dev/stdin --home home",
        "a named pipe": f"mkfifo pipe; cat plays.yaml > pipe & '{townlet}' run pipe --home home",
    }[how]
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert 3 == done.returncode, done.stderr

    home = tmp_path / "home"
    assert PLAYS == RunDirectory.find(home, "latest").schedule.read_bytes()
    words = ["--home", str(home)]
    assert 0 == run_command(["audit", "verify", "latest", *words])
    assert 0 == run_command(["retry", "latest", *words])
    assert 3 == run_command(["resume", "latest", *words])


def test_a_schedule_that_changes_after_it_was_read_runs_as_it_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editor saves between check and run: the run is one text in all its places."""
    path = tmp_path / "plays.yaml"
    path.write_bytes(PLAYS)
    read = launch.read_schedule

    def read_and_change(file: Path) -> bytes:
        text = read(file)
        file.write_bytes(PLAYS.replace(b"seed: 3", b"seed: 4"))
        return text

    monkeypatch.setattr(launch, "read_schedule", read_and_change)
    summary = PolicyTrainingOrchestrator(path, home=tmp_path / "home").run()
    assert "hold" == summary.state
    assert PLAYS == RunDirectory.find(tmp_path / "home", "latest").schedule.read_bytes()


@pytest.mark.parametrize("command", ["run", "check", "graph"])
def test_a_pipe_that_nobody_writes_into_is_refused_and_not_waited_for(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence and exit code 2."""
    monkeypatch.setattr("townlet.store.files._PIPE_SECONDS", 0.2)
    os.mkfifo(tmp_path / "pipe")
    assert 2 == run_command([command, str(tmp_path / "pipe")])
    assert "no process writes into this pipe" in capsys.readouterr().err


def test_a_pipe_is_read_to_its_end_and_no_further_than_the_limit(tmp_path: Path) -> None:
    """Slow writers are waited for; more than the limit is not kept."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    feed(pipe, b"x" * 200_000)
    assert b"x" * 200_000 == read_stream(pipe, 2**20)
    feed(pipe, b"x" * 200_000)
    assert 1000 == len(read_stream(pipe, 1000))
    with pytest.raises(BadInputError, match="a directory, a device or a socket"):
        read_stream(Path("/dev/zero"), 10)


def test_weights_that_change_after_the_check_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the schedule's digest names is what is stored: other bytes are not."""
    data, file = ridge("straight"), tmp_path / "given.safetensors"
    file.write_bytes(data)
    path = write(tmp_path, WEIGHTS_FILE, scenario="plain", file=file.name, sha256=sha256(data).hexdigest())
    require = launch.require_means

    def exchange(*args: object) -> None:
        file.write_bytes(ridge("slow"))
        require(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(launch, "require_means", exchange)
    with pytest.raises(BadInputError, match="changed while the schedule was checked"):
        PolicyTrainingOrchestrator(path, environments=CorridorProvider(), home=tmp_path / "home").run()
    assert not (tmp_path / "home" / "runs").exists()
