"""Tianshou's DQN trains on a lane: it reads the mask where an observation has the keys `obs` and `mask`."""

from typing import Any

import gymnasium
import numpy as np
import torch
from counting import CountingLane, report
from tianshou.algorithm import DQN
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.trainer import OffPolicyTrainerParams
from tianshou.utils.net.common import Net


class Masked(gymnasium.ObservationWrapper[Any, Any, Any]):
    """A lane whose observations carry their mask."""

    def __init__(self, lane: CountingLane) -> None:
        super().__init__(lane)
        mask = gymnasium.spaces.MultiBinary(int(lane.action_space.n))
        self.observation_space = gymnasium.spaces.Dict({"obs": lane.observation_space, "mask": mask})

    def observation(self, observation: Any) -> dict[str, Any]:
        """Return features and mask."""
        return {"obs": observation, "mask": self.env.action_masks()}


class CountingDQN(DQN[Any]):
    """A DQN that counts its updates."""

    updates = 0

    def _update_with_batch(self, batch: Any) -> Any:
        self.updates += 1
        return super()._update_with_batch(batch)


def main() -> None:
    """Train an epoch of 240 decisions on four lanes."""
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002  (Tianshou explores with numpy's global generator)
    lanes = DummyVectorEnv([lambda: Masked(CountingLane(days=1)) for _ in range(4)])
    lanes.seed(1)
    lane = Masked(CountingLane(days=1))
    policy = DiscreteQLearningPolicy(
        model=Net(
            state_shape=lane.observation_space["obs"].shape, action_shape=lane.action_space.n, hidden_sizes=[64, 64]
        ),
        action_space=lane.action_space,
        eps_training=0.3,
    )
    learner = CountingDQN(policy=policy, optim=AdamOptimizerFactory(lr=1e-3), target_update_freq=20)
    learner.run_training(
        OffPolicyTrainerParams(
            training_collector=Collector(learner, lanes, VectorReplayBuffer(4000, 4), exploration_noise=True),
            max_epochs=1,
            epoch_num_steps=960,
            collection_step_num_env_steps=96,
            update_step_num_gradient_steps_per_sample=0.1,
            batch_size=64,
            show_progress=False,
            verbose=False,
        )
    )
    report(checker="has none", updates=learner.updates)


if __name__ == "__main__":
    main()
