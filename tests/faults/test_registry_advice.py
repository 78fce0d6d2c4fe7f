"""What a damaged registry advises: whole commands, which mend it wherever they are pasted."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from homes import Town
from registry_attacks import ask, edit_ledger, forge_row, lose_database

COMMAND = re.compile(r"townlet registry [^;\n]*--(?:home|run) \S+")


def paste(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Type a printed command in another directory."""
    words = [sys.executable, "-m", "townlet", *shlex.split(command)[1:]]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("damage", [forge_row, lose_database, edit_ledger])
def test_the_advice_mends_the_registry_from_any_directory(
    town: Town, damage: Callable[[Town], None], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each command names the home; the last one rebuilds the registry, at most with its flag for what is lost."""
    damage(town)
    assert 2 == ask(town, "registry", "list")
    commands = COMMAND.findall(" ".join(capfd.readouterr().err.split()))
    assert commands
    assert all(str(town.home) in command for command in commands)

    for command in commands:
        done = paste(command, tmp_path)
        assert "Traceback" not in done.stderr
    if done.returncode:
        assert 2 == done.returncode, done.stderr
        done = paste(f"{commands[-1]} --accept-loss", tmp_path)
    assert 0 == done.returncode, done.stderr
    assert 0 == ask(town, "registry", "verify")


def test_a_version_that_is_not_there_names_the_list(
    town: Town, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The printed command lists the versions."""
    assert 2 == ask(town, "registry", "show", "given@7")
    (command,) = COMMAND.findall(" ".join(capfd.readouterr().err.split()))
    assert 0 == paste(command, tmp_path).returncode
