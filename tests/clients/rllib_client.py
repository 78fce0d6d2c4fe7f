"""RLlib trains PPO on the town with its own action-masking module, over the keys that the module reads.

While it builds an algorithm, RLlib checks the environment with one step of `action_space.sample()`, before any module
exists; those actions know no mask. They are not its learner's, so they are counted and printed apart.
"""

import sys
from typing import Any

from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv
from ray.rllib.examples.rl_modules.classes.action_masking_rlm import ActionMaskingTorchRLModule
from ray.tune.registry import register_env

from townlet.env.parallel import TownParallelEnv


class CountingTown(TownParallelEnv):
    """A town that counts the actions it is given and those that its masks forbid."""

    count = illegal = 0

    def step(self, actions: dict[str, int]) -> Any:
        """Count, and play."""
        masks = self._by_agent(self._town.observe())[0]
        for agent in set(actions) & set(self.agents):
            CountingTown.count += 1
            CountingTown.illegal += int(not masks[agent]["action_mask"][int(actions[agent])])
        return super().step(actions)


def main() -> None:
    """Train two updates in this process."""
    register_env("town", lambda _: ParallelPettingZooEnv(CountingTown(days=1, observation_format="rllib")))
    config = (
        PPOConfig()
        .environment("town")
        .env_runners(num_env_runners=0)
        .multi_agent(policies={"shared"}, policy_mapping_fn=lambda *_, **__: "shared")
        .rl_module(rl_module_spec=RLModuleSpec(ActionMaskingTorchRLModule, model_config={"head_fcnet_hiddens": [64]}))
        .training(train_batch_size=1000, minibatch_size=250, num_epochs=1)
    )
    learner = config.build_algo()
    probe = f"{CountingTown.count} random actions of RLlib's own check, {CountingTown.illegal} of them illegal"
    CountingTown.count = CountingTown.illegal = 0
    for _ in range(2):
        learner.train()
    learner.stop()
    sys.stdout.write(f"{probe}\n{CountingTown.count} actions, {CountingTown.illegal} illegal, 2 updates\n")


if __name__ == "__main__":
    main()
