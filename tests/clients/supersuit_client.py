"""SuperSuit's wrappers over the town's flat form: frames are stacked, agents of several towns become lanes.

SuperSuit has neither a checker nor a learner: PettingZoo's test runs over its wrappers, and MaskablePPO of sb3-contrib
trains on its lanes. Masks stay in infos, where MaskablePPO does not look, so `Masked` answers for them.
"""

from typing import Any

import numpy as np
import supersuit
from counting import CountingTown, report, restart
from pettingzoo.test import parallel_api_test
from sb3_contrib import MaskablePPO
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecEnvWrapper


class Masked(VecEnvWrapper):
    """Lanes that answer `action_masks` from the infos of the last step."""

    def reset(self) -> Any:
        """Begin an episode."""
        observations = self.venv.reset()
        self.infos = self.venv.reset_infos
        return observations

    def step_wait(self) -> Any:
        """Play one decision."""
        observations, rewards, done, self.infos = self.venv.step_wait()
        return observations, rewards, done, self.infos

    def has_attr(self, attr_name: str) -> bool:
        """Say that there are masks."""
        return attr_name == "action_masks"

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Return the mask of each lane."""
        assert method_name == "action_masks"
        return [info["action_mask"] for info in self.infos]


def wrapped_town() -> Any:
    """Wrap a town in the way that a user of SuperSuit would."""
    town = CountingTown(days=1, observation_format="flat", black_death=True)
    return supersuit.dtype_v0(supersuit.frame_stack_v1(town, 2), np.dtype("float32"))


def main() -> None:
    """Test the wrapped town, and train three updates on four of them."""
    parallel_api_test(wrapped_town(), 500)
    restart()
    set_random_seed(1)  # MaskablePPO's own would ask SuperSuit's lanes for `seed`, which they lack
    lanes = supersuit.pettingzoo_env_to_vec_env_v1(wrapped_town())
    town = Masked(supersuit.concat_vec_envs_v1(lanes, 4, base_class="stable_baselines3"))
    learner = MaskablePPO("MlpPolicy", town, n_steps=128, batch_size=256, n_epochs=1, device="cpu")
    learner.learn(3 * 128 * town.num_envs)
    report(
        checker="has none; parallel_api_test over its wrappers passed",
        updates=f"{learner._n_updates} of MaskablePPO; has no learner",
    )


if __name__ == "__main__":
    main()
