"""The disk fills, permissions go, memory runs out, the clock runs back: the run is as it was, and says why in words."""

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp

import pytest
from corridor_schedules import WEIGHTS_FILE, write
from fakes import Bench
from homes import Town
from ridge_weights import ridge

from townlet.dto.journal import RunClosed, TransitionTaken
from townlet.errors import EnvironmentFaultError, TownletError
from townlet.machine.audit.verify import verify
from townlet.machine.journal.chain import Journal
from townlet.policy.training.strategies.base import catalogue
from townlet.store.rundir import RunDirectory

HERE = Path(__file__).parent
PATHS = os.pathsep.join(map(str, (HERE.parents[1] / "src", HERE.parent / "policy", HERE)))
ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Semantic hash of the run nobody disturbed."""
    bench = Bench(tmp_path_factory.mktemp("undisturbed"))
    bench.walk()
    return bench.journal().semantic


@contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch, after: int) -> Iterator[list[int]]:
    """Let `after` writes pass and refuse every later one, as a full disk does until somebody makes room."""
    passed = [0]
    write_now = os.write

    def refused(descriptor: int, data: bytes) -> int:
        passed[0] += 1
        if passed[0] > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write_now(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refused)
        yield passed


def test_a_disk_that_fills_at_any_write_stops_the_run_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: str
) -> None:
    """At each write of a run: one sentence, an audit without surprises, and after room was made the same end."""
    with full_disk(monkeypatch, 10**9) as writes:
        Bench(tmp_path / "whole").walk()
    assert writes[0] > 60
    for after in range(writes[0]):
        bench = Bench(tmp_path / str(after))
        with full_disk(monkeypatch, after), pytest.raises(EnvironmentFaultError, match="No space left on device"):
            bench.walk()
        assert "done" == bench.walk().state
        assert undisturbed == bench.journal().semantic
        assert 1 == len(bench.registry.history())


@pytest.mark.skipif(not ROOT, reason="only root mounts a file system")
def test_a_small_file_system_that_fills_stops_a_real_run(tmp_path: Path) -> None:
    """A tmpfs of 192 KiB: no traceback, the reason in words, nothing half written, the audit finds the run whole."""
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=192k", "none", small], check=False).returncode:
        pytest.skip("mounting is not possible here")
    try:
        done = _run(small, _schedule(tmp_path, episodes=400))
        assert done.returncode in (3, 4), done.stderr  # held or failed; never promoted, never a bug
        assert "No space left on device" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        (run,) = RunDirectory.every(small / "home")
        report = verify(run, Town(small / "home").blobs, catalogue())
        assert () == report.problems
        assert [] == list(small.rglob("*.tmp"))
        assert () == Town(small / "home").registry.history()
    finally:
        subprocess.run(["umount", small], check=True)


def test_permissions_that_go_during_a_run_stop_it_where_it_is(undisturbed: str) -> None:
    """The directory becomes read-only under a process that is not root; given back, the run ends as if nothing was."""
    home = Path(mkdtemp())
    try:
        home.chmod(0o777)
        done = subprocess.run(
            [sys.executable, HERE / "losing_permissions.py", home],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": _machine()},
        )
        expected = f"refused Permission denied\ndone {undisturbed}"
        assert (expected, 0) == (done.stdout.strip(), done.returncode), done.stderr
    finally:
        shutil.rmtree(home)


def test_memory_that_runs_out_leaves_the_visit_open(tmp_path: Path) -> None:
    """`ulimit -v` below what a capture asks for: exit code 4, one sentence, and the run can be resumed."""
    schedule = _schedule(tmp_path, episodes=2_000_000_000, worlds=2_000_000_000)
    done = _run(tmp_path, schedule, limit="ulimit -v 3000000; ")
    assert 4 == done.returncode, done.stderr
    assert "Traceback" not in done.stderr
    assert "capture: the memory is exhausted" in done.stderr
    (run,) = RunDirectory.every(tmp_path / "home")
    entries = Journal(run.journal, run.head, catalogue()).entries
    assert not any(isinstance(entry.record, TransitionTaken | RunClosed) for entry in entries)
    assert verify(run, Town(tmp_path / "home").blobs, catalogue()).clean


def test_a_clock_that_runs_backwards_decides_nothing(tmp_path: Path, undisturbed: str) -> None:
    """Every record is an hour older than the one before: the walk, the hash and the audit are the same."""
    bench = Bench(tmp_path, clock=_Backwards())  # type: ignore[arg-type]
    assert "done" == bench.walk().state
    assert undisturbed == bench.journal().semantic
    times = [entry.at for entry in bench.journal().entries]
    assert times == sorted(times, reverse=True)
    assert undisturbed == Journal(bench.path, bench.home / "head.json", bench.engine()._catalogue).semantic


class _Backwards:
    """A clock that goes back an hour whenever it is asked."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return an earlier time."""
        self.now -= timedelta(hours=1)
        return self.now


@pytest.mark.parametrize("name", ["journal.jsonl", "head.json", "metrics.jsonl", "registry.sqlite", "anything"])
def test_a_link_in_a_run_directory_is_refused(town: Town, name: str) -> None:
    """Whatever would be written through it stays as it is."""
    run = town.run(0)
    outside = town.home.parent / "outside"
    outside.write_text("mine")
    (run.path / name).unlink(missing_ok=True)
    (run.path / name).symlink_to(outside)
    with pytest.raises(TownletError, match="a symbolic link in a run directory"):
        RunDirectory.at(run.path)
    assert "mine" == outside.read_text()


def test_nothing_is_stored_through_a_link(town: Town) -> None:
    """A directory of blobs that leads elsewhere is refused; a journal is never appended to through a link."""
    elsewhere = town.home.parent / "elsewhere"
    elsewhere.mkdir()
    digest = hashlib.sha256(b"new").hexdigest()
    shutil.rmtree(town.home / "blobs" / "sha256" / digest[:2], ignore_errors=True)
    (town.home / "blobs" / "sha256" / digest[:2]).symlink_to(elsewhere)
    with pytest.raises(TownletError, match="leads outside"):
        town.blobs.put(b"new")
    assert [] == list(elsewhere.iterdir())

    victim = town.home.parent / "victim"
    victim.write_bytes(b"")
    link = town.home.parent / "journal.jsonl"
    link.symlink_to(victim)
    with suppress(EnvironmentFaultError):
        Bench(town.home.parent).walk()
    assert b"" == victim.read_bytes()


def _schedule(folder: Path, *, episodes: int, worlds: int = 16) -> Path:
    data = ridge("straight")
    (folder / "w.safetensors").write_bytes(data)
    text = WEIGHTS_FILE.replace("episodes: 8", f"episodes: {episodes}").replace("worlds: 16", f"worlds: {worlds}")
    return write(folder, text, scenario="plain", file="w.safetensors", sha256=hashlib.sha256(data).hexdigest())


def _run(folder: Path, schedule: Path, limit: str = "") -> "subprocess.CompletedProcess[str]":
    command = f'{limit}exec "$@"'
    words = ["bash", "-c", command, "bash", sys.executable, HERE / "corridor_door.py", "run", schedule]
    environment = {**os.environ, "PYTHONPATH": PATHS, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        [*words, "--home", folder / "home"], capture_output=True, text=True, check=False, env=environment, cwd=folder
    )


def _machine() -> str:
    return os.pathsep.join(map(str, (HERE.parents[1] / "src", HERE.parent / "machine")))
