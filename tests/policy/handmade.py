"""Policies of the town that nobody trained: one linear layer, written down rule by rule, as weights files."""

from collections.abc import Mapping

import numpy as np

from townlet.env.town import TownProvider
from townlet.policy.model.weights import Weights, WeightsMetadata

ABOUT = TownProvider().describe("small_town")
ACTIONS = ABOUT.actions.outputs
OBJECTS = sum(action.startswith("use_") for action in ACTIONS)

Rules = Mapping[str, Mapping[str, float]]
"""Weight of each feature, and of ``always``, for each action; what is not named weighs nothing."""


def weights_of(rules: Rules, *, value_mean: float = 0.0) -> bytes:
    """Return the weights of some rules; files of another `value_mean` differ and act the same."""
    weight = np.zeros((len(ABOUT.features), len(ACTIONS)), np.float32)
    bias = np.zeros(len(ACTIONS), np.float32)
    for action, terms in rules.items():
        column = ACTIONS.index(action)
        for feature, worth in terms.items():
            if feature == "always":
                bias[column] = worth
            else:
                weight[ABOUT.features.index(feature), column] = worth
    critic = ((np.zeros((len(ABOUT.features), 1), np.float32), np.zeros(1, np.float32)),)
    return Weights(
        metadata=WeightsMetadata(
            features=ABOUT.features, actions=ACTIONS, layers=1, environment=ABOUT.signature, parity=None
        ),
        actor=((weight, bias),),
        critic=critic,
        mean=np.zeros(len(ABOUT.features), np.float32),
        scale=np.ones(len(ABOUT.features), np.float32),
        value_mean=value_mean,
        value_scale=1.0,
    ).to_bytes()


def _nearest(waiting: float) -> Rules:
    return {
        f"use_{o}": {"always": 3.0, f"object_{o}_distance": -1.0, f"object_{o}_waiting": waiting}
        for o in range(OBJECTS)
    }


LIVES: Rules = _nearest(-1.0) | {"work": {"always": -1.0, "on_shift": 3.0}, "wait": {"always": 0.5}}
"""Uses the nearest object that it may, and works on shift when nothing calls: beats chance by far."""
QUEUES: Rules = _nearest(0.6) | {"work": {"always": -1.0}, "wait": {"always": 0.5}}
"""Never works, and would rather stand in line: in a small town no worse than chance, in a crowd clearly so."""
WAITS: Rules = {"wait": {"always": 9.0}}
"""A policy of a single action: stands where it is, so nobody eats, nobody works and nobody queues."""
