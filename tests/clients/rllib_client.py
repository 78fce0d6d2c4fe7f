"""RLlib trains PPO on the town with its own action-masking module, over the keys that the module reads.

While it builds an algorithm, RLlib checks the environment with one step of `action_space.sample()`, before any module
exists; those actions know no mask. They are not its learner's, so they are named beside the check.
"""

from counting import CountingTown, report, restart
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv
from ray.rllib.examples.rl_modules.classes.action_masking_rlm import ActionMaskingTorchRLModule
from ray.rllib.utils.pre_checks.env import check_multiagent_environments
from ray.tune.registry import register_env


def main() -> None:
    """Check, and train two updates in this process."""
    check_multiagent_environments(ParallelPettingZooEnv(CountingTown(days=1, observation_format="rllib")))
    register_env("town", lambda _: ParallelPettingZooEnv(CountingTown(days=1, observation_format="rllib")))
    config = (
        PPOConfig()
        .environment("town")
        .env_runners(num_env_runners=0)
        .multi_agent(policies={"shared"}, policy_mapping_fn=lambda *_, **__: "shared")
        .rl_module(rl_module_spec=RLModuleSpec(ActionMaskingTorchRLModule, model_config={"head_fcnet_hiddens": [64]}))
        .training(train_batch_size=1000, minibatch_size=250, num_epochs=1)
        .debugging(seed=1)
    )
    restart()
    learner = config.build_algo()
    check = restart()
    for _ in range(2):
        learner.train()
    learner.stop()
    maskless = f"{check['illegal']} of {check['actions']} maskless actions illegal"
    report(checker=f"check_multiagent_environments passed ({maskless})", updates=2)


if __name__ == "__main__":
    main()
