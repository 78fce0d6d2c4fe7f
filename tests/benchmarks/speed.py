"""How fast PPO learns CartPole beside other learners: ``OMP_NUM_THREADS=1 python tests/benchmarks/speed.py``.

Every contestant gets 64 worlds in one process, 128 decisions an iteration, 2 passes, minibatches of 4,096 and networks
of [64, 64], actor and critic apart. They take turns, and a ratio is the median of the rounds' ratios, so that a machine
that drifts moves both of its sides. The first iterations of each are not timed. Seconds are processor seconds of the
process, all threads together: on an idle machine they are those of the clock, and other programs hardly move them.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from time import process_time

import gymnasium
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from torch import nn

from townlet.policy.model.initialise import fresh_weights
from townlet.policy.ppo.rollout import Rollout
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.ports import Environment, provider

NAME, WORLDS, NUM_STEPS, EPOCHS, MINIBATCH = "CartPole-v1", 64, 128, 2, 4096
ROWS = WORLDS * NUM_STEPS
GAMMA, LAMBDA, CLIP, ENTROPY, RATE = 0.99, 0.95, 0.2, 0.01, 1e-3
WARM = 2
"""Iterations that are not timed."""

SCHEDULE = f"""
schedule: townlet/v1
name: speed
seed: 1
environment: {{id: "gymnasium:{NAME}", worlds: {WORLDS}}}
teacher: balance
registry: {{name: speed, champion: champion, scope: run}}
initial: ppo
states:
  ppo:
    strategy: ppo
    with: {{start_from: fresh, iterations: ITERATIONS, num_steps: {NUM_STEPS}, update_epochs: {EPOCHS},
      minibatch_size: {MINIBATCH}, learning_rate: {RATE}, gamma: {GAMMA}, target_kl: 1.0e+9, checkpoint_every: 0}}
    next: [{{to: done}}]
"""


class Moments:
    """The moments at which iterations begin or end."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def note(self, *_: object) -> None:
        """Note this moment."""
        self.moments.append(process_time())

    def rate(self) -> float:
        """Return agent-steps a second after the warm iterations."""
        timed = self.moments[WARM:]
        return ROWS * (len(timed) - 1) / (timed[-1] - timed[0])


def ours(iterations: int) -> float:
    """Return the rate of Townlet's ppo, run as a schedule."""
    moments = Moments()
    schedule = SCHEDULE.replace("ITERATIONS", str(iterations + WARM + 1))
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "speed.yaml"
        path.write_text(schedule)
        PolicyTrainingOrchestrator(path, home=Path(home), watch=moments.note).run()
    return moments.rate()


class _Starts(BaseCallback):
    """Notes when a rollout begins and when all is done."""

    def __init__(self) -> None:
        super().__init__()
        self.moments = Moments()

    def _on_rollout_start(self) -> None:
        self.moments.note()

    def _on_training_end(self) -> None:
        self.moments.note()

    def _on_step(self) -> bool:
        return True


def stable_baselines(iterations: int) -> float:
    """Return the rate of Stable-Baselines3's PPO on its DummyVecEnv."""
    starts = _Starts()
    learner = PPO(
        "MlpPolicy", make_vec_env(NAME, WORLDS, seed=1), n_steps=NUM_STEPS, batch_size=MINIBATCH, n_epochs=EPOCHS,
        gamma=GAMMA, gae_lambda=LAMBDA, ent_coef=ENTROPY, learning_rate=RATE, seed=1, device="cpu",
        policy_kwargs={"activation_fn": nn.ReLU, "net_arch": {"pi": [64, 64], "vf": [64, 64]}},
    )  # fmt: skip
    learner.learn(ROWS * (iterations + WARM), callback=starts)
    return starts.moments.rate()


def _trunk(features: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(features, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, outputs)
    )  # fmt: skip


