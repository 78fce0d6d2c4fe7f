"""MaskablePPO of sb3-contrib trains on the town's lanes, through VecMonitor; Stable-Baselines3 checks a lane first."""

import numpy as np
from counting import count, report
from sb3_contrib import MaskablePPO
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.vec_env import VecMonitor

from townlet.env.lane import TownLaneEnv
from townlet.env.sb3 import TownVecEnv


class CountingLanes(TownVecEnv):
    """Lanes that count the actions they are given under the masks they had shown."""

    def step_async(self, actions: np.ndarray) -> None:
        """Count, and play."""
        count(actions, self.action_masks())
        super().step_async(actions)


def main() -> None:
    """Check, and train three updates."""
    check_env(TownLaneEnv(days=1))
    town = VecMonitor(CountingLanes(num_envs=64, days=1))
    learner = MaskablePPO("MlpPolicy", town, n_steps=32, batch_size=256, n_epochs=1, device="cpu", seed=1)
    learner.learn(3 * 64 * 32)
    report(checker="check_env passed", updates=learner._n_updates)


if __name__ == "__main__":
    main()
