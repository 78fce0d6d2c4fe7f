"""What a hand-off from cloning to PPO costs: ``python tests/benchmarks/handoff.py --out DIR --seeds 5``.

Three learners get the same agent-steps and the same numbers: Townlet on the schedule that ``townlet init`` writes;
Stable-Baselines3's PPO from a clone of the data that Townlet recorded (a cold critic, no ramps, no anchor); and
Stable-Baselines3's PPO from fresh weights. A *look* is greedy play of fixed episodes, the same for every learner.
The rows are in ``DIR/handoff.jsonl``; what is there is not run again. With ``--seeds 0`` the tables are printed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from math import inf, sqrt
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest.mock import patch

import gymnasium
import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from scipy import stats
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

import townlet
from townlet.env.scripts import SCRIPTS
from townlet.policy.data.dataset import read_dataset
from townlet.policy.model.forward import forward, normalise
from townlet.policy.model.weights import Weights, read_weights
from townlet.policy.ppo import rollout
from townlet.policy.training import ppo_data
from townlet.store.blobs import BlobStore

Act = Callable[[NDArray[np.float32]], NDArray[np.int64]]
"""Observations [B, F] → actions [B]."""
Row = dict[str, Any]

LEDGER = "handoff.jsonl"
TEACHERS = {"CartPole-v1": "balance", "LunarLander-v3": "descend"}
WORLDS, NUM_STEPS, AGENT_STEPS = 32, 128, 200_000
"""What ``townlet init`` writes for both; the learners of Stable-Baselines3 get the same."""
EPISODES, EVERY = 20, 3
"""Episodes of a look, and iterations between two looks."""
SB3 = {
    "n_steps": NUM_STEPS, "batch_size": 1024, "n_epochs": 4, "gamma": 0.99, "gae_lambda": 0.95, "ent_coef": 0.01,
    "target_kl": 0.03, "vf_coef": 0.5,
}  # fmt: skip
LEARNERS = {
    "townlet": "Townlet, BC → PPO",
    "sb3_clone": "SB3, BC → PPO, the same numbers",
    "imitation": "imitation's BC → SB3's PPO, the same numbers",
    "sb3_clone_3e-4": "SB3, BC → PPO, its own learning rate 3e-4",
    "sb3_scratch": "SB3, PPO from scratch, the same numbers",
}


def look(name: str, act: Act) -> float:
    """Return the mean return of the fixed episodes."""
    worlds = [gymnasium.make(name) for _ in range(EPISODES)]
    seen = np.stack([world.reset(seed=1_000_000 + i)[0] for i, world in enumerate(worlds)])
    running, returns = list(range(EPISODES)), np.zeros(EPISODES)
    while running:
        for i, action in zip(list(running), act(seen[running]), strict=True):
            seen[i], reward, terminated, truncated, _ = worlds[i].step(int(action))
            returns[i] += float(reward)
            if terminated or truncated:
                running.remove(i)
    return float(returns.mean())


@frozen
class Demonstrations:
    """What the teacher of a run was recorded to do."""

    observations: NDArray[np.float32]
    """[B, F], raw."""
    labels: NDArray[np.int64]
    """[B]."""


@contextmanager
def looking(name: str, looks: list[tuple[int, float]]) -> Iterator[None]:
    """Look at the weights of every third rollout before it is played."""
    played = 0

    class Seen(rollout.Rollout):
        """A rollout whose player is looked at first."""

        def collect(self, weights: Weights, *given: Any) -> None:
            nonlocal played
            if played % (EVERY * self.alive.size) == 0:
                looks.append((played, look(name, greedy(weights))))
            super().collect(weights, *given)
            played += self.alive.size

    with patch.object(ppo_data, "Rollout", Seen):
        yield


def greedy(weights: Weights) -> Act:
    """Return the greedy actions of weights."""
    return lambda seen: forward(weights.actor, normalise(seen, weights.mean, weights.scale)).argmax(1)


def anneal(name: str, seed: int, home: Path) -> tuple[Row, Demonstrations]:
    """Run the schedule that ``townlet init`` writes, with one round of PPO, and return its looks and its recording."""
    schedule, looks = home / "schedule.yaml", list[tuple[int, float]]()
    command = ["init", "--env", f"gymnasium:{name}", "--teacher", TEACHERS[name], "--out", str(schedule)]
    subprocess.run([sys.executable, "-m", "townlet", *command], check=True, capture_output=True)
    schedule.write_text(schedule.read_text().replace("{visits_to: ppo, below: 2}", "{visits_to: ppo, below: 1}"))
    began = perf_counter()
    with looking(name, looks):
        summary = townlet.run(schedule, home=home, seed=seed, progress=False)
    results: Mapping[str, Any] = {stage.state: stage.result for stage in summary.stages}
    blobs = BlobStore(home / "blobs")
    weights = read_weights(blobs.get(results["ppo"].weights), "what ppo answered")
    looks.append((results["ppo"].agent_steps, look(name, greedy(weights))))
    recorded = read_dataset(blobs.get(results["bc"].dataset), "what capture recorded")
    row = {"looks": looks, "promoted": summary.champion_moved, "seconds": perf_counter() - began}
    return row, Demonstrations(recorded.observations[recorded.alive], recorded.labels[recorded.alive][:, 0].astype(int))


class Looks(BaseCallback):
    """Looks at the policy of every third rollout before it is played, as in Townlet's run."""

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
        worth = look(self.name, lambda seen: self.model.predict(seen, deterministic=True)[0])
        self.looks.append((self.num_timesteps, worth))


