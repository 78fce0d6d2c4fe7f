"""MaskablePPO of sb3-contrib trains on the town's lanes, through VecMonitor, and counts actions that are not legal."""

import sys

import numpy as np
from sb3_contrib import MaskablePPO
from stable_baselines3.common.vec_env import VecMonitor

from townlet.env.sb3 import TownVecEnv


class CountingTown(TownVecEnv):
    """A town that counts the actions it is given and those that its masks forbid."""

    count = illegal = 0

    def step_async(self, actions: np.ndarray) -> None:
        """Count, and play."""
        self.count += len(actions)
        self.illegal += int((~self.action_masks()[np.arange(len(actions)), actions]).sum())
        super().step_async(actions)


def main() -> None:
    """Train three updates."""
    town = CountingTown(num_envs=64, days=1)
    MaskablePPO("MlpPolicy", VecMonitor(town), n_steps=32, batch_size=256, device="cpu", seed=1).learn(3 * 64 * 32)
    sys.stdout.write(f"{town.count} actions, {town.illegal} illegal, 3 updates\n")


if __name__ == "__main__":
    main()
