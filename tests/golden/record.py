"""Write the golden home of the present version: `PYTHONPATH=src:tests/policy python tests/golden/record.py VERSION`.

A tiny corridor walks every kind of state; all of it stays below 100 kB. Golden homes are never written again: each
stands for what some release left on a disk, and every later one has to read it.
"""

import shutil
import socket
import sys
from pathlib import Path

from corridor import CorridorProvider
from corridor_schedules import GUARDED, write

from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator

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


if __name__ == "__main__":
    record(Path(__file__).parent / sys.argv[1])
