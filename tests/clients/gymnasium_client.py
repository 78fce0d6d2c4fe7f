"""Gymnasium's own check over a lane, and a day of the vector environment, choosing by the masks."""

import sys

import gymnasium
import numpy as np
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers.vector import RecordEpisodeStatistics

NAME = "townlet.env.registration:Townlet/small_town-v0"


def main() -> None:
    """Check a lane, play a day, and count actions that were not legal."""
    check_env(gymnasium.make(NAME, days=1).unwrapped, skip_render_check=True)
    town = gymnasium.make_vec(NAME, num_envs=64, days=1)
    lanes, rng, count, illegal = RecordEpisodeStatistics(town), np.random.default_rng(1), 0, 0
    lanes.reset(seed=1)
    for _ in range(240):
        masks = np.asarray(town.unwrapped.action_masks())
        actions = np.array([rng.choice(np.flatnonzero(mask)) for mask in masks])
        illegal += int((~masks[np.arange(len(actions)), actions]).sum())
        count += len(actions)
        lanes.step(actions)
    sys.stdout.write(f"check_env passed\n{count} actions, {illegal} illegal, no update\n")


if __name__ == "__main__":
    main()
