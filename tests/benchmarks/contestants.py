"""What is timed beside our PPO: the bare loop under it, its matrix products alone, and other learners on the same town.

Every contestant is a function from shapes to agent-steps and seconds; foreign libraries are imported inside.
"""

import contextlib
import io
import runpy
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.policy.model.forward import Layers, forward
from townlet.policy.model.initialise import fresh_layers

__all__ = ["Shapes", "bare", "plain_ppo", "products", "sb3"]

ROOT = Path(__file__).parents[2]
Figures = dict[str, float]
"""``agent_steps``, ``seconds``, and what a contestant tells besides."""


@frozen(kw_only=True)
class Shapes:
    """The sizes of one iteration."""

    scenario: str
    worlds: int
    agents: int
    features: int
    actions: int
    num_steps: int
    update_epochs: int
    minibatch_size: int
    hidden_sizes: tuple[int, ...]
    days: int
    learning_rate: float

    @property
    def lanes(self) -> int:
        """Agent slots that act together."""
        return self.worlds * self.agents

    @property
    def rows(self) -> int:
        """Agent-steps of an iteration."""
        return self.lanes * self.num_steps

    @property
    def parts(self) -> int:
        """Minibatches of an epoch."""
        return max(1, self.rows // self.minibatch_size)

    def trunks(self) -> tuple[Layers, Layers]:
        """Return fresh layers of actor and critic."""
        source = np.random.default_rng(1)
        inner = (self.features, *self.hidden_sizes)
        return fresh_layers(source, (*inner, self.actions), 0.01), fresh_layers(source, (*inner, 1), 1.0)

    def inputs(self) -> NDArray[np.float32]:
        """Return features [rows, F] like a normaliser's."""
        return np.random.default_rng(2).standard_normal((self.rows, self.features)).astype(np.float32)


def bare(shapes: Shapes, iterations: int) -> Figures:
    """Act forward in numpy, then K × forward, backward and Adam in torch: what no PPO of these shapes can do without.

    No town, no sampling, no advantages, no ratio: the loss is the mean square of all outputs, minibatches are slices.
    """
    import torch

    from townlet.policy.model.torch_network import ActorCritic

    actor, critic = shapes.trunks()
    network = ActorCritic(actor, critic)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4, eps=1e-5, fused=True)
    x = shapes.inputs()
    rows = torch.from_numpy(x)
    acting = updating = 0.0
    for iteration in range(iterations + 1):
        began = perf_counter()
        for t in range(shapes.num_steps):
            forward(actor, x[t * shapes.lanes : (t + 1) * shapes.lanes])
        acted = perf_counter()
        for _ in range(shapes.update_epochs):
            for part in torch.tensor_split(rows, shapes.parts):
                loss = network.actor(part).square().mean() + network.value(part).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        if iteration:  # the first warms caches and allocators
            acting += acted - began
            updating += perf_counter() - acted
    return {
        "agent_steps": shapes.rows * iterations, "seconds": acting + updating, "acting": acting, "updating": updating,
    }  # fmt: skip


def products(shapes: Shapes, iterations: int) -> Figures:
    """The matrix products of the bare loop alone: numpy's for acting, torch's for the update, into kept buffers."""
    import torch

    actor, critic = shapes.trunks()
    x, size = shapes.inputs()[: shapes.lanes], shapes.rows // shapes.parts
    widths = [(shapes.features, *(bias.shape[0] for _, bias in trunk)) for trunk in (actor, critic)]
    batch = {width: torch.randn(size, width) for trunk in widths for width in trunk}
    kept = {pair: torch.randn(pair) for trunk in widths for pair in pairwise(trunk)}
    gradients, outputs = ({k: torch.empty_like(v) for k, v in held.items()} for held in (kept, batch))
    chain = [(x if i == 0 else np.ones((shapes.lanes, w.shape[0]), np.float32), w) for i, (w, _) in enumerate(actor)]
    targets = [np.empty((shapes.lanes, w.shape[1]), np.float32) for w, _ in actor]
    seconds = 0.0
    for iteration in range(iterations + 1):
        began = perf_counter()
        for _ in range(shapes.num_steps):
            for (left, right), out in zip(chain, targets, strict=True):
                np.matmul(left, right, out=out)
        for _ in range(shapes.update_epochs * shapes.parts):
            for trunk in widths:
                for index, (before, after) in enumerate(pairwise(trunk)):
                    torch.mm(batch[before], kept[before, after], out=outputs[after])
                    torch.mm(batch[before].T, batch[after], out=gradients[before, after])
                    if index:
                        torch.mm(batch[after], kept[before, after].T, out=outputs[before])
        seconds += (perf_counter() - began) * (iteration > 0)
    return {"agent_steps": shapes.rows * iterations, "seconds": seconds}


class _Clock(io.StringIO):
    """Notes when each line is written."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[float] = []

    def write(self, text: str) -> int:
        """Note the moment."""
        self.moments.append(perf_counter())
        return len(text)


def plain_ppo(shapes: Shapes, iterations: int) -> Figures:
    """The single-file PPO of docs/examples: CleanRL's style, masks, one epoch, 512 lanes; from its second line on."""
    with contextlib.redirect_stdout(_Clock()) as clock:
        example = runpy.run_path(str(ROOT / "docs" / "examples" / "plain_ppo.py"))
        per_line = example["NUM_ENVS"] * example["NUM_STEPS"]
        example["main"](per_line * (iterations + 1))
    return {"agent_steps": per_line * iterations, "seconds": clock.moments[-1] - clock.moments[0]}


def sb3(settings: Mapping[str, object], lanes: int, steps: int) -> Callable[[Shapes, int], Figures]:
    """Return Stable-Baselines3's PPO with some settings on some lanes, over `steps` agent-steps; no masks."""

    def run(shapes: Shapes, iterations: int) -> Figures:
        import torch
        from stable_baselines3 import PPO

        from townlet.env.sb3 import TownVecEnv

        town = TownVecEnv(num_envs=lanes, scenario=shapes.scenario, days=shapes.days)
        given = dict(settings)
        if given.pop("relu", False):
            given["policy_kwargs"] = {"activation_fn": torch.nn.ReLU, "net_arch": list(shapes.hidden_sizes)}
        learner = PPO("MlpPolicy", town, device="cpu", seed=1, **given)
        began = perf_counter()
        learner.learn(steps)
        return {"agent_steps": learner.num_timesteps, "seconds": perf_counter() - began}

    return run
