"""Weights that do nothing in particular, so that a promotion has something to prove where no policy matters."""

import numpy as np
from attrs import evolve

from townlet.policy.model.weights import Weights, WeightsMetadata, make_probe, read_weights


def pebble(text: str) -> bytes:
    """Return a weights file that carries a text."""
    weights = Weights(
        metadata=WeightsMetadata(
            features=("hunger",), actions=("wait", "eat"), layers=1, environment=text, parity=None
        ),
        actor=((np.ones((1, 2), np.float32), np.zeros(2, np.float32)),),
        critic=((np.zeros((1, 1), np.float32), np.zeros(1, np.float32)),),
        mean=np.zeros(1, np.float32),
        scale=np.ones(1, np.float32),
        value_mean=0.0,
        value_scale=1.0,
    )
    probe = make_probe(weights, np.ones((4, 1), np.float32), np.ones((4, 2), np.bool_))
    return evolve(weights, probe=probe).to_bytes()


def text_of(data: bytes) -> str:
    """Return the text that a pebble carries."""
    return read_weights(data, "pebble").metadata.environment
