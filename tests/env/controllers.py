"""Controllers and environments that the tests name in schedules."""

from typing import Any

import gymnasium
import numpy as np

import townlet

CALLS: list[str] = []
"""What `Pid` was told."""


def steer(observation: Any) -> int:
    """Push the cart towards the side to which the pole falls."""
    return int(observation[2] + 0.5 * observation[3] > 0)


@townlet.batched
def steer_all(observations: Any) -> Any:
    """Do the same for all worlds at once."""
    return (observations[:, 2] + 0.5 * observations[:, 3] > 0).astype(np.int64)


def guess(_: Any, rng: np.random.Generator, mask: Any) -> int:
    """Choose at random among the legal options."""
    return int(rng.choice(np.flatnonzero(mask)))


class Pid:
    """Sums the angle up over an episode."""

    def __init__(self) -> None:
        self.integral = 0.0

    def reset(self, world: int) -> None:
        """Forget the last episode."""
        CALLS.append(f"reset {world}")
        self.integral = 0.0

    def __call__(self, observation: Any) -> int:
        """Push by angle, its sum and its velocity."""
        self.integral += float(observation[2])
        return int(observation[2] + 0.5 * observation[3] + 0.01 * self.integral > 0)


def make(gravity: float = 9.8) -> gymnasium.Env[Any, Any]:
    """Return a cart and pole with another gravity."""
    environment = gymnasium.make("CartPole-v1")
    environment.unwrapped.gravity = gravity  # type: ignore[attr-defined]
    return environment


def nothing() -> None:
    """Make no environment."""
