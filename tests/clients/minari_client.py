"""Minari records days of a lane, played at random under the masks, and reads back what was played.

It needs Pillow, which no requirement and no extra of its package names.
"""

import os
import tempfile
from typing import Any

import gymnasium
import minari
import numpy as np
from counting import count, report

NAME = "townlet.env.registration:Townlet/small_town-v0"


def main() -> None:
    """Record three episodes, compare them with what was played, and build the lane again from the data set."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MINARI_DATASETS_PATH"] = folder
        recorder = minari.DataCollector(gymnasium.make(NAME, days=1), record_infos=True)
        played = [play_a_day(recorder, seed) for seed in range(3)]
        recorder.create_dataset("townlet/day-v0", algorithm_name="random under masks")
        dataset = minari.load_dataset("townlet/day-v0")
        for (actions, rewards), episode in zip(played, dataset.iterate_episodes(), strict=True):
            np.testing.assert_array_equal(actions, episode.actions)
            np.testing.assert_array_equal(rewards, episode.rewards)
            masks = episode.infos["action_mask"][:-1]
            count(episode.actions, masks)
        lane = dataset.recover_environment()
        first, _ = lane.reset(seed=0)
        np.testing.assert_array_equal(first, dataset[0].observations[0])
    report(checker="has none; 3 episodes read back as played, lane built from the data set", updates="has no learner")


def play_a_day(lane: Any, seed: int) -> tuple[list[int], list[float]]:
    """Play one episode; return its actions and rewards."""
    rng, actions, rewards, over = np.random.default_rng(seed), [], [], False
    _, info = lane.reset(seed=seed)
    while not over:
        actions.append(int(rng.choice(np.flatnonzero(info["action_mask"]))))
        _, reward, died, out_of_time, info = lane.step(actions[-1])
        rewards.append(reward)
        over = died or out_of_time
    return actions, rewards


if __name__ == "__main__":
    main()
