"""What is timed beside our PPO: the bare loop under it, its matrix products alone, and other learners on the same town.

Every contestant answers with agent-steps and the seconds of both clocks; foreign libraries are imported inside.
"""

import contextlib
import io
import runpy
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townlet.dto.actions import ActionSpec
from townlet.dto.schedule import EnvironmentSpec
from townlet.dto.strategies import PPOSpec
from townlet.policy.model.forward import Layers, forward
from townlet.policy.model.initialise import fresh_layers
from townlet.policy.training.bench_host import clocks
from townlet.policy.training.bench_products import PPOShapes

__all__ = ["Contestant", "Figures", "bare", "features_of", "plain_ppo", "products", "sb3", "timed", "trunks"]

ROOT = Path(__file__).parents[2]
Figures = dict[str, float]
"""``agent_steps``, ``seconds`` by the clock, ``processor`` seconds, and what a contestant tells besides."""
Contestant = Callable[[int], Figures]
"""Runs so many iterations after the ones that warm caches up."""


def trunks(shapes: PPOShapes) -> tuple[Layers, Layers]:
    """Return fresh layers of actor and critic."""
    source = np.random.default_rng(1)
    actor, critic = shapes.widths
    return fresh_layers(source, actor, 0.01), fresh_layers(source, critic, 1.0)


def features_of(shapes: PPOShapes) -> NDArray[np.float32]:
    """Return features [rows, F] like a normaliser's."""
    return np.random.default_rng(2).standard_normal((shapes.rows, shapes.features)).astype(np.float32)


def timed(agent_steps: float, began: NDArray[np.float64], ended: NDArray[np.float64] | None = None) -> Figures:
    """Return agent-steps and the seconds of both clocks since a moment, or up to another."""
    seconds, processor = (clocks() if ended is None else ended) - began
    return {"agent_steps": agent_steps, "seconds": float(seconds), "processor": float(processor)}


def bare(shapes: PPOShapes, iterations: int) -> Figures:
    """Act forward in numpy, then K × forward, backward and Adam in torch: what no PPO of these shapes can do without.

    No town, no sampling, no advantages, no ratio: the loss is the mean square of all outputs, minibatches are slices.
    """
    import torch

    from townlet.policy.model.torch_network import ActorCritic

    actor, critic = trunks(shapes)
    heads = ActionSpec.one_of(*map(str, range(shapes.outputs)))
    network = ActorCritic(actor, critic, np.zeros(0, np.float32), heads)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, eps=1e-5, fused=True)
    x = features_of(shapes)
    rows = torch.from_numpy(x)
    began = clocks()
    for iteration in range(iterations + 1):
        for t in range(shapes.num_steps):
            forward(actor, x[t * shapes.lanes : (t + 1) * shapes.lanes])
        for _ in range(shapes.update_epochs):
            for part in torch.tensor_split(rows, shapes.minibatches):
                loss = network.actor(part).square().mean() + network.value(part).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        if not iteration:  # the first warms caches and allocators
            began = clocks()
    return timed(shapes.rows * iterations, began)


def products(shapes: PPOShapes, iterations: int) -> Figures:
    """The matrix products of the bare loop alone: numpy's for acting, torch's for the update, into kept buffers."""
    import torch

    layers = trunks(shapes)
    x, size = features_of(shapes)[: shapes.lanes], shapes.rows // shapes.minibatches
    batch = {width: torch.randn(size, width) for trunk in shapes.widths for width in trunk}
    kept = {pair: torch.randn(pair) for trunk in shapes.widths for pair in pairwise(trunk)}
    gradients, outputs = ({k: torch.empty_like(v) for k, v in held.items()} for held in (kept, batch))
    lanes = shapes.lanes
    chain = [(x if i == 0 else np.ones((lanes, w.shape[0]), np.float32), w) for i, (w, _) in enumerate(layers[0])]
    targets = [np.empty((lanes, w.shape[1]), np.float32) for w, _ in layers[0]]
    began = clocks()
    for iteration in range(iterations + 1):
        for _ in range(shapes.num_steps):
            for (left, right), out in zip(chain, targets, strict=True):
                np.matmul(left, right, out=out)
        for _ in range(shapes.update_epochs * shapes.minibatches):
            for trunk in shapes.widths:
                for index, (before, after) in enumerate(pairwise(trunk)):
                    torch.mm(batch[before], kept[before, after], out=outputs[after])
                    torch.mm(batch[before].T, batch[after], out=gradients[before, after])
                    if index:
                        torch.mm(batch[after], kept[before, after].T, out=outputs[before])
        if not iteration:
            began = clocks()
    return timed(shapes.rows * iterations, began)


class _Lines(io.StringIO):
    """Notes when each line is written."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[NDArray[np.float64]] = []

    def write(self, text: str) -> int:
        """Note the moment."""
        self.moments.append(clocks())
        return len(text)


def plain_ppo(iterations: int) -> Figures:
    """The single-file PPO of docs/examples: CleanRL's style, masks, one epoch, 512 lanes; from its second line on."""
    with contextlib.redirect_stdout(_Lines()) as lines:
        example = runpy.run_path(str(ROOT / "docs" / "examples" / "plain_ppo.py"))
        per_line = example["NUM_ENVS"] * example["NUM_STEPS"]
        example["main"](per_line * (iterations + 1))
    return timed(per_line * iterations, lines.moments[0], lines.moments[-1])


def sb3(options: PPOSpec, place: EnvironmentSpec, shapes: PPOShapes | None) -> Contestant:
    """Return Stable-Baselines3's PPO on the town without masks: at our shapes, or with its defaults on 64 lanes."""

    def run(_: int) -> Figures:
        import torch
        from stable_baselines3 import PPO

        from townlet.env.sb3 import TownVecEnv

        settings: dict[str, Any] = {}
        if shapes is not None:
            settings = {
                "n_steps": shapes.num_steps, "batch_size": shapes.minibatch_size, "n_epochs": shapes.update_epochs,
                "gamma": 0.988, "learning_rate": options.learning_rate,
                "policy_kwargs": {"activation_fn": torch.nn.ReLU, "net_arch": list(shapes.hidden_sizes)},
            }  # fmt: skip
        town = TownVecEnv(num_envs=64 if shapes is None else shapes.lanes, scenario=place.scenario, days=options.days)
        learner = PPO("MlpPolicy", town, device="cpu", seed=1, **settings)
        began = clocks()
        learner.learn(2048 * 64 if shapes is None else shapes.rows * 4)
        return timed(learner.num_timesteps, began)

    return run
