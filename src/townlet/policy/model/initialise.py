"""Initial weights: orthogonal matrices and zero biases (Saxe et al. 2014; gains as in Andrychowicz et al. 2021)."""

from itertools import pairwise

import attrs
import numpy as np
from numpy.typing import NDArray

from townlet.dto.actions import ActionSpec
from townlet.policy.model.forward import Layers
from townlet.policy.model.weights import Weights, WeightsMetadata
from townlet.ports import EnvironmentDescription

__all__ = ["fresh_layers", "fresh_log_std", "fresh_weights", "with_normaliser", "without_inputs"]


def fresh_layers(rng: np.random.Generator, sizes: tuple[int, ...], last_gain: float) -> Layers:
    """Return random layers of `sizes` (inputs, hidden …, outputs); gain √2, in the last layer `last_gain`."""
    layers = []
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        gain = last_gain if index == len(sizes) - 2 else np.sqrt(2.0)
        gaussian = rng.standard_normal((max(inputs, outputs), min(inputs, outputs)))
        q, r = np.linalg.qr(gaussian)
        q *= np.sign(np.diag(r))
        weight = q if inputs >= outputs else q.T
        layers.append((np.ascontiguousarray(gain * weight, np.float32), np.zeros(outputs, np.float32)))
    return tuple(layers)


def without_inputs(unseen: NDArray[np.bool_], layers: Layers) -> Layers:
    """Return layers whose first has no weight for the features [F] that are never seen while they are fitted.

    Such inputs are 0 then, so the weights stay 0 until a training that sees them moves them.
    """
    if not unseen.any():
        return layers
    (weight, bias), *rest = layers
    return ((np.where(unseen[:, None], np.float32(0), weight), bias), *rest)


def fresh_weights(
    description: EnvironmentDescription, hidden_sizes: tuple[int, ...], rng: np.random.Generator
) -> Weights:
    """Return untrained weights for an environment; their normaliser is the identity."""
    inputs, spec = len(description.features), description.actions
    return Weights(
        metadata=WeightsMetadata(
            features=description.features,
            actions=spec.outputs,
            heads=spec.stored_heads,
            layers=len(hidden_sizes) + 1,
            environment=description.signature,
            parity=None,
            spaces=description.spaces,
        ),
        actor=fresh_layers(rng, (inputs, *hidden_sizes, len(spec.outputs)), 0.01),
        critic=fresh_layers(rng, (inputs, *hidden_sizes, 1), 1.0),
        mean=np.zeros(inputs, np.float32),
        scale=np.ones(inputs, np.float32),
        value_mean=0.0,
        value_scale=1.0,
        log_std=fresh_log_std(spec),
    )


def fresh_log_std(spec: ActionSpec) -> NDArray[np.float32]:
    """Return log σ [D] of untrained weights: half of the distance from the centre to a bound."""
    return np.full(len(spec.box), np.log(0.5), np.float32)


def with_normaliser(weights: Weights, observations: NDArray[np.float32]) -> Weights:
    """Return the weights with a normaliser fitted to raw observations [B, F]: their mean and standard deviation."""
    scale = observations.std(0, dtype=np.float64)
    return attrs.evolve(
        weights,
        mean=observations.mean(0, dtype=np.float64).astype(np.float32),
        scale=np.where(scale < 1e-3, 1.0, scale).astype(np.float32),
    )
