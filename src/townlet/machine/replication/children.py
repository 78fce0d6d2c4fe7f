"""Work on several runs at once: each in a process of its own, stopped together, never two on one seed."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from time import sleep
from typing import IO

from attrs import define, frozen

from townlet.store.files import make_directory, resource_errors

__all__ = ["LOCKED", "Ended", "Job", "work"]

LOCKED = "another `townlet replicate` works on this seed; it is left to that one"
_PAUSE = 0.05
"""Seconds between two looks at the processes."""
_SAID = 4_000
"""Bytes that are kept of what a process said last."""


@frozen(kw_only=True)
class Job:
    """The command that begins or resumes the run of one seed."""

    seed: int
    """Seed of the run."""
    words: tuple[str, ...]
    """What follows `townlet`."""


@frozen(kw_only=True)
class Ended:
    """How the process of a job ended."""

    code: int | None
    """Exit status, negative for the signal that killed it; None where no process was started."""
    said: str
    """Why it failed: its last line on stderr; or why there was no process."""


@define
class _Child:
    job: Job
    process: "subprocess.Popen[bytes]"
    errors: IO[bytes]
    lock: int

    def ended(self, code: int) -> Ended:
        self.errors.seek(max(0, self.errors.seek(0, os.SEEK_END) - _SAID))
        lines = self.errors.read().decode("utf-8", "replace").strip().splitlines()
        self.errors.close()
        os.close(self.lock)
        return Ended(code=code, said=lines[-1].strip() if lines else f"its process ended with status {code}")


def work(
    jobs: Sequence[Job],
    *,
    at_once: int,
    locks: Callable[[int], Path],
    stopping: Callable[[], bool],
    began: Callable[[Job], None],
    ended: Callable[[Job, Ended], None],
) -> None:
    """Start a process for each job, so many `at_once`, and return when all of them ended.

    `locks` names the lock file of a seed. A process inherits the lock and keeps it if this one is killed; a seed that
    is locked is skipped. Once `stopping` is true, no job begins, and each process is asked once to stop (SIGTERM).
    """
    waiting, working, is_asked = list(jobs), list[_Child](), False
    with _all_killed_on_error(working):
        while working or (waiting and not stopping()):
            while waiting and len(working) < at_once and not stopping():
                job = waiting.pop(0)
                child = _start(job, locks(job.seed))
                if child is None:
                    ended(job, Ended(code=None, said=LOCKED))
                    continue
                working.append(child)
                began(job)
            if stopping() and not is_asked:
                is_asked = True
                for child in working:
                    child.process.send_signal(signal.SIGTERM)
            for child in tuple(working):
                code = child.process.poll()
                if code is not None:
                    working.remove(child)
                    ended(child.job, child.ended(code))
            if working:
                sleep(_PAUSE)
    for job in waiting:
        ended(job, Ended(code=None, said="stopped before it began"))


def _start(job: Job, path: Path) -> _Child | None:
    """Return the process of a job; None where another process holds its lock.

    It has the threads that an ordinary run has, however many work at once: bits of bc depend on their number.
    """
    make_directory(path.parent)
    with resource_errors("lock this seed", path):
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
    # The child finds the same modules as this process, and no others: `-c` alone adds the working directory.
    program = f"import sys; sys.path[:] = {sys.path!a}; sys.argv[0] = 'townlet'; from townlet.cli import main; main()"
    errors = TemporaryFile()  # noqa: SIM115 - closed when the process ended
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", program, *job.words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        pass_fds=(lock,),
        process_group=0,  # Ctrl-C reaches this process alone, which asks each child once: a second signal kills
    )
    return _Child(job, process, errors, lock)


@contextmanager
def _all_killed_on_error(working: Sequence[_Child]) -> Iterator[None]:
    """Ask every process to stop where this one fails; none is left behind unseen."""
    try:
        yield
    except BaseException:
        for child in working:
            child.process.terminate()
        raise
