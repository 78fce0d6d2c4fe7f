"""Environments that go wrong in a worker process: a module of their own, because the worker imports it too."""

import os
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from attrs import evolve, field, frozen
from gymnasium import spaces

from townlet.env.gymnasium_provider import GymnasiumProvider
from townlet.env.gymnasium_worlds import GymnasiumWorlds
from townlet.env.info_tallies import InfoTallies
from townlet.errors import BadInputError
from townlet.ports import EnvironmentDescription, Teacher


def _raise() -> None:
    raise ZeroDivisionError("a pole of no length")


def _refuse() -> None:
    raise BadInputError("the task file is empty")


def _write() -> None:
    sys.stdout.write("out\n")
    os.write(1, b"below\n")
    sys.stdout.flush()


MISHAPS: Mapping[str, Any] = {
    "raise": _raise,
    "refuse": _refuse,
    "exit": lambda: os._exit(3),
    "leave": lambda: sys.exit("enough"),
    "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "hang": lambda: time.sleep(600),
    "print": _write,
    "nothing": lambda: None,
}


class Faulty(gymnasium.Env[Any, Any]):
    """Something happens in the third decision of the third world."""

    observation_space = spaces.Box(0.0, 1.0, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, mishap: str) -> None:
        self.mishap, self.count, self.is_closed = mishap, 0, False

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin anew."""
        super().reset(seed=seed)
        self.count = 0
        return self.np_random.random(2, np.float32), {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Count."""
        self.count += 1
        if self.count == 3:
            MISHAPS[self.mishap]()
        return self.np_random.random(2, np.float32), 1.0, self.count == 9, False, {}

    def close(self) -> None:
        """Remember it."""
        self.is_closed = True


@frozen(kw_only=True)
class FaultyProvider:
    """Makes worlds of which number 2 meets a mishap; the bare ones let an error pass as it is."""

    mishap: str = "nothing"
    bare: bool = False
    luggage: Any = field(default=None, eq=False)

    def describe(self, scenario: str) -> EnvironmentDescription:
        """Return the description."""
        return evolve(GymnasiumProvider("CartPole-v1").describe("default"), id="faulty", features=("a", "b"))

    def make(self, scenario: str, *, worlds: int, seed: int, max_steps: int, first_world: int = 0) -> GymnasiumWorlds:
        """Make them."""
        kind = _Bare if self.bare else GymnasiumWorlds
        envs = [Faulty(self.mishap if first_world + w == 2 else "nothing") for w in range(worlds)]
        return kind(
            self.describe(scenario),
            envs,
            GymnasiumProvider("tests:faulty", factory=lambda: Faulty("nothing")).layouts(),
            InfoTallies({}, worlds),
            seed=seed,
            max_steps=max_steps,
            first_world=first_world,
        )

    def teacher(self, scenario: str, name: str) -> Teacher:
        """Offer none."""
        raise BadInputError(f"no teacher {name}")


class _Bare(GymnasiumWorlds):
    """Lets errors of the environment pass without their place."""

    def _fault(self, w: int, call: str, error: Exception) -> Any:
        return error
