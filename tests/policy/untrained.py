"""Untrained policies between spaces of many kinds."""

from hashlib import sha256
from typing import Any

import attrs
import numpy as np
from gymnasium import spaces

from townlet.env.spaces import layouts_of
from townlet.policy.model.initialise import fresh_layers
from townlet.policy.model.policy import Policy
from townlet.policy.model.weights import Weights, WeightsMetadata, make_probe

WHEEL = spaces.Box(np.array([-1.0, 0.0], np.float32), np.array([3.0, 1.0], np.float32))
SEEN = spaces.Dict(
    {"position": spaces.Box(-9, 9, (2, 2)), "gear": spaces.Discrete(3, start=-1), "lamps": spaces.MultiBinary(2)}
)
PAIRS = {
    "cart": (spaces.Box(-9, 9, (4,)), spaces.Discrete(2)),
    "start": (spaces.Tuple((spaces.Discrete(3), spaces.Box(0, 1, (1,)))), spaces.Discrete(3, start=-1)),
    "dict": (SEEN, spaces.Dict({"wheel": WHEEL, "gear": spaces.Discrete(3, start=-1)})),
    "heads": (spaces.Box(-9, 9, (5,)), spaces.MultiDiscrete([3, 5, 7])),
    "wheel": (spaces.Box(-9, 9, (3,)), WHEEL),
    "whole": (spaces.Box(-9, 9, (3,)), spaces.Box(0, 30, (4,), np.int16)),
    "tuple": (SEEN, spaces.Tuple((spaces.MultiBinary(3), spaces.Box(-np.inf, np.inf, (1,))))),
}


def policy_of(observation: spaces.Space[Any], action: spaces.Space[Any], seed: int = 0) -> Policy:
    """Return an untrained policy of a [16, 16] net between two spaces, whose logits are far apart."""
    layouts, rng = layouts_of(observation, action, "e"), np.random.default_rng(seed)
    names, spec = layouts.observations.names, layouts.action.spec
    metadata = WeightsMetadata(
        features=names,
        actions=spec.outputs,
        heads=spec.stored_heads,
        layers=3,
        environment="",
        parity=None,
        spaces=layouts.spaces,
    )
    weights = Weights(
        metadata=metadata,
        actor=fresh_layers(rng, (len(names), 16, 16, len(spec.outputs)), 1.0),
        critic=fresh_layers(rng, (len(names), 16, 16, 1), 1.0),
        mean=rng.normal(size=len(names)).astype(np.float32),
        scale=rng.uniform(0.5, 2, len(names)).astype(np.float32),
        value_mean=2.0,
        value_scale=3.0,
        log_std=np.full(len(spec.box), -0.5, np.float32),
    )
    rows = rng.normal(size=(8, len(names))).astype(np.float32)
    weights = attrs.evolve(weights, probe=make_probe(weights, rows, np.ones((8, spec.logits), np.bool_)))
    data = weights.to_bytes()
    return Policy(weights=weights, digest=sha256(data).hexdigest())
