"""Write the golden home of the present version: `PYTHONPATH=src:tests/policy python tests/golden/record.py VERSION`.

A tiny corridor walks every kind of state; all of it stays below 100 kB. Golden homes are never written again: each
stands for what some release left on a disk, and every later one has to read it. Checkpoints of visits that were open
and a snapshot of a town stand beside it.
"""

import json
import shutil
import socket
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from corridor import CorridorProvider, Keeping
from corridor_schedules import GUARDED, write

from townlet.dto.journal import Checkpoint, Entry
from townlet.dto.scenarios import scenario
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.store.blobs import BlobStore
from townlet.world.batch import TownBatch
from townlet.world.features import RULES_VERSION
from townlet.world.teachers import ScriptedTeacher

LEARNS = "{start_from: clone, agent_steps: 8000, num_steps: 24, days: 4, learning_rate: 5.0e-3, minibatch_size: 256}"


def record(target: Path) -> None:
    """Walk the corridor and keep what a home holds afterwards."""
    target.mkdir(parents=True)
    socket.gethostname = lambda: "golden"  # no machine's name belongs in the repository
    text = GUARDED.replace("episodes: 24, days: 2", "episodes: 8, days: 2").replace(
        "episodes: [20, 40]", "episodes: [20]"
    )
    path = write(target, text, seed=7, scope="home", ppo=LEARNS)
    summary = PolicyTrainingOrchestrator(path, environments=CorridorProvider(), home=target).run()
    path.unlink()
    for leftover in (*target.rglob("lock"), *target.rglob("inbox"), *target.rglob("metrics.jsonl")):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    sys.stdout.write(f"{summary.state} {[s.state for s in summary.stages]} {size} bytes\n")


KEEPS = "{start_from: clone, iterations: 3, num_steps: 8, days: 1, minibatch_size: 64, checkpoint_every: 1}"


def record_checkpoints(target: Path) -> None:
    """Keep the last checkpoint of a visit to bc and of one to ppo."""
    target.mkdir(parents=True)
    text = GUARDED.replace("worlds: 16", "worlds: 4")
    text = text.replace("hidden_sizes: [16]", "hidden_sizes: [8], checkpoint_every: 1")
    kept: dict[str, str] = {}

    def listen(entry: Entry) -> None:
        if isinstance(entry.record, Checkpoint):
            kept[entry.record.state] = entry.record.blob

    with TemporaryDirectory() as folder:
        path = write(Path(folder), text, seed=7, scope="run", ppo=KEEPS)
        home = Path(folder) / "home"
        PolicyTrainingOrchestrator(path, environments=CorridorProvider(kind=Keeping), home=home, listen=listen).run()
        for state in ("bc", "ppo"):
            (target / f"{state}.safetensors").write_bytes(BlobStore(home / "blobs").get(kept[state]))


def town() -> TownBatch:
    """Return the town that the snapshot is of."""
    return TownBatch(scenario("queue_conflict"), worlds=1, seed=20, days=1)


def played(batch: TownBatch) -> str:
    """Let the script play on for twenty decisions and return what the town is then."""
    seen, teacher = batch.observe(), ScriptedTeacher()
    for _ in range(20):
        seen = batch.step(teacher.act(seen)).observations
    return batch.state_hash()


def record_snapshot(target: Path) -> None:
    """Keep a town in the middle of its day, and what it comes to."""
    target.mkdir(parents=True)
    batch = town()
    batch.reset()
    played(batch)
    (target / "town.snapshot").write_bytes(batch.snapshot())
    (target / "town.json").write_text(json.dumps({"rules": RULES_VERSION, "then": played(batch)}) + "\n")


if __name__ == "__main__":
    home = Path(__file__).parent / sys.argv[1]
    record(home)
    record_checkpoints(home / "checkpoints")
    record_snapshot(home / "snapshots")
