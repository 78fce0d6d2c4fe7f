"""Forward pass and action choice in numpy: every policy acts here, with the same bits for any split of a batch.

The product of a single row differs in its last bits from that row's product in a batch. Rows are therefore
multiplied in tiles of one fixed shape, padded with zeros.
"""

from typing import Literal

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from townlet.dto.boundary import ObservationBatchDTO
from townlet.policy.model.blas import one_thread
from townlet.rng import mix, uniform

__all__ = ["ILLEGAL", "ActingPolicy", "Layers", "choose_greedily", "forward", "log_probabilities", "masked", "sample"]

Layers = tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]
"""(weight [in, out], bias [out]) of each layer; ReLU between layers, none after the last."""

TILE = 256
"""Rows of every matrix product."""
ILLEGAL = np.float32(-1.0e9)
"""Logit of an illegal action; exp of it is 0 in float32."""


@one_thread()
def forward(layers: Layers, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the outputs [B, out] of a multi-layer perceptron for inputs [B, in]."""
    rows, width = inputs.shape
    outputs = np.empty((rows, layers[-1][1].shape[0]), np.float32)
    tile = np.zeros((TILE, width), np.float32)
    hidden = [np.empty((TILE, bias.shape[0]), np.float32) for _, bias in layers]
    for start in range(0, rows, TILE):
        size = min(TILE, rows - start)
        if size == TILE:
            x = inputs[start : start + TILE]
        else:
            tile[:size], tile[size:] = inputs[start:], 0
            x = tile
        for index, (weight, bias) in enumerate(layers):
            y = hidden[index]
            np.matmul(x, weight, out=y)
            y += bias
            if index < len(layers) - 1:
                np.maximum(y, 0, out=y)
            x = y
        outputs[start : start + size] = x[:size]
    return outputs


def masked(logits: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return logits [B, A] with illegal actions at `ILLEGAL`."""
    return np.where(mask, logits, ILLEGAL)


def log_probabilities(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return log softmax over the last axis, float32: z − max(z) − log Σₖ exp(zₖ − max(z))."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)), np.float32)


def choose_greedily(logits: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the action with the largest logit [B], the first of equal ones."""
    return np.asarray(logits.argmax(axis=-1), np.int64)


def sample(logits: NDArray[np.float32], numbers: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return actions [B], sampled by the inverse of the cumulative distribution with uniform numbers [B] in [0, 1)."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    cumulative = np.cumsum(weights, axis=-1)
    # An illegal action has weight 0, so the first sum above the threshold belongs to a legal one.
    above = cumulative > (numbers * cumulative[:, -1])[:, None]
    return np.asarray(above.argmax(axis=-1), np.int64)


@frozen(kw_only=True, eq=False)
class ActingPolicy:
    """Chooses actions with learned weights; implements `ports.Teacher`."""

    actor: Layers
    """From normalised features to logits."""
    mean: NDArray[np.float32]
    """[F], of the observation normaliser."""
    scale: NDArray[np.float32]
    """[F], of the observation normaliser."""
    mode: Literal["greedy", "stochastic"] = "greedy"
    """`greedy`: the action with the largest logit; `stochastic`: a sample."""
    stream: int = field(default=0x5A)
    """Key of this policy's random numbers, so that another random choice with the same keys is independent."""

    def normalise(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return normalised features [B, F] of observations [W, N, F], clipped to ±10."""
        return normalise(observations.reshape(-1, observations.shape[-1]), self.mean, self.scale)

    def logits(self, normalised: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return masked logits [B, A]."""
        return masked(forward(self.actor, normalised), mask.reshape(-1, mask.shape[-1]))

    def draws(self, keys: NDArray[np.uint64], agents: int) -> NDArray[np.float32]:
        """Return one uniform number per agent slot [W·N] from the worlds' keys [W]."""
        return uniform(mix(mix(keys, self.stream)[:, None], np.arange(agents, dtype=np.uint64))).ravel()

    def act(self, observations: ObservationBatchDTO) -> NDArray[np.int64]:
        """Return actions [W, N]."""
        logits = self.logits(self.normalise(observations.observations), observations.action_mask)
        if self.mode == "greedy":
            actions = choose_greedily(logits)
        else:
            actions = sample(logits, self.draws(observations.keys, observations.alive.shape[1]))
        return actions.reshape(observations.alive.shape)


def normalise(
    features: NDArray[np.float32], mean: NDArray[np.float32], scale: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return (features − mean) ÷ scale, clipped to ±10; float32 [B, F]."""
    result = features - mean
    result /= scale
    return np.clip(result, -10, 10, out=result)
