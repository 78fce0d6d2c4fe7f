"""Fresh layers: orthogonal weights and zero biases (Saxe et al. 2014; gains as in Andrychowicz et al. 2021)."""

from itertools import pairwise

import numpy as np

from townlet.policy.inference import Layers

__all__ = ["fresh_layers"]


def fresh_layers(rng: np.random.Generator, sizes: tuple[int, ...], last_gain: float) -> Layers:
    """Return layers for `sizes` (inputs, hidden …, outputs); hidden gain √2, the last layer's `last_gain`."""
    layers = []
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        gain = last_gain if index == len(sizes) - 2 else np.sqrt(2.0)
        tall = rng.standard_normal((max(inputs, outputs), min(inputs, outputs)))
        q, r = np.linalg.qr(tall)
        q *= np.sign(np.diag(r))
        weight = q if inputs >= outputs else q.T
        layers.append((np.ascontiguousarray(gain * weight, np.float32), np.zeros(outputs, np.float32)))
    return tuple(layers)
