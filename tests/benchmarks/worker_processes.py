"""What worker processes gain: decisions a second of 64 worlds whose step costs a given time, for 0, 1 and 2 workers.

`python tests/benchmarks/worker_processes.py [microseconds …]` prints medians of five runs, the counts taken in turn.
"""

import sys
from collections.abc import Sequence
from statistics import median
from time import perf_counter
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from townlet.env.gymnasium_provider import GymnasiumProvider
from townlet.env.workers import with_workers
from townlet.ports import Environment, EnvironmentProvider, close

WORLDS, REPEATS, WORKERS, SECONDS = 64, 5, (0, 1, 2), 0.5
COSTS = (10.0, 20.0, 50.0, 100.0, 200.0, 1000.0)
"""Microseconds of a step."""


class Busy(gymnasium.Env[Any, Any]):
    """Computes for so many microseconds a step, and never ends."""

    observation_space = spaces.Box(-1.0, 1.0, (8,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, cost: float) -> None:
        self.cost, self.seen = cost * 1e-6, np.zeros(8, np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin."""
        return self.seen, {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Wait by working."""
        end = perf_counter() + self.cost
        while perf_counter() < end:
            pass
        return self.seen, 1.0, False, False, {}


def rate(environment: Environment, decisions: int) -> float:
    """Return decisions a second."""
    environment.reset()
    actions = np.zeros((environment.worlds, 1, 1), np.int64)
    for _ in range(5):
        environment.step(actions)
    began = perf_counter()
    for _ in range(decisions):
        environment.step(actions)
    seconds = perf_counter() - began
    close(environment)
    return decisions / seconds


def medians(inner: EnvironmentProvider, decisions: int) -> list[float]:
    """Return the median rate for each number of workers."""
    providers = [with_workers(inner, workers) for workers in WORKERS]
    rates: list[list[float]] = [[] for _ in WORKERS]
    for _ in range(REPEATS):
        for provider, found in zip(providers, rates, strict=True):
            found.append(rate(provider.make("default", worlds=WORLDS, seed=1, max_steps=10**9), decisions))
    return [median(found) for found in rates]


def main(costs: Sequence[float]) -> None:
    """Print a row for each cost."""
    for cost in costs:
        found = medians(
            GymnasiumProvider("Busy", {"cost": cost}, factory=Busy), max(10, int(SECONDS / (WORLDS * cost * 1e-6)))
        )
        columns = "  ".join(f"{n}: {x:8.1f}/s ({x / found[0]:.2f})" for n, x in zip(WORKERS, found, strict=True))
        sys.stdout.write(f"{cost:7g} µs a step  {columns}\n")


if __name__ == "__main__":
    main([float(word) for word in sys.argv[1:]] or COSTS)
