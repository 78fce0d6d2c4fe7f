"""One worker process as its parent sees it: commands out, answers in, and what it says when there is none."""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from multiprocessing.connection import Connection
from time import monotonic
from typing import Any, ClassVar
from weakref import WeakSet, finalize

from townlet.env.shared_block import anonymous_file
from townlet.env.worker_process import GRACE, IN_WORKER

__all__ = ["LostWorkerError", "WorkerLink", "WorkerPool"]

_PROGRAM = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = sys.argv[3:]; "
    "from townlet.env.worker_process import main; main(int(sys.argv[1]), int(sys.argv[2]))"
)
"""Ctrl-C is ignored before anything is imported, and modules are looked for where the parent does."""
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Each worker has one thread, unless the person at the keyboard said otherwise: the workers are the parallelism."""
_LIVENESS = 1.0
"""Seconds between two looks at a process that is silent; one that ends closes its socket, which is seen at once."""


class LostWorkerError(Exception):
    """A worker process ended; the message says how."""


class WorkerLink:
    """Starts a worker process and talks with it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        self.memory = anonymous_file()
        """Descriptor of the memory that both processes map."""
        ends = [theirs.fileno(), self.memory]
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", _PROGRAM, *map(str, ends), *map(str, sys.path)],
            pass_fds=ends,
            stdin=subprocess.DEVNULL,
            env=dict.fromkeys(_THREADS, "1") | os.environ | {IN_WORKER: "1"},
        )
        theirs.close()
        self._connection = Connection(ours.detach())
        self._arrivals = select.poll()
        self._arrivals.register(self._connection, select.POLLIN)
        self._parent = os.getpid()
        self.waits = False
        """Whether a command has no answer yet."""

    @property
    def is_running(self) -> bool:
        """Tell whether the process is there."""
        return self._process.poll() is None

    @property
    def is_ours(self) -> bool:
        """Tell whether this process started it: in a fork of the parent it is the parent's, and is left alone."""
        return self._parent == os.getpid()

    def run_on(self, processors: list[int]) -> None:
        """Limit the process to some processors."""
        with suppress(OSError):  # that the process is gone is said where its answer is missing
            os.sched_setaffinity(self._process.pid, processors)

    def send(self, *command: Any) -> None:
        """Send the name of a command and its arguments."""
        self.waits = True
        with suppress(OSError):  # that the process is gone is said where its answer is missing
            self._connection.send(command)

    def receive(self, deadline: float | None = None) -> Any:
        """Return the answer; TimeoutError after the deadline of `monotonic`, LostWorkerError if the process ended."""
        if not self._has_answer(deadline):
            raise TimeoutError
        try:
            answer = self._connection.recv()
        except (EOFError, OSError):
            raise LostWorkerError(self._end_in_words()) from None
        self.waits = False
        return answer

    def _has_answer(self, deadline: float | None) -> bool:
        """Wait for an answer or the end of the process; return False after the deadline."""
        rest = _LIVENESS if deadline is None else max(0.0, min(_LIVENESS, deadline - monotonic()))
        while not self._arrivals.poll(1000 * rest):
            if self._process.poll() is not None:
                raise LostWorkerError(self._end_in_words())
            if deadline is not None:
                rest = min(_LIVENESS, deadline - monotonic())
                if rest <= 0:
                    return False
        return True

    def hang_up(self) -> None:
        """Tell the process to end, by closing the socket; one that has not answered is killed."""
        if not self.is_ours or self._connection.closed:
            return
        if self.waits:
            self._process.kill()
        self._connection.close()
        os.close(self.memory)

    def join(self) -> None:
        """Wait for the end of a process that was told to end; kill it where it does not."""
        if not self.is_ours:
            return
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _end_in_words(self) -> str:
        try:
            code = self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            return "closed its connection"
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def stop(links: Iterable[WorkerLink]) -> None:
    """End processes, all at once."""
    ended = list(links)
    for link in ended:
        link.hang_up()
    for link in ended:
        link.join()


class WorkerPool:
    """Processes that are ready for another shard: a new one costs the import of the environment's libraries.

    All providers of this process share one pool; its processes end with the last provider or environment.
    """

    _shared: ClassVar["WeakSet[WorkerPool]"] = WeakSet()

    @classmethod
    def shared(cls) -> "WorkerPool":
        """Return the pool of this process, a new one where nobody has one."""
        for pool in cls._shared:
            return pool
        pool = cls()
        cls._shared.add(pool)
        return pool

    def __init__(self) -> None:
        self._idle: list[WorkerLink] = []
        finalize(self, _stop_all, self._idle)

    def take(self, count: int) -> list[WorkerLink]:
        """Return so many processes, idle ones first, each on processors of its own where there are enough.

        Linux wakes whoever waits at a socket on the processor of the one that writes to it, because that one mostly
        goes to sleep; two workers, woken one after the other, would take turns on it, and be no faster than one.
        """
        stop(link for link in self._idle if not link.is_running)
        self._idle[:] = [link for link in self._idle if link.is_running]
        links = [self._idle.pop() if self._idle else WorkerLink() for _ in range(count)]
        if hasattr(os, "sched_setaffinity"):
            processors = sorted(os.sched_getaffinity(0))
            for i, link in enumerate(links):
                link.run_on(processors[i::count] or processors)
        return links

    def give_back(self, links: list[WorkerLink]) -> None:
        """Close the shards of processes and keep these; end those that wait for an environment or do not answer."""
        idle = [link for link in links if link.is_ours and not link.waits]
        for link in idle:
            link.send("close")
        for link in idle:
            with suppress(LostWorkerError, TimeoutError):
                link.receive(monotonic() + GRACE)
        self._idle.extend(link for link in idle if not link.waits)
        stop(link for link in links if link.waits)


def _stop_all(links: list[WorkerLink]) -> None:
    stop(links)
    links.clear()
