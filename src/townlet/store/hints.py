"""Commands that messages tell a person to type: complete, quoted, and right from any directory."""

import shlex
from pathlib import Path
from typing import Protocol

__all__ = ["IdentifiedRun", "command_line", "list_command", "rebuild_advice", "run_word", "verify_advice"]


class IdentifiedRun(Protocol):
    """A run, by its directory and its id."""

    @property
    def path(self) -> Path:
        """The run directory."""

    @property
    def id(self) -> str:
        """The run id."""


def command_line(*words: str, home: Path) -> str:
    """Return a `townlet` command for a home, ready to be pasted into a shell.

    >>> command_line("resume", "latest", home=Path("/srv/my runs"))
    "townlet resume latest --home '/srv/my runs'"
    """
    return shlex.join(["townlet", *words, "--home", str(home.absolute())])


def run_word(home: Path, run: IdentifiedRun) -> str:
    """Return the word that names a run on the command line: its id, or its path where the home does not hold it."""
    inside = run.path.absolute().parent == (home / "runs").absolute() and run.path.name == run.id
    return run.id if inside else str(run.path.absolute())


def list_command(registry: Path) -> str:
    """Return the command that lists the versions of a registry."""
    return _registry_command("list", registry)


def rebuild_advice(registry: Path) -> str:
    """Return how to restore a registry; `registry` is any of its files."""
    return f"restore it from a copy, or run: {_registry_command('rebuild', registry)}"


def verify_advice(registry: Path) -> str:
    """Return how to find out what is wrong with a registry, and how to restore it."""
    return f"run: {_registry_command('verify', registry)}; then {rebuild_advice(registry)}"


def _registry_command(command: str, registry: Path) -> str:
    """Return a command for a registry: a run's own, which the run's path names, or its home's."""
    directory = registry.parent.absolute()
    if (directory / "run.json").is_file():
        return shlex.join(["townlet", "registry", command, "--run", str(directory)])
    return command_line("registry", command, home=directory)
