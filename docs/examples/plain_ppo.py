"""A PPO loop in one file, in the style of single-file learners, on the town's Gymnasium `VectorEnv`.

`pip install 'townlet[env,torch]'`, then `python docs/examples/plain_ppo.py`. Names are the field's; masks are used.
"""

import sys

import gymnasium
import numpy as np
import torch
from torch import nn

NUM_ENVS, NUM_STEPS, GAMMA, GAE_LAMBDA, CLIP_COEF, ENT_COEF, MINIBATCH = 512, 48, 0.988, 0.95, 0.2, 0.01, 4096


def masked(logits: torch.Tensor, mask: torch.Tensor) -> torch.distributions.Categorical:
    """Return the distribution over legal actions."""
    return torch.distributions.Categorical(logits=torch.where(mask, logits, -1e9))


def main(agent_steps: int) -> None:
    """Train for some agent-steps and say what an agent-step was worth in each rollout."""
    torch.manual_seed(1)
    town = gymnasium.make_vec("townlet.env.registration:Townlet/small_town-v0", num_envs=NUM_ENVS)
    features, actions = town.single_observation_space.shape[0], town.single_action_space.n
    actor = nn.Sequential(nn.Linear(features, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, actions))
    critic = nn.Sequential(nn.Linear(features, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    parameters = [*actor.parameters(), *critic.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-3, eps=1e-5)
    obs, infos = town.reset(seed=1)
    for update in range(-(-agent_steps // (NUM_ENVS * NUM_STEPS))):
        rows, earned = [], 0.0
        with torch.no_grad():
            for _ in range(NUM_STEPS):
                x, mask = torch.from_numpy(obs.copy()), torch.from_numpy(infos["action_mask"].copy())
                policy = masked(actor(x), mask)
                action = policy.sample()
                alive = torch.from_numpy(infos["alive"].copy())
                obs, reward, terminated, truncated, infos = town.step(action.numpy())
                earned += float(reward.mean()) / NUM_STEPS
                value, after = critic(x)[:, 0], critic(torch.from_numpy(obs.copy()))[:, 0]
                if "final_obs" in infos:
                    final = np.where(infos["_final_obs"][:, None], infos["final_obs"], obs)
                    after = critic(torch.from_numpy(final))[:, 0]
                ended, cut = torch.from_numpy(terminated.copy()), torch.from_numpy(truncated.copy())
                delta = torch.from_numpy(reward.astype(np.float32)) + GAMMA * torch.where(ended, 0.0, after) - value
                rows.append((x, mask, action, policy.log_prob(action), value, delta, ended | cut, alive))
            following, advantages = torch.zeros(NUM_ENVS), []
            for *_, delta, done, _ in reversed(rows):
                following = delta + GAMMA * GAE_LAMBDA * torch.where(done, 0.0, following)
                advantages.insert(0, following)
        batch = [torch.stack([row[k] for row in rows])[torch.stack([row[7] for row in rows])] for k in range(5)]
        advantage = torch.stack(advantages)[torch.stack([row[7] for row in rows])]
        target = advantage + batch[4]
        for part in torch.randperm(len(target)).split(MINIBATCH):
            policy = masked(actor(batch[0][part]), batch[1][part])
            ratio = (policy.log_prob(batch[2][part]) - batch[3][part]).exp()
            gain = (advantage[part] - advantage[part].mean()) / (advantage[part].std() + 1e-8)
            surrogate = torch.minimum(ratio * gain, ratio.clamp(1 - CLIP_COEF, 1 + CLIP_COEF) * gain).mean()
            error = (critic(batch[0][part])[:, 0] - target[part]).square().mean()
            loss = 0.5 * error - surrogate - ENT_COEF * policy.entropy().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 0.5)
            optimizer.step()
        sys.stdout.write(f"{(update + 1) * NUM_ENVS * NUM_STEPS} agent-steps, {earned:.4f} reward per agent-step\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
