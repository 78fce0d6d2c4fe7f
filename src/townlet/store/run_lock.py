"""The lock of a run: one process works on it, and others can ask whether one does."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from filelock import FileLock, Timeout

from townlet.errors import HoldError
from townlet.store.files import check_regular, is_shared, read_bytes, resource_errors

__all__ = ["is_locked", "locked"]

_PATIENCE = 0.2
"""Seconds for which the lock of a directory is tried again."""


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Lock a run's directory; HoldError naming the process that has locked it already, without waiting.

    The lock belongs to the operating system and ends with its process: the file of a dead process is no lock. The
    directory is locked besides, since a lock file can be deleted.
    """
    path = run / "lock"
    lock = FileLock(path, timeout=0, mode=0o660 if is_shared(run) else 0o600)
    with resource_errors("lock this run", path):
        check_regular(path)
        try:
            lock.acquire()
        except Timeout as error:
            holder = read_bytes(path, 99).decode("ascii", "replace").strip() or "unknown"
            raise HoldError(
                f"{run}: the run is held by process {holder}; wait for it to end or stop it first"
            ) from error
        try:
            path.write_text(f"{os.getpid()}\n")
            directory = _lock_directory(run)
        except BaseException:  # the disk may be full; the lock is released and the error is raised again
            lock.release()
            raise
    try:
        yield
    finally:
        os.close(directory)
        lock.release()


def is_locked(run: Path) -> bool | None:
    """Return whether a process has locked a run's directory; None where the file system or this user's rights hide it.

    The directory's lock is shared for less than a millisecond, which `locked` waits for. Nothing is written.
    """
    try:
        descriptor = os.open(run, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # some network file systems
        return None
    finally:
        os.close(descriptor)
    return False


def _lock_directory(path: Path) -> int:
    """Lock a run's directory and return its descriptor, which holds the lock; HoldError where another process has it.

    A file system that cannot lock directories leaves it unlocked.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    until = monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if monotonic() < until:  # `is_locked` has it for an instant
                sleep(0.01)
                continue
            os.close(descriptor)
            raise HoldError(
                f"{path}: the run is held by another process, and its lock file was deleted; wait for that process to "
                "end or stop it first"
            ) from error
        except OSError:  # some network file systems
            return descriptor
        return descriptor
