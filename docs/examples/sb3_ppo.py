"""Stable-Baselines3's PPO on the town: `pip install 'townlet[sb3,torch]'`, then `python docs/examples/sb3_ppo.py`.

Every agent slot of every world is a lane. SB3's own PPO knows no action masks: an illegal action is a counted no-op.
"""

import sys

from stable_baselines3 import PPO

from townlet.env.sb3 import TownVecEnv


def main(agent_steps: int) -> None:
    """Train for some agent-steps and say what an agent-step was worth at the end."""
    town = TownVecEnv(num_envs=512, scenario="small_town", days=14)
    settings = {"n_steps": 48, "batch_size": 4096, "n_epochs": 2, "gamma": 0.988, "learning_rate": 1e-3}
    learner = PPO("MlpPolicy", town, **settings, device="cpu", seed=1)
    learner.learn(agent_steps)
    obs, total = town.reset(), 0.0
    for _ in range(48):
        actions, _ = learner.predict(obs)
        obs, rewards, _, _ = town.step(actions)
        total += float(rewards.mean())
    sys.stdout.write(f"{learner.num_timesteps} agent-steps, {total / 48:.4f} reward per agent-step\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
