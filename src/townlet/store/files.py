"""Atomic writes, durable appends, and file names that stay inside their directory.

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
    """The system calls that change files; every durable write goes through the instance in `DISK`.

    A test replaces it by one that crashes or fails at a call of its choice.
    """

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Write to an open file and return how many bytes it took."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Make a file or a directory durable."""
        os.fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Rename a file or a directory, atomically."""
        source.replace(target)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut an open file to its first `size` bytes."""
        os.ftruncate(descriptor, size)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        path.unlink()


DISK: ContextVar[Disk] = ContextVar("DISK", default=Disk())  # noqa: B039 - it has no state
"""The disk that this module writes to."""


@contextmanager
def resource_errors(action: str, path: Path) -> Iterator[None]:
    """Turn an OSError of the body into a ResourceFaultError that names the file, the `action` and the reason."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise ResourceFaultError(
            f"{path}: cannot {action} ({reason}); nothing was changed; free space or grant access, then resume"
        ) from error


def fsync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        DISK.get().sync(descriptor)
    finally:
        os.close(descriptor)


def move(source: Path, target: Path) -> None:
    """Rename a file or a directory within its parent, atomically and durably."""
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
    remaining = memoryview(data)
    while remaining:
        remaining = remaining[DISK.get().write(descriptor, remaining) :]


def write_atomic(path: Path, data: bytes) -> None:
    """Replace the content of `path` by `data`, atomically: temporary file, fsync, rename, fsync of the directory.

    ResourceFaultError where the disk is full or the directory is read-only; the earlier content stays.
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
        except BaseException:  # also Ctrl-C must not leave the temporary file; the error is raised again
            with suppress(OSError):
                DISK.get().remove(temporary)
            raise


def append_durable(path: Path, data: bytes) -> None:
    """Append `data` in one write and sync it; the file is created where it is missing, a symbolic link is refused.

    A write that the disk cuts short is removed again: where ResourceFaultError is raised, the file is as before.
    Only a process that dies within the call can leave a torn end.
    """
    with resource_errors("append to this file", path):
        is_new = not path.exists()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)
        try:
            size = os.fstat(descriptor).st_size
            try:
                written = DISK.get().write(descriptor, data)
                if written != len(data):
                    raise OSError(f"only {written} of {len(data)} bytes were written")
                DISK.get().sync(descriptor)
            except OSError:
                DISK.get().truncate(descriptor, size)
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
        is_inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError) as error:
        raise BadInputError(f"{path}: cannot be resolved ({error}); expected a file without a loop of links") from error
    if not is_inside:
        raise BadInputError(f"{path}: a symbolic link leads outside {root}; copy the file into the directory instead")
    return path
