"""The tutorial is what a new user types: each of its commands runs, in an empty directory."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "own_environment.md"


def blocks(language: str) -> list[str]:
    """Return the code blocks of a language."""
    return [part.split("```")[0] for part in PAGE.read_text(encoding="utf-8").split(f"```{language}\n")[1:]]


@pytest.mark.slow
@pytest.mark.long
def test_every_command_of_the_tutorial_runs(tmp_path: Path) -> None:
    """From the controller to a schedule, a check and a run that ends."""
    (tmp_path / "controllers.py").write_text(blocks("python")[0])
    commands = [line for block in blocks("sh") for line in block.splitlines()]
    assert ["init", "check", "run"] == [line.split()[1] for line in commands]
    for line in commands:
        done = subprocess.run(
            [sys.executable, "-m", *shlex.split(line)], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert 0 == done.returncode, done.stderr
    assert "done: the champion moved" in done.stdout
    lines = [*blocks("python")[0].splitlines(), *commands]
    assert len(lines) <= 20
