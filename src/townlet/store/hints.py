"""Commands that messages tell a person to type: complete, quoted, and right from any directory."""

import shlex
from pathlib import Path

from townlet.store.rundir import RunDirectory

__all__ = ["command_line", "run_word"]


def command_line(*words: str, home: Path) -> str:
    """Return a `townlet` command for a home, ready to be pasted into a shell.

    >>> command_line("resume", "latest", home=Path("/srv/my runs"))
    "townlet resume latest --home '/srv/my runs'"
    """
    return shlex.join(["townlet", *words, "--home", str(home.absolute())])


def run_word(home: Path, run: RunDirectory) -> str:
    """Return the word that names a run on the command line: its id, or its path where the home does not hold it."""
    inside = run.path.absolute().parent == (home / "runs").absolute() and run.path.name == run.id
    return run.id if inside else str(run.path.absolute())
