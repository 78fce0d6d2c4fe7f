"""What the tests of worker processes share: play, mishaps, and a look at the processes of the system."""

import os
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from faulty_worlds import FaultyProvider

from townlet.env.workers import with_workers
from townlet.errors import EnvironmentFaultError
from townlet.ports import Environment

WORKER = "townlet.env.worker_process"


def children(of: int | None = None) -> set[int]:
    """Return the workers that a process, this one by default, has as children."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == (of or os.getpid()) and WORKER.encode() in (entry / "cmdline").read_bytes():
                    found.add(int(entry.name))
            except (OSError, ValueError):
                continue
    return found


def running(process: int) -> bool:
    """Tell whether a process is there, and no zombie that can be waited for: its other threads are gone, too."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" or len(list(Path(f"/proc/{process}/task").iterdir())) > 1
    except OSError:
        return False


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def shared_memory() -> int:
    """Return how many blocks of the workers' memory this process has open or mapped."""
    mapped = Path("/proc/self/maps").read_text().count("/memfd:townlet")
    links = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return mapped + sum("/memfd:townlet" in link for link in links)


def digest(environment: Environment, decisions: int) -> str:
    """Play random actions and return a digest of all that is seen."""
    found, observations = sha256(), environment.reset()
    for _ in range(decisions):
        options = len(environment.description.actions.discrete[0].options)
        choices = (observations.keys % np.uint64(options)).astype(np.int64)
        result = environment.step(np.repeat(choices[:, None, None], environment.description.agents, 1))
        observations = result.observations
        tallies = environment.tallies()
        for values in (
            observations.observations, observations.action_mask, observations.alive, observations.keys,
            result.rewards, result.terminations, result.truncations, result.over, tallies.sums, tallies.exposures,
        ):  # fmt: skip
            found.update(values.tobytes())
        if result.over.any():
            observations = environment.reset(result.over)
            found.update(observations.observations.tobytes())
    return found.hexdigest()


def faulty(mishap: str, workers: int, timeout: float | None = None, *, bare: bool = False) -> Environment:
    """Return four worlds of which the third meets a mishap in its third decision."""
    inner = FaultyProvider(mishap=mishap, bare=bare)
    return with_workers(inner, workers, timeout).make("default", worlds=4, seed=7, max_steps=9)


def step_on(environment: Environment) -> None:
    """Play five decisions of four worlds."""
    environment.reset()
    for _ in range(5):
        environment.step(np.zeros((4, 1, 1), np.int64))


def fault(environment: Environment) -> str:
    """Return what goes wrong."""
    with pytest.raises(EnvironmentFaultError) as caught:
        step_on(environment)
    return str(caught.value)