def one_file(iterations: int) -> float:
    """Return the rate of a PPO in one function, as CleanRL writes it, on Gymnasium's SyncVectorEnv."""
    moments, worlds = Moments(), gymnasium.make_vec(NAME, WORLDS, vectorization_mode="sync")
    features = int(np.prod(worlds.single_observation_space.shape or ()))
    actor, critic = _trunk(features, int(worlds.single_action_space.n)), _trunk(features, 1)  # type: ignore[attr-defined]
    parameters = [*actor.parameters(), *critic.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=RATE, eps=1e-5)
    x, log_prob = torch.zeros(NUM_STEPS, WORLDS, features), torch.zeros(NUM_STEPS, WORLDS)
    action, reward, done, value = (torch.zeros(NUM_STEPS, WORLDS) for _ in range(4))
    seen, ended = torch.as_tensor(worlds.reset(seed=1)[0]), torch.zeros(WORLDS)
    for _ in range(iterations + WARM):
        moments.note()
        for t in range(NUM_STEPS):
            x[t], done[t] = seen, ended
            with torch.no_grad():
                chances = torch.distributions.Categorical(logits=actor(seen))
                action[t] = chances.sample()
                log_prob[t], value[t] = chances.log_prob(action[t]), critic(seen)[:, 0]
            observed, rewards, terminated, truncated, _ = worlds.step(action[t].long().numpy())
            reward[t] = torch.as_tensor(rewards)
            seen, ended = torch.as_tensor(observed), torch.as_tensor(terminated | truncated).float()
        with torch.no_grad():
            following, advantages, last = critic(seen)[:, 0], torch.zeros_like(reward), torch.zeros(WORLDS)
            for t in reversed(range(NUM_STEPS)):
                goes_on = 1 - (ended if t == NUM_STEPS - 1 else done[t + 1])
                v_tp1 = following if t == NUM_STEPS - 1 else value[t + 1]
                last = reward[t] + GAMMA * v_tp1 * goes_on - value[t] + GAMMA * LAMBDA * goes_on * last
                advantages[t] = last
        flat = [a.reshape(ROWS, *a.shape[2:]) for a in (x, action, log_prob, advantages, advantages + value)]
        for _ in range(EPOCHS):
            for rows in torch.randperm(ROWS).split(MINIBATCH):
                b_x, b_action, b_log_prob, b_advantage, b_return = (a[rows] for a in flat)
                chances = torch.distributions.Categorical(logits=actor(b_x))
                ratio = (chances.log_prob(b_action) - b_log_prob).exp()
                b_advantage = (b_advantage - b_advantage.mean()) / (b_advantage.std() + 1e-8)
                surrogate = torch.min(ratio * b_advantage, ratio.clamp(1 - CLIP, 1 + CLIP) * b_advantage).mean()
                value_loss = 0.5 * (critic(b_x)[:, 0] - b_return).square().mean()
                loss = 0.5 * value_loss - surrogate - ENTROPY * chances.entropy().mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, 0.5)
                optimizer.step()
    moments.note()
    return moments.rate()


def _worlds(name: str) -> Environment:
    return provider(f"gymnasium:{name}").make("default", worlds=WORLDS, seed=1, max_steps=500)


def adapter(name: str, decisions: int) -> float:
    """Return decisions a second of our worlds, ended ones reset; actions alternate."""
    worlds = _worlds(name)
    worlds.reset()
    began = process_time()
    for t in range(decisions):
        step = worlds.step(np.full((WORLDS, 1, 1), t % 2, worlds.description.actions.dtype))
        if step.over.any():
            worlds.reset(step.over)
    return WORLDS * decisions / (process_time() - began)


def only_step(name: str, decisions: int) -> float:
    """Return decisions a second of a loop that calls the step and the reset of the same environments, and no more."""
    worlds = [gymnasium.make(name) for _ in range(WORLDS)]
    for i, world in enumerate(worlds):
        world.reset(seed=i)
    began = process_time()
    for t in range(decisions):
        for i, world in enumerate(worlds):
            _, _, terminated, truncated, _ = world.step(t % 2)
            if terminated or truncated:
                world.reset(seed=i)
    return WORLDS * decisions / (process_time() - began)


def whole_rollout(name: str, decisions: int) -> float:
    """Return decisions a second of a rollout: our worlds, the policy that acts in them, and the buffers."""
    rollout = Rollout(_worlds(name), NUM_STEPS, 500)
    weights = fresh_weights(rollout.environment.description, (64, 64), np.random.default_rng(1))
    rollout.collect(weights)
    began, times = process_time(), max(1, decisions // NUM_STEPS)
    for _ in range(times):
        rollout.collect(weights)
    return ROWS * times / (process_time() - began)


def compared(contestants: Mapping[str, Callable[[int], float]], rounds: int, size: int) -> Iterator[str]:
    """Let all take turns; return a table of medians and of the first one's ratios to each."""
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            rates[name].append(contestant(size))
    yield "| contestant | agent-steps/s, median | least … most | first ÷ it |"
    yield "|---|---|---|---|"
    first = next(iter(rates.values()))
    for name, found in rates.items():
        ratio = median(a / b for a, b in zip(first, found, strict=True))
        yield f"| {name} | {median(found):,.0f} | {min(found):,.0f} … {max(found):,.0f} | {ratio:.2f} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=15, help="timed iterations of a learner and round")
    parser.add_argument("--decisions", type=int, default=2048, help="decisions of each world where none learns")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    learners = {
        "Townlet's ppo": ours, "SB3 PPO, DummyVecEnv": stable_baselines, "one-file PPO, SyncVectorEnv": one_file,
    }  # fmt: skip
    _show("learning", compared(learners, asked.rounds, asked.iterations))
    for name in (NAME, "LunarLander-v3"):

        def of(play: Callable[[str, int], float], name: str = name) -> Callable[[int], float]:
            return lambda size: play(name, size)

        players: dict[str, Callable[[int], float]] = {
            "loop of env.step alone": of(only_step), "our worlds": of(adapter), "our rollout": of(whole_rollout),
        }  # fmt: skip
        _show(f"playing {name}", compared(players, asked.rounds, asked.decisions))


def _show(title: str, lines: Iterator[str]) -> None:
    sys.stdout.write("\n".join([title, "", *lines, ""]) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
