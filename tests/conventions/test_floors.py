"""A floor imports only floors below, and what a command does not need is not imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

HEAVY = {"numba", "torch", "pettingzoo"}
PROBE = """
import sys
{statement}
sys.stderr.write(" ".join(sorted({heavy!r} & set(sys.modules))))
"""


def _imported_by(statement: str, directory: Path) -> str:
    """Return the heavy packages that a fresh interpreter holds after a statement."""
    code = PROBE.format(statement=statement, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=directory)
    return done.stderr


def test_the_floors_hold() -> None:
    """import-linter finds no import upwards or sideways, and torch only in the files named for it."""
    linter = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as lint; lint()"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(linter, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout


def test_importing_townlet_is_light(tmp_path: Path) -> None:
    """`import townlet` brings neither numba nor torch nor pettingzoo."""
    assert "" == _imported_by("import townlet", tmp_path)


def test_asking_for_help_is_light(tmp_path: Path) -> None:
    """`townlet --help` answers without numba, torch and pettingzoo."""
    statement = """
import townlet.cli
sys.argv = ["townlet", "--help"]
try:
    townlet.cli.main()
except SystemExit as end:
    assert not end.code, end.code
"""
    assert "" == _imported_by(statement, tmp_path)


@pytest.mark.parametrize("name", ["ports", "dto", "store", "machine"])
def test_the_lower_rooms_are_light(name: str, tmp_path: Path) -> None:
    """Whole rooms load without the heavy packages, so that check, graph and audit start at once."""
    walk = f"""
import importlib, pkgutil
room = importlib.import_module("townlet.{name}")
for module in pkgutil.walk_packages(getattr(room, "__path__", ()), room.__name__ + "."):
    importlib.import_module(module.name)
"""
    assert "" == _imported_by(walk, tmp_path)
