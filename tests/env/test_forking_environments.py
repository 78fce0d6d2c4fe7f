"""An environment that forks in a call: a child that comes back must not write the run's journal a second time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from townlet.cli import run_command

PROGRAM = """
import glob
import os
import gymnasium
import townlet

class Forks(gymnasium.Wrapper):
    def step(self, action):
        if os.path.exists("forked") or not glob.glob("home/runs/*/journal.jsonl"):
            return self.env.step(action)
        open("forked", "w").close()
        if os.fork() == 0:
            CHILD
        return self.env.step(action)

def make():
    return Forks(gymnasium.make("CartPole-v1"))

print(townlet.anneal("plays.yaml", environment=make, home="home", progress=False).state)
"""
PLAYS = """\
schedule: townlet/v1
name: plays
seed: 3
environment: {id: "gymnasium:CartPole-v1", worlds: 4, max_steps: 200}
teacher: STEER
registry: {name: plays}
initial: capture
states:
  capture: {strategy: capture, with: {episodes: 4}, next: [{to: done}]}
"""


@pytest.mark.parametrize(
    ("child", "is_told"), [("os._exit(0)", False), ("pass", True), ("raise RuntimeError('child')", True)]
)
def test_a_child_that_comes_back_is_ended_with_one_sentence(child: str, is_told: bool, tmp_path: Path) -> None:
    """Whether it goes on or raises; the run itself ends as it would have, with one sound journal."""
    (tmp_path / "plays.yaml").write_text(
        PLAYS.replace("teacher: STEER\n", "").replace("episodes: 4", "player: fresh, episodes: 4")
    )
    (tmp_path / "program.py").write_text(PROGRAM.replace("CHILD", child))
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert (0, "done\n") == (done.returncode, done.stdout), done.stderr
    assert (tmp_path / "forked").exists()
    sentences = [line for line in done.stderr.splitlines() if "forked the process" in line]
    assert is_told == (1 == len(sentences))
    for words in ("world ", "episode ", "reset with seed ", "the child ends here") if is_told else ():
        assert words in sentences[0]
    assert 1 == len(list((tmp_path / "home" / "runs").glob("*/journal.jsonl")))
    assert 0 == run_command(["audit", "verify", "latest", "--home", str(tmp_path / "home")])
