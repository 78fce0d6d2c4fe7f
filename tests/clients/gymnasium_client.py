"""Gymnasium's own check over a lane, then a day of the vector environment through a wrapper, choosing by the masks."""

import gymnasium
import numpy as np
from counting import count, report
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers.vector import RecordEpisodeStatistics

NAME = "townlet.env.registration:Townlet/small_town-v0"


def main() -> None:
    """Check a lane, and play a day."""
    check_env(gymnasium.make(NAME, days=1).unwrapped, skip_render_check=True)
    town = RecordEpisodeStatistics(gymnasium.make_vec(NAME, num_envs=64, days=1))
    _, infos = town.reset(seed=1)
    rng = np.random.default_rng(1)
    for _ in range(240):
        masks = infos["action_mask"]
        actions = np.array([rng.choice(np.flatnonzero(mask)) for mask in masks])
        count(actions, masks)
        _, _, _, _, infos = town.step(actions)
    report(checker="check_env passed", updates="has no learner")


if __name__ == "__main__":
    main()
