"""What keeps a visit from going on is told, and the visit stays open until somebody mended it or gave it up."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from homes import Town

from townlet.dto.journal import Checkpoint, EffectIntent, Entry, JournalRecord, OperatorCommand
from townlet.errors import ResourceFaultError, UnfitCheckpointError
from townlet.machine.audit.verify import verify
from townlet.machine.engine.inbox import send
from townlet.machine.journal.chain import read
from townlet.policy.training.environment_source import EnvironmentSource
from townlet.policy.training.rederive import replay_run
from townlet.policy.training.strategies.base import catalogue
from townlet.store.rundir import RunDirectory

HOLDER = """\
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


class KilledError(BaseException):
    """The process is gone."""


@pytest.fixture
def cut(tmp_path: Path) -> tuple[Town, RunDirectory, Path]:
    """A run that died right after the checkpoint of its evaluate visit, and that checkpoint."""
    town, kept = Town(tmp_path / "home"), []
    walker = town.facade("straight")

    def listen(entry: Entry) -> None:
        if isinstance(entry.record, Checkpoint):
            kept.append(entry.record.blob)
            raise KilledError

    walker.listen = listen
    with pytest.raises(KilledError):
        walker.run()
    return town, RunDirectory.find(town.home, "latest"), town.blobs.path(kept[0])


def records(run: RunDirectory) -> list[JournalRecord]:
    """Return what a journal says."""
    return [entry.record for entry in read(run.journal, run.head, catalogue()).entries]


def lose(checkpoint: Path, how: str) -> None:
    """Take a checkpoint away, or change a byte of it."""
    if how == "missing":
        checkpoint.unlink()
    else:
        data = checkpoint.read_bytes()
        checkpoint.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_a_lost_checkpoint_is_told_and_leaves_the_visit_open(
    tmp_path: Path, cut: tuple[Town, RunDirectory, Path], how: str
) -> None:
    """However often it is tried: exit code 2, nothing is closed; brought back, it leads to the same end."""
    town, run, checkpoint = cut
    kept = checkpoint.read_bytes()
    lose(checkpoint, how)
    for _ in range(4):  # no process dies of it, so nobody takes the visit for a poisoned one
        with pytest.raises(UnfitCheckpointError, match=rf"evaluate cannot go on: .*{how}.*stays open") as told:
            town.facade("straight").resume()
        assert 2 == told.value.exit_code
    assert {"run_closed", "transition"}.isdisjoint(r.kind for r in records(run)[-3:])
    assert [("stop", "engine")] * 4 == [(r.command, r.actor) for r in records(run) if isinstance(r, OperatorCommand)]
    assert [checkpoint.name] == [p.split()[1] for p in verify(run, town.blobs, catalogue()).problems]

    checkpoint.write_bytes(kept)
    done = town.facade("straight").resume()
    (tmp_path / "undisturbed").mkdir()
    assert Town(tmp_path / "undisturbed" / "home").walk("straight").semantic_hash == done.semantic_hash
    assert replay_run(run, town.home, source=EnvironmentSource(passed=town.facade("straight").environments)).clean


def test_a_visit_whose_checkpoint_is_lost_can_be_given_up(cut: tuple[Town, RunDirectory, Path]) -> None:
    """hold, resume, retry --new, resume: a new visit, which needs no checkpoint; the error was not divided over it."""
    town, run, checkpoint = cut
    lose(checkpoint, "missing")
    with pytest.raises(UnfitCheckpointError):
        town.facade("straight").resume()
    reasons = []
    for command, edge in (("hold", {}), ("retry", {"visit": "new"}), ("accept_risk", {"edge": "0"})):
        send(run.inbox, OperatorCommand(command=command, actor="ada", arguments=edge))
        summary = town.facade("straight").resume()
        reasons.append(summary.reason)
    assert "hold by ada" == reasons[0]
    assert "visit 2 to evaluate is beyond those the error was divided over" in reasons[1]
    assert "done" == summary.state
    assert 1 == len(town.registry.history())


def test_a_registry_locked_at_promote_leaves_the_visit_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process is in a transaction: exit code 4, no failure, and resume promotes once."""
    town = Town(tmp_path / "home")
    town.walk("slow")
    patient, holders = sqlite3.connect, []
    monkeypatch.setattr(sqlite3, "connect", lambda *words, **named: patient(*words, **{**named, "timeout": 0.01}))

    def listen(entry: Entry) -> None:
        if isinstance(entry.record, EffectIntent):
            command = [sys.executable, "-c", HOLDER, str(town.registry.path)]
            holders.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            assert holders[0].stdout is not None
            assert "held" == holders[0].stdout.readline().strip()

    walker = town.facade("straight")
    walker.listen = listen
    try:
        with pytest.raises(ResourceFaultError, match=r"locked.*nothing was changed") as told:
            walker.run()
        with pytest.raises(ResourceFaultError, match="locked"):
            town.facade("straight").resume()
    finally:
        holders[0].communicate()
    assert 4 == told.value.exit_code
    run = town.run(1)
    assert "run_closed" not in [record.kind for record in records(run)]
    done = town.facade("straight").resume(run.path)
    assert ("done", True) == (done.state, done.champion_moved)
    assert 2 == len(town.registry.history())
    assert 1 == len([record for record in records(run) if isinstance(record, EffectIntent)])