def stable_baselines(name: str, seed: int, demonstrations: Demonstrations | None, highest: float, lowest: float) -> Row:
    """Train Stable-Baselines3's PPO, from a clone where there are demonstrations; the learning rate falls."""
    began = perf_counter()
    learner = PPO(
        "MlpPolicy", make_vec_env(name, WORLDS, seed=seed), seed=seed, device="cpu",
        learning_rate=lambda left: lowest + (highest - lowest) * left,
        policy_kwargs={"activation_fn": torch.nn.ReLU, "net_arch": {"pi": [64, 64], "vf": [64, 64]}}, **SB3,
    )  # fmt: skip
    if demonstrations is not None:
        clone(learner.policy, demonstrations, seed)
    looks = Looks(name)
    learner.learn(AGENT_STEPS, callback=looks)
    return {"looks": looks.looks, "seconds": perf_counter() - began}


def clone(policy: Any, demonstrations: Demonstrations, seed: int) -> None:
    """Minimise the cross-entropy of the recorded actions, with the passes and step size of Townlet's bc."""
    source = torch.Generator().manual_seed(seed)
    seen, labels = torch.as_tensor(demonstrations.observations), torch.as_tensor(demonstrations.labels)
    optimizer = torch.optim.Adam(policy.parameters(), lr=2e-3)
    for _ in range(20):
        for rows in torch.randperm(len(labels), generator=source).split(1024):
            loss = -policy.get_distribution(seen[rows]).log_prob(labels[rows]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def run(name: str, seed: int, out: Path) -> None:
    """Run the learners of an environment and a seed that the ledger lacks, and append the row of each when it ends."""
    bar, recording = look(name, teacher_of(name)), out / f"{name}-{seed}.npz"

    def townlet_run() -> Row:
        with tempfile.TemporaryDirectory() as home:
            row, recorded = anneal(name, seed, Path(home))
        np.savez_compressed(recording, observations=recorded.observations, labels=recorded.labels)
        return row

    def cloned(highest: float, lowest: float) -> Row:
        return stable_baselines(name, seed, Demonstrations(**np.load(recording)), highest, lowest)

    learners: dict[str, Callable[[], Row]] = {
        "townlet": townlet_run,
        "sb3_clone": lambda: cloned(1e-3, 5e-5),
        "sb3_scratch": lambda: stable_baselines(name, seed, None, 1e-3, 5e-5),
        "sb3_clone_3e-4": lambda: cloned(3e-4, 3e-4),
    }
    done = {row["learner"] for row in ledger_of(out) if (row["environment"], row["seed"]) == (name, seed)}
    for learner, learn in learners.items():
        if learner not in done:
            place = {"environment": name, "seed": seed, "learner": learner, "teacher": bar}
            line = json.dumps(place | learn())
            with (out / LEDGER).open("a") as file:
                file.write(line + "\n")


def teacher_of(name: str) -> Act:
    """Return the script that teaches, for many observations."""
    script = SCRIPTS[name][TEACHERS[name]]
    return lambda seen: np.array([script(one) for one in seen])


def ledger_of(out: Path) -> list[Row]:
    """Return the rows that there are."""
    path = out / LEDGER
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def dip(row: Row) -> float:
    """Return how far the deepest look lies below the first."""
    worth = [worth for _, worth in row["looks"]]
    return worth[0] - min(worth)


def safe_after(row: Row) -> float:
    """Return the agent-steps of the first of two looks in a row that are worth the teacher's return; inf for none."""
    pairs = pairwise(row["looks"])
    return next((float(one[0]) for one, other in pairs if min(one[1], other[1]) >= row["teacher"]), inf)


def interval(values: list[float]) -> str:
    """Return mean and half width of the t interval at 95 %."""
    if len(values) < 2:
        return f"{np.mean(values):,.0f}"
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / sqrt(len(values))
    return f"{np.mean(values):,.0f} ± {half:,.0f}"


def table(rows: list[Row], name: str) -> Iterator[str]:
    """Return the lines of an environment's table."""
    yield "| learner | seeds | first look | dip | agent-steps to the teacher's return | never | last look |"
    yield "|---|---|---|---|---|---|---|"
    for learner, words in LEARNERS.items():
        mine = [row for row in rows if row["environment"] == name and row["learner"] == learner]
        if not mine:
            continue
        steps = [safe_after(row) for row in mine]
        censored = [min(step, row["looks"][-1][0]) for step, row in zip(steps, mine, strict=True)]
        cells = (
            words, len(mine), interval([row["looks"][0][1] for row in mine]),
            "–" if learner == "sb3_scratch" else interval([dip(row) for row in mine]),
            ("≥ " if inf in steps else "") + interval(censored), steps.count(inf),
            interval([row["looks"][-1][1] for row in mine]),
        )  # fmt: skip
        yield "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    """Run what the ledger lacks and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="directory of handoff.jsonl")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--only", choices=list(TEACHERS), help="one environment")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    names = [asked.only] if asked.only else list(TEACHERS)
    torch.set_num_threads(1)
    for seed in range(asked.first, asked.first + asked.seeds):
        for name in names:
            run(name, seed, asked.out)
    rows = ledger_of(asked.out)
    for name in names:
        bar = next(row["teacher"] for row in rows if row["environment"] == name)
        sys.stdout.write("\n".join([f"{name}, teacher {bar:.1f}", "", *table(rows, name), ""]) + "\n")


if __name__ == "__main__":
    main()
