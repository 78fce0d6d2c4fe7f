"""Files that are whole or absent: atomic writes, durable appends, and names that stay inside their directory.

After POSIX: a rename within one directory is atomic, and it is durable once the directory itself was synced.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from townlet.errors import BadInputError, EnvironmentFaultError

__all__ = ["append_durable", "contained", "fsync_directory", "make_directory", "told", "write_atomic"]


@contextmanager
def told(what: str, path: Path) -> Iterator[None]:
    """Turn an OSError of the body into an EnvironmentFaultError that says what could not be done, where and why."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise EnvironmentFaultError(
            f"{path}: cannot {what} ({reason}); nothing was changed; free space or grant access, then resume"
        ) from error


def fsync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """Create a directory and its missing parents durably; one that exists is fine."""
    if path.is_dir():
        return
    with told("create this directory", path):
        missing = [path, *(parent for parent in path.parents if not parent.exists())]
        path.mkdir(parents=True, exist_ok=True)
        for created in reversed(missing):
            fsync_directory(created.parent)


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def write_atomic(path: Path, data: bytes) -> None:
    """Put `data` at `path`, wholly or not at all: a temporary neighbour, fsync, rename, fsync of the directory.

    Raises EnvironmentFaultError where the disk is full or the directory is read-only; what stood there before stays.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    with told("write this file", path):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            try:
                _write_all(descriptor, data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.replace(path)
        except BaseException:  # also Ctrl-C must not leave the neighbour behind; the error goes on
            with suppress(OSError):
                temporary.unlink()
            raise
        fsync_directory(path.parent)


def append_durable(path: Path, data: bytes) -> None:
    """Append `data` in one write and sync it; the file is created where it is missing, a symbolic link is refused.

    A write that the disk cuts short is taken back, so that the file is as before when EnvironmentFaultError is raised.
    Only a process that dies within the call can leave a torn end.
    """
    with told("append to this file", path):
        is_new = not path.exists()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)
        try:
            before = os.fstat(descriptor).st_size
            try:
                written = os.write(descriptor, data)
                if written != len(data):
                    raise OSError(f"only {written} of {len(data)} bytes were written")
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, before)
                raise
        finally:
            os.close(descriptor)
        if is_new:
            fsync_directory(path.parent)


def contained(root: Path, name: str) -> Path:
    """Return ``root / name`` where it stays inside `root`; BadInputError for '..', absolute names, symlinks out.

    The name need not exist. A symlink inside `root` is followed, and refused where it leads outside.

    >>> contained(Path("/runs"), "inbox/approve.json").as_posix()
    '/runs/inbox/approve.json'
    >>> contained(Path("/runs"), "../registry.sqlite")
    Traceback (most recent call last):
    townlet.errors.BadInputError: /runs: '../registry.sqlite' leads outside this directory; expected a relative path ...
    """
    if not name or "\0" in name or "\\" in name:
        raise BadInputError(f"{root}: {name!r} is not a file name; expected a relative path with forward slashes")
    relative = Path(name)
    if relative.is_absolute() or ".." in relative.parts:
        raise BadInputError(f"{root}: {name!r} leads outside this directory; expected a relative path without '..'")
    path = root / relative
    try:
        inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError) as error:
        raise BadInputError(f"{path}: cannot be resolved ({error}); expected a file without a loop of links") from error
    if not inside:
        raise BadInputError(f"{path}: a symbolic link leads outside {root}; copy the file into the directory instead")
    return path
