"""`townlet replicate`: one schedule under several seeds, once each, whoever asks for them and however often."""

import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from plays import PLAYS
from townlet.cli import run_command
from townlet.imports import Imports
from townlet.machine.audit.snapshot import load_run
from townlet.policy.training.replicates import Replicates
from townlet.policy.training.strategies.base import catalogue
from townlet.store.blobs import BlobStore
from townlet.store.rundir import RunDirectory

LONG = PLAYS.replace("episodes: 2, days: 1", "episodes: 80, days: 10")
# A shell starts its background jobs deaf to SIGINT, and the tests may be one of them.
DOOR = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from townlet.cli import main; main()"


@pytest.fixture
def schedule(tmp_path: Path) -> Path:
    """Return a schedule that only captures, with the registry of its home."""
    path = tmp_path / "plays.yaml"
    path.write_text(PLAYS, encoding="utf-8")
    return path


def start(*words: str) -> subprocess.Popen[str]:
    """Start `townlet` in a process of its own."""
    command = [sys.executable, "-c", DOOR, *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def runs_of(home: Path) -> dict[int, RunDirectory]:
    """Return the runs of a home by their seeds; a seed that ran twice fails the test."""
    runs = {}
    for path in (home / "runs").glob("[0-9]*"):
        directory = RunDirectory.at(path)
        created = load_run(directory, BlobStore(home / "blobs"), catalogue()).state.created
        assert created is not None
        assert created.seed not in runs
        runs[created.seed] = directory
    return runs


def summary(capsys: pytest.CaptureFixture[str], code: int, *words: str) -> Any:
    """Run `townlet replicate … --json` here and return its document."""
    capsys.readouterr()
    assert code == run_command(["replicate", *words, "--json"])
    return json.loads(capsys.readouterr().out)


def test_each_seed_runs_once_beside_the_home_s_registry(
    schedule: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three runs with registries of their own; the same command again reads them and changes nothing."""
    home = tmp_path / "home"
    words = (str(schedule), "--seeds", "3", "--jobs", "2", "--home", str(home))
    first = summary(capsys, 0, *words)
    assert [(3, "done"), (4, "done"), (5, "done")] == [(each["seed"], each["state"]) for each in first["replicates"]]
    assert (3, 0) == (first["ended"], first["promoted"])
    assert first["sentences"][0].startswith("these weights: 3 runs ended")
    runs = runs_of(home)
    assert [3, 4, 5] == sorted(runs)
    for directory in runs.values():
        assert "run" == load_run(directory, BlobStore(home / "blobs"), catalogue()).schedule.registry.scope
    assert not (home / "registry.sqlite").exists()

    before = {path: path.read_bytes() for path in home.rglob("journal.jsonl")}
    assert first == summary(capsys, 0, *words)
    assert before == {path: path.read_bytes() for path in home.rglob("journal.jsonl")}


def test_more_seeds_later_keep_what_is_there(
    schedule: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A replication grows; a run of the same schedule with the home's registry is no part of it."""
    home = ("--home", str(tmp_path / "home"))
    assert 0 == run_command(["run", str(schedule), *home])
    few = summary(capsys, 0, str(schedule), "--seeds", "1", *home)
    more = summary(capsys, 0, str(schedule), "--seeds", "2", *home)
    assert few["replicates"] == more["replicates"][:1]
    assert 3 == len(list((tmp_path / "home" / "runs").glob("[0-9]*")))


def test_a_run_that_holds_is_told_and_stops_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every seed ends in hold, exit 3; typed again, no run is touched."""
    path, home = tmp_path / "holds.yaml", tmp_path / "home"
    path.write_text(PLAYS.replace("episodes, at_least: 2", "action_entropy, at_least: 1.6"), encoding="utf-8")
    words = (str(path), "--seeds", "2", "--home", str(home))
    told = summary(capsys, 3, *words)
    assert [("hold", "too few")] * 2 == [(each["state"], each["reason"]) for each in told["replicates"]]
    before = {path: path.read_bytes() for path in home.rglob("journal.jsonl")}
    assert told == summary(capsys, 3, *words)
    assert before == {path: path.read_bytes() for path in home.rglob("journal.jsonl")}


def test_a_seed_that_another_process_works_on_is_left_to_it(
    schedule: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its lock is held: it is told, the other seed runs; once it is free, the same command runs it."""
    home = tmp_path / "home"
    replicates = Replicates.of(schedule, 2, first=None, home=home, imports=Imports())
    words = (str(schedule), "--seeds", "2", "--home", str(home))
    replicates.lock(3).parent.mkdir(parents=True)
    lock = os.open(replicates.lock(3), os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    told = summary(capsys, 3, *words)
    assert ["not started", "done"] == [each["state"] for each in told["replicates"]]
    assert "another `townlet replicate` works on this seed" in told["replicates"][0]["reason"]
    os.close(lock)
    assert ["done", "done"] == [each["state"] for each in summary(capsys, 0, *words)["replicates"]]


def test_a_run_that_another_process_works_on_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A held run got a retry: while its lock is taken it is left alone, the other seed begins; then it is retried."""
    path, home = tmp_path / "holds.yaml", tmp_path / "home"
    path.write_text(PLAYS.replace("episodes, at_least: 2", "action_entropy, at_least: 1.6"), encoding="utf-8")
    words = (str(path), "--home", str(home))
    summary(capsys, 3, *words, "--seeds", "1")
    (directory,) = runs_of(home).values()
    assert 0 == run_command(["retry", directory.id, "--new", "--home", str(home)])
    before = directory.journal.read_bytes()
    with directory.lock():
        assert 3 == run_command(["replicate", *words, "--seeds", "2"])
    assert "the run is held by process" in capsys.readouterr().err
    assert before == directory.journal.read_bytes()
    assert {3, 4} == set(runs_of(home))
    summary(capsys, 3, *words, "--seeds", "2")
    assert len(before) < directory.journal.stat().st_size


def test_two_replications_at_once_run_no_seed_twice(schedule: Path, tmp_path: Path) -> None:
    """Both are asked for the same seeds at the same moment; `runs_of` fails where a seed ran twice."""
    words = ("replicate", str(schedule), "--seeds", "2", "--jobs", "2", "--home", str(tmp_path / "home"))
    both = [start(*words) for _ in range(2)]
    ends = [process.communicate(timeout=300) for process in both]
    assert {process.returncode for process in both} <= {0, 3}, ends
    assert {3, 4} == set(runs_of(tmp_path / "home"))


def test_a_signal_stops_every_run_at_its_safe_point(tmp_path: Path) -> None:
    """128 + its number, runs that were cut off and can go on, and a command that goes on when it is pasted."""
    path, home = tmp_path / "long.yaml", tmp_path / "home"
    path.write_text(LONG, encoding="utf-8")
    words = ["replicate", str(path), "--seeds", "3", "--jobs", "2", "--home", str(home)]
    cut_off: dict[int, RunDirectory] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        records = [directory.journal.read_bytes().count(b"\n") for directory in cut_off.values()] or [0, 0]
        process = start(*words)
        while not _have_grown(home, records) and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(number)
        _, said = process.communicate(timeout=300)
        assert 128 + number == process.returncode, said
        assert f"{number.name}: 0 of 3 runs ended; go on with: townlet replicate " in said
        cut_off = runs_of(home)
        assert 2 == len(cut_off)
        for directory in cut_off.values():
            with directory.lock():  # no child is left behind
                pass
        words = shlex.split(said.rpartition("go on with: townlet ")[2])

    again = start(*words)
    _, said = again.communicate(timeout=600)
    assert 0 == again.returncode, said
    assert {3, 4, 5} == set(runs_of(home))
    assert cut_off.items() <= runs_of(home).items()


def _have_grown(home: Path, records: list[int]) -> bool:
    """Tell whether two runs have journals, each with more lines than the longest had."""
    lines = [path.read_bytes().count(b"\n") for path in home.glob("runs/[0-9]*/journal.jsonl")]
    return len(lines) == len(records) and min(lines) > max(records)


def test_what_is_wrong_is_refused_before_a_byte_is_written(
    schedule: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No seeds, seeds beyond the last one, a mistake in the schedule, and what cannot be read twice."""
    home = ("--home", str(tmp_path / "home"))
    assert 2 == run_command(["replicate", str(schedule), "--seeds", "0", *home])
    assert "--seeds is 0; expected 1 to 1,000" in capsys.readouterr().err
    assert 2 == run_command(["replicate", str(schedule), "--first-seed", str(2**63 - 2), *home])
    assert "expected 5 seeds below 2**63" in capsys.readouterr().err
    schedule.write_text(PLAYS.replace("at_least: 2", "at_leats: 2"), encoding="utf-8")
    assert 2 == run_command(["replicate", str(schedule), *home])
    assert "plays.yaml:7:" in capsys.readouterr().err
    assert 2 == run_command(["replicate", "/dev/null", *home])
    assert not (tmp_path / "home").exists()


def test_a_schedule_without_a_seed_begins_at_zero(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Seeds 0 and 1 where nobody names one."""
    path = tmp_path / "unseeded.yaml"
    path.write_text(PLAYS.replace("seed: 3\n", ""), encoding="utf-8")
    told = summary(capsys, 0, str(path), "--seeds", "2", "--home", str(tmp_path / "home"))
    assert [0, 1] == [each["seed"] for each in told["replicates"]]
