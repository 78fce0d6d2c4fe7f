"""Any environment in worker processes: each steps a shard of the worlds, and their arrays are shared memory."""

import json
import os
import pickle
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any, cast
from weakref import finalize

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from townlet.dto.actions import Actions
from townlet.dto.boundary import ObservationBatchDTO, StepResult
from townlet.env.shared_block import SharedBlock, gather
from townlet.env.worker_link import LostWorkerError, WorkerPool, stop
from townlet.env.worker_process import IN_WORKER, Failure, MakeCommand
from townlet.errors import BadInputError, EnvironmentFaultError
from townlet.ports import (
    Environment,
    EnvironmentDescription,
    EnvironmentProvider,
    Script,
    ScriptableProvider,
    Tallies,
    Teacher,
    close,
)

__all__ = ["ScriptableWorkerProvider", "WorkerEnvironment", "WorkerProvider", "with_workers"]

_SNAPSHOT = b"townlet workers 1\n"


@frozen(kw_only=True, eq=False)
class WorkerProvider:
    """Makes the environments of another provider in worker processes, which it keeps for the next ones."""

    inner: EnvironmentProvider
    """Provider that each worker makes its shard with."""
    workers: int
    """The most processes for one environment, each with at least one world."""
    step_timeout: float | None = None
    """Seconds after which a worker that does not answer is killed; None: never."""
    _pool: WorkerPool = field(factory=WorkerPool.shared, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if IN_WORKER in os.environ:
            raise BadInputError("a worker process cannot have workers itself; set workers: 0 there")

    def describe(self, scenario: str) -> EnvironmentDescription:
        """Return the inner provider's description."""
        return self.inner.describe(scenario)

    def make(self, scenario: str, *, worlds: int, seed: int, max_steps: int, first_world: int = 0) -> Environment:
        """Return worlds in at most `workers` processes; a single world, and all with 0 workers, in this one.

        BadInputError for a provider that cannot be sent to a process.
        """
        count = min(self.workers, worlds)
        if worlds < 2 or not count:
            return self.inner.make(scenario, worlds=worlds, seed=seed, max_steps=max_steps, first_world=first_world)
        description = self.inner.describe(scenario)
        provider = _pickled(self.inner, description.id)
        bounds = [first_world + worlds * shard // count for shard in range(count + 1)]
        shards = [
            MakeCommand(
                provider=provider,
                script=_script(description.id) if b"__main__" in provider else None,
                scenario=scenario,
                worlds=end - first,
                seed=seed,
                max_steps=max_steps,
                first_world=first,
            )
            for first, end in pairwise(bounds)
        ]
        return WorkerEnvironment(description, shards, self._pool, self.step_timeout)

    def start(self, scenario: str) -> None:
        """Have the workers make two worlds once; BadInputError where they cannot have the environment."""
        if self.inner.describe(scenario).most_worlds != 1:
            close(self.make(scenario, worlds=2, seed=0, max_steps=1))

    def teacher(self, scenario: str, name: str) -> Teacher:
        """Return a scripted policy of the inner provider; teachers act in this process."""
        return self.inner.teacher(scenario, name)


@frozen(kw_only=True, eq=False)
class ScriptableWorkerProvider(WorkerProvider):
    """The same for a provider that makes teachers of functions."""

    def teacher_of(self, script: Script) -> Teacher:
        """Return a teacher that asks the script for each living agent."""
        return cast(ScriptableProvider, self.inner).teacher_of(script)


def with_workers(inner: EnvironmentProvider, workers: int, step_timeout: float | None = None) -> EnvironmentProvider:
    """Return a provider whose environments are stepped by so many processes; the same one where there are none."""
    if not workers:
        return inner
    kind = ScriptableWorkerProvider if isinstance(inner, ScriptableProvider) else WorkerProvider
    return kind(inner=inner, workers=workers, step_timeout=step_timeout)


def _pickled(inner: EnvironmentProvider, name: str) -> bytes:
    try:
        return pickle.dumps(inner)
    except Exception as error:  # pickle raises what it likes, and so do classes with a method for it
        raise BadInputError(
            f"environment {name} cannot be sent to a worker process ({error}); define it at the top level of a module, "
            "or set workers: 0"
        ) from error


def _script(name: str) -> tuple[str, str]:
    """Return where a worker finds what the main program defines; BadInputError where it is no file."""
    program = sys.modules["__main__"]
    spec, path = getattr(program, "__spec__", None), getattr(program, "__file__", None)
    if spec is not None:
        return "module", str(spec.name)
    if path is None or not Path(path).is_file():
        raise BadInputError(
            f"environment {name} is defined in an interactive session, which a worker process cannot run again; define "
            "it in a module, or set workers: 0"
        )
    return "path", str(Path(path).absolute())


class WorkerEnvironment:
    """W worlds of an environment, in shards of neighbours that processes step at the same time.

    The processes are given back when `close` is called or the environment is garbage, and end with this process. After
    an error of an environment, or the end of a process, all are ended, and every further call raises.
    """

    def __init__(
        self,
        description: EnvironmentDescription,
        shards: Sequence[MakeCommand],
        pool: WorkerPool,
        step_timeout: float | None,
    ) -> None:
        """Make the shards, all at once."""
        self.description, self.worlds = description, sum(shard.worlds for shard in shards)
        self._shards, self._timeout, self._decisions = shards, step_timeout, 0
        self._links = pool.take(len(shards))
        self._give_back = finalize(self, pool.give_back, self._links)
        self._blocks = [
            SharedBlock(description, shard.worlds, link.memory) for shard, link in zip(shards, self._links, strict=True)
        ]
        self._starts = np.cumsum([0, *(shard.worlds for shard in shards)])
        self._ask("make", shards)

    def reset(self, worlds: NDArray[np.bool_] | None = None) -> ObservationBatchDTO:
        """Begin the next episode in the marked worlds [W], all by default."""
        chosen = np.ones(self.worlds, np.bool_) if worlds is None else worlds
        self._share("chosen", chosen)
        asked = [i for i, block in enumerate(self._blocks) if block.arrays["chosen"].any()]
        self._ask("reset", asked=asked)
        return gather(ObservationBatchDTO, self._blocks)

    def step(self, actions: Actions) -> StepResult:
        """Play one decision, actions [W, N, C]; a bad one raises BadInputError and changes nothing."""
        spec, rows = self.description.actions, (self.worlds, self.description.agents)
        if isinstance(actions, np.ndarray) and actions.shape == spec.stored_shape(*rows):
            actions = actions.reshape(*rows, spec.columns)
        problem = spec.problem(actions, *rows)
        if problem:
            raise BadInputError(f"step: {problem}")
        self._share("actions", actions)
        self._decisions += 1
        self._ask("step")
        return gather(StepResult, self._blocks, observations=gather(ObservationBatchDTO, self._blocks))

    def tallies(self) -> Tallies:
        """Return the KPI sums of each world over its running or just finished episode."""
        self._check_open()
        return gather(Tallies, self._blocks)

    def snapshot(self) -> bytes:
        """Return the state of all shards; empty bytes where the environment offers none."""
        states = self._ask("snapshot")
        if not all(states):
            return b""
        sizes = [[shard.worlds, len(state)] for shard, state in zip(self._shards, states, strict=True)]
        return b"".join([_SNAPSHOT, json.dumps(sizes).encode(), b"\n", *states])

    def restore(self, state: bytes) -> None:
        """Go on from a snapshot of as many worlds in as many workers; BadInputError for any other."""
        self._ask("restore", self._states(state))

    def close(self) -> None:
        """Give the processes back; every further call raises EnvironmentFaultError."""
        self._give_back()

    def _states(self, state: bytes) -> list[bytes]:
        """Return the snapshots of the shards."""
        ours = [shard.worlds for shard in self._shards]
        try:
            head, rest = state.removeprefix(_SNAPSHOT).split(b"\n", 1)
            sizes = json.loads(head)
            theirs, ends = [int(worlds) for worlds, _ in sizes], np.cumsum([0, *(int(size) for _, size in sizes)])
        except (ValueError, TypeError):
            theirs, ends, rest = [], np.zeros(1, np.int64), b""
        if not state.startswith(_SNAPSHOT) or theirs != ours or ends[-1] != len(rest):
            raise BadInputError(
                f"environment {self.description.id}: the snapshot is none of {len(ours)} workers with {ours} worlds; "
                "set workers to what it was when the snapshot was taken"
            )
        return [rest[start:end] for start, end in pairwise(ends)]

    def _share(self, name: str, values: NDArray[Any]) -> None:
        """Write each shard's part of an array [W, …] into its block."""
        self._check_open()
        for block, start, end in zip(self._blocks, self._starts, self._starts[1:], strict=False):
            block.arrays[name][...] = values[start:end]

    def _check_open(self) -> None:
        """Raise where the processes are gone, or where an interrupt has left an answer behind."""
        if self._give_back.alive and not any(link.waits for link in self._links):
            return
        self._stop()
        raise EnvironmentFaultError(
            f"{self._place(range(len(self._links)))}: the worker processes have ended; make it again"
        )

    def _ask(
        self, command: str, arguments: Sequence[Any] | None = None, asked: Sequence[int] | None = None
    ) -> list[Any]:
        """Send a command to the shards `asked`, all by default, each with its argument; return their answers.

        What went wrong first, in the order of worlds, is raised.
        """
        self._check_open()
        asked = range(len(self._links)) if asked is None else asked
        for i in asked:
            self._links[i].send(command, *([] if arguments is None else [arguments[i]]))
        is_timed = command in {"reset", "step"} and self._timeout is not None
        deadline = monotonic() + (self._timeout or 0.0) if is_timed else None
        answers = []
        for i in asked:
            try:
                answers.append(self._links[i].receive(deadline))
            except LostWorkerError as lost:
                self._stop()
                raise EnvironmentFaultError(
                    f"{self._place([i])}: its worker process {lost}; retry the run, or set workers: 0 to see what "
                    "happens in this process"
                ) from None
            except TimeoutError:
                self._stop()
                raise EnvironmentFaultError(
                    f"{self._place([i])}: no answer in {self._timeout:g} s, and its worker process was killed; raise "
                    "step_timeout, or retry the run"
                ) from None
        self._raise(asked, answers)
        return answers

    def _raise(self, asked: Sequence[int], answers: Sequence[Any]) -> None:
        """Raise the first failure; where a shard went on, they are no longer at the same decision, and all end."""
        failures = [(i, answer) for i, answer in zip(asked, answers, strict=True) if isinstance(answer, Failure)]
        if not failures:
            return
        if len(failures) < len(answers) or not all(failure.error is BadInputError for _, failure in failures):
            self._stop()
        i, first = failures[0]
        raise first.error(f"{self._place([i])}: {first.message}" if first.foreign else first.message)

    def _stop(self) -> None:
        """End the processes for good."""
        if self._give_back.detach() is not None:
            stop(self._links)

    def _place(self, shards: Sequence[int]) -> str:
        first, end = self._shards[0].first_world + self._starts[[shards[0], shards[-1] + 1]]
        worlds = f"world {first}" if end - first == 1 else f"worlds {first}–{end - 1}"
        place = f"environment {self.description.id}/{self.description.scenario}"
        return f"{place}: {worlds} of seed {self._shards[0].seed} at decision {self._decisions}"
