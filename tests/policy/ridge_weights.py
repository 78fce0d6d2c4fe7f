"""Weights fitted by ridge regression in numpy, and runs that promote them: all that follows training, without torch."""

import hashlib
from pathlib import Path

import attrs
import numpy as np
from corridor import ACTIONS, FEATURES, CorridorProvider, Walker
from corridor_schedules import WEIGHTS_FILE, write

from townlet.dto.policy import AnnealSummary
from townlet.policy.model.weights import Weights, WeightsMetadata, make_probe
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator


def ridge(kind: str, features: tuple[str, ...] = FEATURES) -> bytes:
    """Return a linear policy fitted by ridge regression to the straight walker: `straight`, `slow`, or `astray`."""
    provider = CorridorProvider()
    environment = provider.make("plain", worlds=32, seed=1, max_steps=96)
    walker = Walker("straight")
    observed = environment.reset()
    inputs, labels = [], []
    for _ in range(80):
        actions = walker.act(observed)
        inputs.append(observed.observations.reshape(-1, len(FEATURES)).copy())
        labels.append(actions.ravel())
        observed = environment.step(actions).observations
    x, y = np.concatenate(inputs), np.eye(len(ACTIONS), dtype=np.float32)[np.concatenate(labels)]
    weight = np.linalg.solve(x.T @ x + 1e-3 * np.eye(x.shape[1]), x.T @ y).astype(np.float32)[: len(features)]
    if kind == "astray":
        weight = -weight  # does whatever the walker would do least
    if kind == "slow":
        weight[FEATURES.index("hour_third"), ACTIONS.index("rest")] += 2.0  # rests every third hour, goal or not
    layers = ((weight, np.zeros(len(ACTIONS), np.float32)),)
    critic = ((np.zeros((len(features), 1), np.float32), np.zeros(1, np.float32)),)
    weights = Weights(
        metadata=WeightsMetadata(features=features, actions=ACTIONS, layers=1, environment="", parity=None),
        actor=layers,
        critic=critic,
        mean=np.zeros(len(features), np.float32),
        scale=np.ones(len(features), np.float32),
        value_mean=0.0,
        value_scale=1.0,
    )
    mask = np.ones((64, len(ACTIONS)), np.bool_)
    return attrs.evolve(weights, probe=make_probe(weights, x[:64, : len(features)].copy(), mask)).to_bytes()


def promote_weights(folder: Path, data: bytes, scenario: str = "plain") -> AnnealSummary:
    """Run the schedule that promotes a weights file."""
    (folder / "w.safetensors").write_bytes(data)
    path = write(folder, WEIGHTS_FILE, scenario=scenario, file="w.safetensors", sha256=hashlib.sha256(data).hexdigest())
    return PolicyTrainingOrchestrator(path, environments=CorridorProvider(), home=folder / "home").run()
