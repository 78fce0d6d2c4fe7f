"""A worker: a process that steps a shard of worlds for another one, command by command.

It is started as a new Python program and not as a fork: a fork of a process with threads (BLAS, numba, torch) may hang
in a lock that no thread will ever open. It imports what the provider needs and nothing else.
"""

import os
import pickle
import runpy
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from select import poll
from time import sleep
from types import ModuleType
from typing import Any

from attrs import frozen

from townlet.env.shared_block import SharedBlock
from townlet.errors import BadInputError, EnvironmentFaultError, TownletError
from townlet.ports import Environment, EnvironmentProvider, close

__all__ = ["GRACE", "IN_WORKER", "Failure", "MakeCommand", "main"]

IN_WORKER = "TOWNLET_WORKER"
"""Name of the environment variable that is set in a worker."""
GRACE = 2.0
"""Seconds that an environment has to close itself before its worker is ended."""

_SCRIPT = "__mp_main__"
"""Name under which a worker runs the parent's script again; the name that `multiprocessing` gives it too."""


@frozen(kw_only=True)
class MakeCommand:
    """What a worker must know to make its shard."""

    provider: bytes
    """The pickled provider."""
    script: tuple[str, str] | None
    """Where the provider is defined in the parent's main program: ``path`` and a file, or ``module`` and a name."""
    scenario: str
    worlds: int
    seed: int
    max_steps: int
    first_world: int


@frozen(kw_only=True)
class Failure:
    """What an environment raised."""

    error: type[TownletError]
    """BadInputError or EnvironmentFaultError."""
    message: str
    """Its words."""
    foreign: bool = False
    """True where the words are those of any other error, and say neither world nor environment."""

    @classmethod
    def of(cls, error: Exception) -> "Failure":
        """Return an error as it travels: by its words, because any other part of it may not be picklable."""
        if not isinstance(error, TownletError):
            return cls(error=EnvironmentFaultError, message=f"{type(error).__name__}: {error}", foreign=True)
        family = BadInputError if isinstance(error, BadInputError) else EnvironmentFaultError
        return cls(error=family, message=str(error))


class _Worker:
    """The commands, each a method; what one returns is the answer."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._environment: Environment | None = None
        self._block: SharedBlock | None = None
        self._ran_script = False

    def make(self, command: MakeCommand) -> None:
        """Make the shard."""
        if command.script is not None and not self._ran_script:
            _run_script(*command.script)
            self._ran_script = True
        environment = _provider(command.provider).make(
            command.scenario,
            worlds=command.worlds,
            seed=command.seed,
            max_steps=command.max_steps,
            first_world=command.first_world,
        )
        self._environment = environment
        self._block = SharedBlock(environment.description, environment.worlds, self._descriptor)
        self._block.write(environment.tallies())

    def reset(self) -> None:
        """Reset the worlds that the block names."""
        environment, block = self._open()
        block.write(environment.reset(block.arrays["chosen"].copy()))
        block.write(environment.tallies())

    def step(self) -> None:
        """Play one decision with the actions in the block."""
        environment, block = self._open()
        result = environment.step(block.arrays["actions"].copy())
        block.write(result)
        block.write(result.observations)
        block.write(environment.tallies())

    def snapshot(self) -> bytes:
        """Return the shard's state."""
        return self._open()[0].snapshot()

    def restore(self, state: bytes) -> None:
        """Continue from a snapshot."""
        environment, block = self._open()
        environment.restore(state)
        block.write(environment.tallies())

    def close(self) -> None:
        """Drop the shard."""
        if self._environment is not None:
            close(self._environment)
        self._environment = self._block = None

    def _open(self) -> tuple[Environment, SharedBlock]:
        assert self._environment is not None, "make comes before every other command"
        assert self._block is not None, "make comes before every other command"
        return self._environment, self._block


def _provider(pickled: bytes) -> EnvironmentProvider:
    """Return the provider that the parent process sent; BadInputError where it cannot be read here."""
    try:
        provider: EnvironmentProvider = pickle.loads(pickled)  # noqa: S301 - the parent process sent it
    except Exception as error:  # what it imports is foreign code
        raise BadInputError(
            f"a worker process cannot read the environment that it was sent ({type(error).__name__}: {error}); define "
            "it at the top level of a module that can be imported, or set workers: 0"
        ) from error
    return provider


def _run_script(kind: str, name: str) -> None:
    """Run the parent's main program under another name, for what it defines; BadInputError where it does not end."""
    module = sys.modules[_SCRIPT] = ModuleType(_SCRIPT)
    try:
        run = runpy.run_path if kind == "path" else runpy.run_module
        module.__dict__.update(run(name, run_name=_SCRIPT))
    except BaseException as error:  # the script may raise anything, SystemExit included
        first = (str(error).splitlines() or [""])[0]
        raise BadInputError(
            f"{name}: a worker process ran it again, for the environment that it defines, and met "
            f"{type(error).__name__}: {first}; put what starts the run under `if __name__ == '__main__':`, or define "
            "the environment in a module of its own"
        ) from error
    sys.modules["__main__"] = module


def _pass(number: int, frame: object) -> None:
    """Do nothing on a signal."""


def _watch(descriptor: int) -> None:
    """End this process soon after the other end of a socket is closed, even while an environment hangs."""
    hung_up = poll()
    hung_up.register(descriptor, 0)
    hung_up.poll()
    sleep(GRACE)
    os._exit(1)


def main(socket: int, memory: int) -> None:
    """Serve commands from a socket until its other end is closed.

    Signals that end a program from outside go to the parent, which stops at its safe point and closes the socket.
    """
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(
            each, _pass
        )  # a function and not SIG_IGN, which processes that an environment starts would inherit
    for descriptor in (socket, memory):
        os.set_inheritable(descriptor, False)
    connection, worker = Connection(socket), _Worker(memory)
    threading.Thread(target=_watch, args=(socket,), daemon=True).start()
    with suppress(EOFError, OSError):
        while True:
            name, *arguments = connection.recv()
            answer: Any
            try:
                answer = getattr(worker, name)(*arguments)
            except Exception as error:  # noqa: BLE001 - foreign code: the parent raises what it raised
                answer = Failure.of(error)
            connection.send(answer)
    worker.close()
