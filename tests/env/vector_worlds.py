"""Vector environments that the tests hand in: a module of their own, because workers import them too."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import batch_space

DISABLED, SAME_STEP, NEXT_STEP = AutoresetMode.DISABLED, AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP


def cartpoles(num_envs: int, mode: str = "Disabled") -> VectorEnv[Any, Any, Any]:
    """Return so many carts and poles."""
    kwargs = {"autoreset_mode": AutoresetMode(mode)}
    return gymnasium.make_vec("CartPole-v1", num_envs=num_envs, vectorization_mode="sync", vector_kwargs=kwargs)


class Rich(gymnasium.Env[Any, Any]):
    """Shows a Dict and a Tuple, takes a Dict, forbids options in its info, and ends after some decisions."""

    observation_space = spaces.Dict(
        {
            "gear": spaces.Discrete(3, start=-1),
            "arm": spaces.Tuple((spaces.Box(-1, 1, (2, 2), np.float64), spaces.MultiBinary(2))),
            "dials": spaces.MultiDiscrete([2, 3], start=[0, 5]),
        }
    )
    action_space = spaces.Dict(
        {
            "force": spaces.Box(-2.0, 5.0, (2,), np.float32),
            "moves": spaces.MultiDiscrete([2, 3]),
            "turn": spaces.Discrete(2, start=4),
        }
    )

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Draw how long the episode is."""
        super().reset(seed=seed)
        self.t, self.end = 0, int(self.np_random.integers(3, 9))
        return self.look(), self.info()

    def look(self) -> dict[str, Any]:
        """Draw what is seen."""
        number = self.np_random.random()
        return {
            "gear": self.t % 3 - 1,
            "arm": (np.full((2, 2), number), np.array([self.t % 2, 1], np.int8)),
            "dials": np.array([self.t % 2, 5 + self.t % 3]),
        }

    def info(self) -> dict[str, Any]:
        """Forbid one option of three; say a number in some decisions, and whether it went well in the last."""
        allowed = np.ones(7, np.int8)
        allowed[2 + self.t % 3] = 0
        info: dict[str, Any] = {"action_mask": allowed, "cost": {"fuel": float(self.t)}}
        return info | ({"is_success": self.end % 2 == 0} if self.t == self.end else {})

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Refuse what the mask forbids; pay for force."""
        if action["moves"][1] == self.t % 3:
            raise ValueError("a move that the mask forbids")
        assert action["turn"] in (4, 5)
        self.t += 1
        is_over = self.t == self.end
        paid = float(action["force"].sum()) + int(action["moves"][0])
        return self.look(), paid, is_over and self.end > 5, is_over, self.info()


def riches(num_envs: int, mode: AutoresetMode = DISABLED) -> VectorEnv[Any, Any, Any]:
    """Return so many of them."""
    return SyncVectorEnv([Rich] * num_envs, autoreset_mode=mode)


class Batch(VectorEnv[Any, Any, Any]):
    """Counts in all worlds at once, without environments of its own; what it answers can be made wrong."""

    metadata = {"autoreset_mode": DISABLED}  # noqa: RUF012 - Gymnasium declares it so
    single_observation_space = spaces.Box(-9, 99, (2,), np.float32)
    single_action_space = spaces.Discrete(2)

    def __init__(self, num_envs: int, **wrong: Any) -> None:
        self.num_envs, self.wrong, self.infos = num_envs, wrong, dict[str, Any]()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.seen = np.zeros((num_envs, 2), np.float32)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin anew in the marked worlds; in all of them where that is what is wrong."""
        marked = np.ones(self.num_envs, np.bool_)
        if options is not None and not self.wrong.get("ignores_mask"):
            marked = options["reset_mask"]
        for w in np.flatnonzero(marked):
            self.seen[w] = 0, np.random.default_rng(seed[w]).random()
        return self.seen.copy(), self.infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Count; an answer is replaced by what is given under its name."""
        if "error" in self.wrong:
            raise self.wrong["error"]
        assert self.action_space.contains(actions)
        self.seen[:, 0] += 1
        ended = self.seen[:, 0] >= 3
        answer = {"observations": self.seen.copy(), "rewards": np.ones(self.num_envs), "terminations": ended}
        answer |= {"truncations": np.zeros(self.num_envs, np.bool_), "infos": self.infos}
        return tuple({name: self.wrong.get(name, part) for name, part in answer.items()}.values())  # type: ignore[return-value]
