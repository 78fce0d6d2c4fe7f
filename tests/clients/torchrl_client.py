"""TorchRL trains PPO on the town: its PettingZoo wrapper carries the masks to a masked distribution."""

from typing import Any

import torch
from counting import CountingTown, report, restart
from tensordict.nn import TensorDictModule
from torch import nn
from torchrl.collectors import Collector
from torchrl.envs.libs.pettingzoo import PettingZooWrapper
from torchrl.envs.utils import MarlGroupMapType, check_env_specs
from torchrl.modules import MaskedCategorical, ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss, ValueEstimators


def town() -> PettingZooWrapper:
    """Wrap a town: all agents are one group, and the dead are masked out."""
    return PettingZooWrapper(
        CountingTown(days=1, observation_format="flat"),
        use_mask=True,
        done_on_any=False,
        categorical_actions=True,
        group_map=MarlGroupMapType.ALL_IN_ONE_GROUP,
    )


def network(features: int, outputs: int) -> nn.Sequential:
    """Build a network that all agents share."""
    return nn.Sequential(nn.Linear(features, 64), nn.ReLU(), nn.Linear(64, outputs))


def main() -> None:
    """Check the wrapped town, and train three updates."""
    check_env_specs(town())
    restart()
    torch.manual_seed(1)
    lanes = town()
    lanes.set_seed(1)
    (group,) = lanes.group_map
    features = lanes.observation_spec[group, "observation"].shape[-1]
    actions = lanes.full_action_spec[group, "action"].space.n
    policy = ProbabilisticActor(
        TensorDictModule(network(features, actions), in_keys=[(group, "observation")], out_keys=[(group, "logits")]),
        in_keys={"logits": (group, "logits"), "mask": (group, "action_mask")},
        out_keys=[(group, "action")],
        distribution_class=MaskedCategorical,
        return_log_prob=True,
        log_prob_key=(group, "log_prob"),
    )
    critic = ValueOperator(network(features, 1), in_keys=[(group, "observation")], out_keys=[(group, "state_value")])
    loss = ClipPPOLoss(policy, critic, reduction="none")
    loss.set_keys(
        reward=(group, "reward"),
        action=(group, "action"),
        done=(group, "done"),
        terminated=(group, "terminated"),
        value=(group, "state_value"),
        sample_log_prob=(group, "log_prob"),
    )
    loss.make_value_estimator(ValueEstimators.GAE, gamma=0.99, lmbda=0.95)
    optimiser = torch.optim.Adam(loss.parameters(), 1e-3)
    updates = 0
    for batch in Collector(lanes, policy, frames_per_batch=240, total_frames=3 * 240):
        update(loss, optimiser, batch, group)
        updates += 1
    report(checker="check_env_specs passed", updates=updates)


def update(loss: Any, optimiser: Any, batch: Any, group: str) -> None:
    """Take one step on a batch; decisions of the dead are left out."""
    with torch.no_grad():
        loss.value_estimator(batch, params=loss.critic_network_params, target_params=loss.target_critic_network_params)
    losses = loss(batch)
    alive = batch[group, "mask"]
    total = sum(
        losses[name].reshape(alive.shape)[alive].mean() for name in ("loss_objective", "loss_critic", "loss_entropy")
    )
    optimiser.zero_grad()
    total.backward()
    optimiser.step()
    assert torch.isfinite(total), total


if __name__ == "__main__":
    main()
