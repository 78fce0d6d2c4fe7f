"""Files that are whole or absent: atomic writes, durable appends, and names that stay inside their directory.

After POSIX: a rename within one directory is atomic, and it is durable once the directory itself was synced.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from townlet.errors import BadInputError, ResourceFaultError

__all__ = [
    "DISK",
    "Disk",
    "append_durable",
    "contained",
    "cut",
    "fsync_directory",
    "make_directory",
    "move",
    "resource_errors",
    "write_atomic",
]


class Disk:
    """The calls that change what a later process will find; everything durable goes through the one in `DISK`.

    A test puts another one there, which dies or refuses at the call of its choice.
    """

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Write to an open file and return how many bytes it took."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Make a file or a directory durable."""
        os.fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Put a file or a directory at another name, atomically."""
        source.replace(target)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut an open file."""
        os.ftruncate(descriptor, size)

    def remove(self, path: Path) -> None:
        """Take a file away."""
        path.unlink()


DISK: ContextVar[Disk] = ContextVar("DISK", default=Disk())  # noqa: B039  it has no state
"""The disk that this module writes to."""


@contextmanager
def resource_errors(what: str, path: Path) -> Iterator[None]:
    """Turn an OSError of the body into a ResourceFaultError that says what could not be done, where and why."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ResourceFaultError(
            f"{path}: cannot {what} ({reason}); nothing was changed; free space or grant access, then resume"
        ) from error


def fsync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        DISK.get().sync(descriptor)
    finally:
        os.close(descriptor)


def move(source: Path, target: Path) -> None:
    """Put a file or a directory at another name of the same parent, atomically and durably."""
    DISK.get().rename(source, target)
    fsync_directory(target.parent)


def cut(path: Path, size: int) -> None:
    """Cut a file to its first `size` bytes, durably."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        DISK.get().truncate(descriptor, size)
        DISK.get().sync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """Create a directory and its missing parents durably; one that exists is fine."""
    if path.is_dir():
        return
    with resource_errors("create this directory", path):
        missing = [path, *(parent for parent in path.parents if not parent.exists())]
        path.mkdir(parents=True, exist_ok=True)
        for created in reversed(missing):
            fsync_directory(created.parent)


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[DISK.get().write(descriptor, left) :]


def write_atomic(path: Path, data: bytes) -> None:
    """Put `data` at `path`, wholly or not at all: a temporary neighbour, fsync, rename, fsync of the directory.

    Raises ResourceFaultError where the disk is full or the directory is read-only; what stood there before stays.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    with resource_errors("write this file", path):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            try:
                _write_all(descriptor, data)
                DISK.get().sync(descriptor)
            finally:
                os.close(descriptor)
            move(temporary, path)
        except BaseException:  # also Ctrl-C must not leave the neighbour behind; the error goes on
            with suppress(OSError):
                DISK.get().remove(temporary)
            raise


def append_durable(path: Path, data: bytes) -> None:
    """Append `data` in one write and sync it; the file is created where it is missing, a symbolic link is refused.

    A write that the disk cuts short is taken back, so that the file is as before when ResourceFaultError is raised.
    Only a process that dies within the call can leave a torn end.
    """
    with resource_errors("append to this file", path):
        is_new = not path.exists()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)
        try:
            before = os.fstat(descriptor).st_size
            try:
                written = DISK.get().write(descriptor, data)
                if written != len(data):
                    raise OSError(f"only {written} of {len(data)} bytes were written")
                DISK.get().sync(descriptor)
            except OSError:
                DISK.get().truncate(descriptor, before)
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
