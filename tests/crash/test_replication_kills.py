"""A replication whose processes are killed ends with the bits of runs that nobody disturbed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from townlet.cli import run_command
from townlet.machine.journal.chain import read
from townlet.policy.training.strategies.base import catalogue
from townlet.store.rundir import RunDirectory

pytestmark = [
    pytest.mark.slow,
]
TINY = Path(__file__).parent / "tiny.yaml"


def start(home: Path, *words: str) -> subprocess.Popen[str]:
    """Start `townlet` in a home."""
    command = [sys.executable, "-m", "townlet", *words, "--home", str(home)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def semantic_hashes(home: Path) -> dict[str, str]:
    """Return the semantic hash of each run by its seed, as its journal's first record says it."""
    hashes = {}
    for path in (home / "runs").glob("[0-9]*"):
        run = RunDirectory.at(path)
        journal = read(run.journal, run.head, catalogue())
        created = journal.entries[0].record
        seed = str(getattr(created, "seed", None))
        assert seed not in hashes, "a seed ran twice"
        hashes[seed] = journal.semantic
    return hashes


def children_of(pid: int) -> list[int]:
    """Return the processes that a process started."""
    tasks = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in tasks.read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc to find the children")
def test_a_killed_replication_ends_with_the_same_bits(tmp_path: Path) -> None:
    """SIGKILL to `replicate` and to its child inside ppo, then the same command: no seed twice, the same hashes."""
    undisturbed = ("--home", str(tmp_path / "undisturbed"))
    assert [0, 0] == [run_command(["run", str(TINY), "--seed", str(seed), *undisturbed]) for seed in (7, 8)]

    home, words = tmp_path / "home", ("replicate", str(TINY), "--seeds", "2")
    process = start(home, *words)
    while process.poll() is None and not _is_inside_ppo(home):
        time.sleep(0.005)
    for pid in (process.pid, *children_of(process.pid)):
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert -signal.SIGKILL == process.returncode
    assert 1 == len(semantic_hashes(home))

    process = start(home, *words)
    said, _ = process.communicate(timeout=600)
    assert 0 == process.returncode, said
    assert "seed 7: goes on" in said
    assert "seed 8: begins" in said
    assert semantic_hashes(tmp_path / "undisturbed") == semantic_hashes(home)


def _is_inside_ppo(home: Path) -> bool:
    """Tell whether a journal has a checkpoint of ppo."""
    lines = [line for path in home.glob("runs/[0-9]*/journal.jsonl") for line in path.read_bytes().splitlines()]
    return any(b'"kind":"checkpoint"' in line and b'"state":"ppo"' in line for line in lines)
