"""The hand-off of the library imitation: ``python tests/benchmarks/handoff_imitation.py --out DIR --seeds 5``.

It runs in a virtual environment of its own (``pip install imitation==1.0.1 'numpy<2' box2d==2.3.10``), because
imitation asks for Gymnasium 0.29, and so without Townlet. It clones the recordings that ``handoff.py`` left in DIR with
the library's own BC, goes on with Stable-Baselines3's PPO, and appends its rows to DIR's ledger.
LunarLander is v2 there: without wind it plays the same episodes as v3 (a test of ten episodes gave equal digests).
"""

import argparse
import json
from pathlib import Path
from time import perf_counter
from typing import Any

import gymnasium
import numpy as np
import torch
from imitation.algorithms.bc import BC
from imitation.data.types import Transitions
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

NAMES = {"CartPole-v1": "CartPole-v1", "LunarLander-v3": "LunarLander-v2"}
LEDGER, LEARNER = "handoff.jsonl", "imitation"
WORLDS, AGENT_STEPS, EPISODES, EVERY = 32, 200_000, 20, 3
"""As in ``handoff.py``."""


class Looks(BaseCallback):  # type: ignore[misc]
    """Looks at the policy of every third rollout before it is played."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.looks, self.rollouts = name, list[tuple[int, float]](), 0

    def _on_rollout_start(self) -> None:
        if self.rollouts % EVERY == 0:
            self.look()
        self.rollouts += 1

    def _on_training_end(self) -> None:
        self.look()

    def _on_step(self) -> bool:
        return True

    def look(self) -> None:
        """Play the episodes of a look."""
        worlds = [gymnasium.make(self.name) for _ in range(EPISODES)]
        seen = np.stack([world.reset(seed=1_000_000 + i)[0] for i, world in enumerate(worlds)])
        running, returns = list(range(EPISODES)), np.zeros(EPISODES)
        while running:
            actions = self.model.predict(seen[running], deterministic=True)[0]
            for i, action in zip(list(running), actions, strict=True):
                seen[i], reward, terminated, truncated, _ = worlds[i].step(int(action))
                returns[i] += float(reward)
                if terminated or truncated:
                    running.remove(i)
        self.looks.append((self.num_timesteps, float(returns.mean())))


def run(name: str, seed: int, out: Path) -> dict[str, Any]:
    """Clone, go on with PPO, and return the looks."""
    began, recorded = perf_counter(), np.load(out / f"{name}-{seed}.npz")
    learner = PPO(
        "MlpPolicy", make_vec_env(NAMES[name], WORLDS, seed=seed), seed=seed, device="cpu",
        learning_rate=lambda left: 5e-5 + (1e-3 - 5e-5) * left, n_steps=128, batch_size=1024, n_epochs=4, gamma=0.99,
        gae_lambda=0.95, ent_coef=0.01, target_kl=0.03, vf_coef=0.5,
        policy_kwargs={"activation_fn": torch.nn.ReLU, "net_arch": {"pi": [64, 64], "vf": [64, 64]}},
    )  # fmt: skip
    seen, labels = recorded["observations"], recorded["labels"]
    demonstrations = Transitions(
        obs=seen, acts=labels, infos=np.array([{}] * len(seen)), next_obs=seen, dones=np.zeros(len(seen), np.bool_)
    )
    worlds = learner.get_env()
    cloner = BC(
        observation_space=worlds.observation_space, action_space=worlds.action_space, policy=learner.policy,
        rng=np.random.default_rng(seed), demonstrations=demonstrations, batch_size=1024,
        optimizer_kwargs={"lr": 2e-3}, device="cpu",
    )  # fmt: skip
    cloner.train(n_epochs=20, progress_bar=False, log_interval=10**9)
    looks = Looks(NAMES[name])
    learner.learn(AGENT_STEPS, callback=looks)
    return {"looks": looks.looks, "seconds": perf_counter() - began}


def main() -> None:
    """Run what the ledger lacks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="directory of handoff.jsonl")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=list(NAMES), default="LunarLander-v3", help="the environment")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for seed in range(1, asked.seeds + 1):
        rows = [json.loads(line) for line in (asked.out / LEDGER).read_text().splitlines()]
        mine = [row for row in rows if (row["environment"], row["seed"]) == (asked.only, seed)]
        if not mine or any(row["learner"] == LEARNER for row in mine):
            continue
        place = {"environment": asked.only, "seed": seed, "learner": LEARNER, "teacher": mine[0]["teacher"]}
        line = json.dumps(place | run(asked.only, seed, asked.out))
        with (asked.out / LEDGER).open("a") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
