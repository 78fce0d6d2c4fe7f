"""Atomic writes, durable appends, private modes, regular files only, and names that stay inside their directory.

After POSIX: a rename within one directory is atomic, and it is durable once the directory itself was synced. What is
created belongs to its owner alone, whatever the umask; below a directory with the set-group-id bit its group shares it.
"""

import os
import secrets
import select
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from time import monotonic, sleep

from townlet.errors import BadInputError, ResourceFaultError

__all__ = [
    "DISK",
    "Disk",
    "append_durable",
    "check_regular",
    "contained",
    "create_private",
    "cut",
    "fsync_directory",
    "is_present",
    "is_shared",
    "make_directory",
    "move",
    "open_append",
    "open_regular",
    "read_bytes",
    "read_stream",
    "resource_errors",
    "write_atomic",
]

_PIPE_SECONDS = 5.0
"""How long a pipe is read that no process has opened to write."""


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


def is_present(path: Path) -> bool:
    """Tell whether anything stands at a path; OSError where this user may not look, which is no answer."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL byte
        return False
    return True


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


def is_shared(directory: Path) -> bool:
    """Tell whether a directory's group shares what is in it: it has the set-group-id bit and is closed to others."""
    mode = directory.stat().st_mode
    return bool(mode & stat.S_ISGID) and bool(mode & stat.S_IWGRP) and not mode & stat.S_IWOTH


def open_regular(path: Path, flags: int, mode: int = 0o600) -> int:
    """Open a regular file and return its descriptor; BadInputError for a pipe, a device, a socket or a directory.

    Opening never waits: a pipe without a peer would hold the process for ever.
    """
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    except OSError:
        if path.exists() and not path.is_file():  # a pipe that nobody reads, a socket, a directory
            raise _not_regular(path) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_regular(path)
    return descriptor


def check_regular(path: Path) -> None:
    """Raise BadInputError for a pipe, a device or a socket; a file is not opened, since closing it drops its locks."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise _not_regular(path)


def _not_regular(path: Path) -> BadInputError:
    return BadInputError(
        f"{path}: not a regular file (a pipe, a device, a socket or a directory); remove it, and restore the file "
        "that stood there from a copy"
    )


def read_bytes(path: Path, limit: int = -1) -> bytes:
    """Return what a regular file holds, its first `limit` bytes at most; BadInputError for a pipe or a device."""
    with os.fdopen(open_regular(path, os.O_RDONLY), "rb") as file:
        return file.read(limit)


def read_stream(path: Path, limit: int) -> bytes:
    """Return at most `limit` bytes of a regular file or of a pipe; BadInputError for anything else.

    What a process writes into the pipe is read to its end. A pipe that no process opens to write within a few seconds
    is refused: it would be waited for without end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode):
            with os.fdopen(os.dup(descriptor), "rb") as file:
                return file.read(limit)
        if not stat.S_ISFIFO(mode):
            raise BadInputError(f"{path}: a directory, a device or a socket; expected a file or a pipe")
        return _read_pipe(descriptor, path, limit)
    finally:
        os.close(descriptor)


def _read_pipe(descriptor: int, path: Path, limit: int) -> bytes:
    data, had_writer, end = b"", False, monotonic() + _PIPE_SECONDS
    while len(data) < limit:
        try:
            part = os.read(descriptor, limit - len(data))
        except BlockingIOError:  # a process holds the other end and has not written yet
            had_writer = True
            select.select([descriptor], [], [])
            continue
        if not part and (data or had_writer):
            break
        if not part and monotonic() > end:
            raise BadInputError(f"{path}: no process writes into this pipe; begin to write, or name a file")
        if not part:
            sleep(0.02)
        data += part
    return data


def create_private(path: Path, flags: int = 0) -> int:
    """Create a file for its owner alone, or for the group that shares its directory; return the descriptor.

    FileExistsError where it exists.
    """
    descriptor = open_regular(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | flags)
    if is_shared(path.parent):
        os.fchmod(descriptor, 0o660)  # the umask may have taken the group's bits
    return descriptor


def open_append(path: Path) -> int:
    """Open a file to append to, created where it is missing, and return the descriptor; a symbolic link is refused."""
    flags = os.O_APPEND | os.O_NOFOLLOW
    return open_regular(path, os.O_WRONLY | flags) if path.exists() else create_private(path, flags)


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
    descriptor = open_regular(path, os.O_WRONLY)
    try:
        DISK.get().truncate(descriptor, size)
        DISK.get().sync(descriptor)
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """Create a directory and its missing parents durably, for their owner alone; one that exists is fine.

    Below a directory that its group shares, the group shares them too.
    """
    if path.is_dir():
        return
    with resource_errors("create this directory", path):
        missing = [path, *(parent for parent in path.parents if not parent.exists())]
        for directory in reversed(missing):
            directory.mkdir(0o700, exist_ok=True)
            if is_shared(directory.parent):
                directory.chmod(0o2770)  # the umask may have taken the group's bits
        for directory in reversed(missing):
            fsync_directory(directory.parent)


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
        descriptor = create_private(temporary)
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
        descriptor = open_append(path)
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
