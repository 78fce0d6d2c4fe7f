"""The views of the town, and a player that plays any of them."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from townlet.env import parallel_env
from townlet.env.lane import TownLaneEnv
from townlet.env.vector import TownVectorEnv

VIEWS: dict[str, Callable[..., Any]] = {
    "parallel": parallel_env,
    "lane": TownLaneEnv,
    "vector": lambda **options: TownVectorEnv(num_envs=16, **options),
}


def play(env: Any, seed: int | None, decisions: int = 40) -> bytes:
    """Return all observations of a view that plays the first legal actions."""
    lanes = getattr(env, "num_envs", None)
    seen, info = env.reset(seed=seed)
    rows = [seen]
    for _ in range(decisions):
        if isinstance(seen, dict):
            action: Any = {a: int(seen[a]["action_mask"].argmax()) for a in env.agents}
        else:
            action = info["action_mask"].argmax(-1)
        seen, info = (out := env.step(action))[0], out[-1]
        rows += [seen, out[1]]
    assert lanes is None or lanes == len(out[1])
    return pickle.dumps([plain(row) for row in rows])


def plain(value: Any) -> Any:
    """Return a value with its arrays as bytes, so that two of them can be compared."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return np.asarray(value).tobytes()
