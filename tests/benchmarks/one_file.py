"""A PPO in one function, as CleanRL writes it, on Gymnasium's SyncVectorEnv: for discrete actions and for boxes."""

from typing import Any

import gymnasium
import numpy as np
import torch
from contestants import Figures, timed
from gymnasium_contestants import ENTROPY, EPOCHS, GAMMA, HIDDEN, LAMBDA, MINIBATCH, NUM_STEPS, RATE, ROWS, WORLDS
from ours import WARM
from torch import nn

from townlet.policy.training.bench_host import clocks

__all__ = ["one_file"]

CLIP = 0.2


class Policy(nn.Module):  # type: ignore[misc]
    """Actor and critic of the same widths, apart; a box has a Gaussian whose σ depends on nothing."""

    def __init__(self, features: int, space: gymnasium.Space[Any]) -> None:
        super().__init__()
        self.space, self.box = space, isinstance(space, gymnasium.spaces.Box)
        outputs = int(np.prod(space.shape)) if self.box else int(space.n)  # type: ignore[attr-defined]
        self.actor, self.critic = _trunk(features, outputs), _trunk(features, 1)
        self.log_std = nn.Parameter(torch.zeros(outputs)) if self.box else None

    def distribution(self, x: torch.Tensor) -> torch.distributions.Distribution:
        """Return the distribution of actions."""
        if self.log_std is None:
            return torch.distributions.Categorical(logits=self.actor(x))
        return torch.distributions.Independent(torch.distributions.Normal(self.actor(x), self.log_std.exp()), 1)

    def native(self, action: torch.Tensor) -> Any:
        """Return actions as the environment takes them; those of a box are in the units of its bounds, and clipped."""
        if not self.box:
            return action.numpy()
        low, high = self.space.low, self.space.high  # type: ignore[attr-defined]
        found = (low + high) / 2 + action.numpy() * (high - low) / 2
        return np.clip(found, low, high).astype(self.space.dtype)


def _trunk(features: int, outputs: int) -> nn.Sequential:
    first, second = HIDDEN
    return nn.Sequential(
        nn.Linear(features, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU(), nn.Linear(second, outputs)
    )  # fmt: skip


def one_file(name: str, iterations: int) -> Figures:
    """Return agent-steps and seconds of iterations after the warm ones."""
    worlds = gymnasium.make_vec(name, WORLDS, vectorization_mode="sync")
    features = int(np.prod(worlds.single_observation_space.shape or ()))
    policy = Policy(features, worlds.single_action_space)
    optimizer = torch.optim.Adam(policy.parameters(), lr=RATE, eps=1e-5)
    began, seen, ended = clocks(), _tensor(worlds.reset(seed=1)[0]), torch.zeros(WORLDS)
    x, log_prob = torch.zeros(NUM_STEPS, WORLDS, features), torch.zeros(NUM_STEPS, WORLDS)
    reward, done, value = (torch.zeros(NUM_STEPS, WORLDS) for _ in range(3))
    with torch.no_grad():
        drawn = policy.distribution(seen).sample()
    action = torch.zeros(NUM_STEPS, *drawn.shape, dtype=drawn.dtype)
    for iteration in range(iterations + WARM):
        if iteration == WARM:
            began = clocks()
        for t in range(NUM_STEPS):
            x[t], done[t] = seen, ended
            with torch.no_grad():
                chances = policy.distribution(seen)
                action[t] = chances.sample()
                log_prob[t], value[t] = chances.log_prob(action[t]), policy.critic(seen)[:, 0]
            observed, rewards, terminated, truncated, _ = worlds.step(policy.native(action[t]))
            reward[t] = torch.as_tensor(rewards)
            seen, ended = _tensor(observed), torch.as_tensor(terminated | truncated).float()
        with torch.no_grad():
            following, advantages, last = policy.critic(seen)[:, 0], torch.zeros_like(reward), torch.zeros(WORLDS)
            for t in reversed(range(NUM_STEPS)):
                goes_on = 1 - (ended if t == NUM_STEPS - 1 else done[t + 1])
                v_tp1 = following if t == NUM_STEPS - 1 else value[t + 1]
                last = reward[t] + GAMMA * v_tp1 * goes_on - value[t] + GAMMA * LAMBDA * goes_on * last
                advantages[t] = last
        flat = [a.reshape(ROWS, *a.shape[2:]) for a in (x, action, log_prob, advantages, advantages + value)]
        for _ in range(EPOCHS):
            for rows in torch.randperm(ROWS).split(MINIBATCH):
                b_x, b_action, b_log_prob, b_advantage, b_return = (a[rows] for a in flat)
                chances = policy.distribution(b_x)
                ratio = (chances.log_prob(b_action) - b_log_prob).exp()
                b_advantage = (b_advantage - b_advantage.mean()) / (b_advantage.std() + 1e-8)
                surrogate = torch.min(ratio * b_advantage, ratio.clamp(1 - CLIP, 1 + CLIP) * b_advantage).mean()
                value_loss = 0.5 * (policy.critic(b_x)[:, 0] - b_return).square().mean()
                loss = 0.5 * value_loss - surrogate - ENTROPY * chances.entropy().mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(policy.parameters(), 0.5)
                optimizer.step()
    return timed(ROWS * iterations, began)


def _tensor(observed: Any) -> torch.Tensor:
    return torch.as_tensor(np.asarray(observed, np.float32))
