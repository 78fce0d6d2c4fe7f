"""Check outputs that a user names before the work begins, so that it is not done for a path that takes nothing."""

import os
from pathlib import Path

from townlet.errors import BadInputError

__all__ = ["require_output_directory", "require_output_file"]


def require_output_file(path: Path, option: str) -> None:
    """Raise BadInputError, naming the option, where no file can be written or appended to at `path`."""
    if path.is_dir() or (path.exists() and not path.is_file()):
        raise _refusal(path, option, "it is a directory, a device or a pipe", "a file")
    if path.is_file():
        if not os.access(path, os.W_OK):
            raise _refusal(path, option, "it may not be written", "a file of yours")
        return
    _require_directory(path.parent, path, option)


def require_output_directory(path: Path, option: str) -> None:
    """Raise BadInputError, naming the option, where `path` is no directory to write in and cannot become one."""
    _require_directory(path, path, option)


def _require_directory(directory: Path, path: Path, option: str) -> None:
    nearest = directory
    while not os.path.lexists(nearest) and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise _refusal(path, option, f"{nearest} is no directory", "a path below one")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise _refusal(path, option, f"{nearest} may not be written", "a directory of yours")


def _refusal(path: Path, option: str, found: str, expected: str) -> BadInputError:
    return BadInputError(f"{option} {path}: {found}; expected {expected}; nothing was begun")
