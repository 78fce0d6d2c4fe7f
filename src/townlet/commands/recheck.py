"""`townlet check --watch`: check a schedule again each time its file is saved, until Ctrl-C."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

__all__ = ["check_on_save"]

_SECONDS_PER_LOOK = 0.2
"""Between two looks at the file."""
_GONE = (0, 0, 0)


def check_on_save(path: Path, check: Callable[[], int]) -> int:
    """Call `check` now and after every save of a file; what it refuses is printed. Ctrl-C ends it with 130.

    A file that an editor replaces by another of its name counts as saved, and one that is gone for a moment is waited
    for. A file that is being written is checked once it stops changing between two looks. A file that is not there at
    the beginning is refused as `check` refuses it.
    """
    try:
        _check_for_ever(path, check)
    except KeyboardInterrupt:  # how a watch ends; nothing was interrupted
        return 130


def _check_for_ever(path: Path, check: Callable[[], int]) -> NoReturn:
    """Check for ever."""
    from townlet.errors import TownletError
    from townlet.report import terminal

    checked, seen = None, _stamp(path)
    if seen == _GONE:
        check()
    while True:
        if seen not in (checked, _GONE):
            checked = seen
            terminal.say(f"{path}, {time.strftime('%H:%M:%S')}")
            try:
                check()
            except (TownletError, OSError) as error:
                terminal.complain(str(error))
            terminal.say("waiting for the next save; Ctrl-C ends\n")
        time.sleep(_SECONDS_PER_LOOK)
        before, seen = seen, _stamp(path)
        while seen not in (before, checked):  # it is being written
            time.sleep(_SECONDS_PER_LOOK)
            before, seen = seen, _stamp(path)


def _stamp(path: Path) -> tuple[int, int, int]:
    """Return what a save changes: file, time of the last change in ns, size."""
    try:
        status = path.stat()
    except OSError:
        return _GONE
    return status.st_ino, status.st_mtime_ns, status.st_size
