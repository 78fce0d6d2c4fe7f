"""A process that lacks something every process has: permission, a name for its user, a home, a place for files.

It runs every command once as it is, so that all code is loaded, loses what its first argument names, and runs every
command again. It prints one JSON document: what each command of the second round ended with.
"""

import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path

from townlet.cli import run_command

NOBODY, UNNAMED = 65534, 54321
"""User ids: one that usually has an entry in the user database, and one that has none."""


def lose(what: str, place: Path) -> None:
    """Take something away from this process, for good."""
    if what == "permission":
        for path in sorted(place.rglob("*"), reverse=True):
            path.chmod(0)
        place.chmod(0)
        _become(NOBODY)
    elif what == "user":
        for folder, _, names in os.walk(place):
            for path in (Path(folder), *(Path(folder, name) for name in names)):
                os.chown(path, UNNAMED, UNNAMED)
        for name in ("USER", "LOGNAME", "LNAME", "USERNAME", "HOME"):
            os.environ.pop(name, None)
        _become(UNNAMED)
    elif what == "home":
        os.environ.pop("HOME", None)
    elif what == "missing home":
        os.environ["HOME"] = "/nowhere/at/all"
    elif what == "temporary directory":
        for name in ("TMPDIR", "TEMP", "TMP"):
            os.environ[name] = "/nowhere/at/all"
        tempfile.tempdir = None
    elif what == "working directory":
        folder = tempfile.mkdtemp()
        os.chdir(folder)
        Path(folder).rmdir()


def _become(user: int) -> None:
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)


def outcomes(commands: list[list[str]]) -> list[tuple[list[str], int, str, str]]:
    """Run commands one after the other; return the words, exit code, stdout and stderr of each."""
    ended = []
    for words in commands:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = run_command(words)
            except BaseException as error:  # noqa: BLE001 - whatever comes out of a command is what is looked for
                code = 1
                err.write(f"Traceback: {type(error).__name__}: {error}")
        ended.append((words, code, out.getvalue(), err.getvalue()))
    return ended


def main() -> None:
    """Read the place and the two rounds of commands from stdin."""
    request = json.load(sys.stdin)
    outcomes(request["before"])
    lose(sys.argv[1], Path(request["place"]))
    sys.stdout.write(json.dumps(outcomes(request["after"])))


if __name__ == "__main__":
    main()
