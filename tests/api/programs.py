"""Programs of a user, each run in a process of its own: the corridor as environment, a schedule in the folder."""

import subprocess
import sys
from pathlib import Path

from corridor_schedules import GUARDED, LEARNS, write

POLICY = Path(__file__).parents[1] / "policy"
PLAYS = """\
schedule: townlet/v1
name: plays
seed: 3
environment: {id: corridor, scenario: plain, worlds: 4}
teacher: lazy
registry: {name: plays}
initial: capture
states:
  capture: {strategy: capture, with: {episodes: 8, days: 1}, next: [{to: done}]}
"""
"""A run of a fraction of a second, without torch."""
HEAD = f"""\
import sys
sys.path.insert(0, {str(POLICY)!r})
import townlet
from corridor import CorridorProvider, Keeping, Walker
environment = CorridorProvider(Keeping)
"""


def write_plays(folder: Path) -> Path:
    """Write the short schedule and return its path."""
    path = folder / "plays.yaml"
    path.write_text(PLAYS, encoding="utf-8")
    return path


def write_learns(folder: Path) -> Path:
    """Write the schedule that clones, fine-tunes and promotes, and return its path."""
    return write(folder, GUARDED, seed=3, ppo=LEARNS, scope="home")


def program(folder: Path, body: str, seconds: float = 240) -> "subprocess.CompletedProcess[str]":
    """Run a program in `folder` as a file, as multiprocessing wants it."""
    path = folder / "program.py"
    path.write_text(HEAD + body, encoding="utf-8")
    return subprocess.run(
        [sys.executable, str(path)], cwd=folder, capture_output=True, text=True, timeout=seconds, check=False
    )
