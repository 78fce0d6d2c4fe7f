"""The certificate of a policy's outputs: how far single precision, in tiles, is from double precision, all at once."""

import numpy as np
from numpy.typing import NDArray

from townlet.policy.model.blas import one_thread
from townlet.policy.model.forward import Layers, forward

__all__ = ["parity"]


@one_thread()
def parity(actor: Layers, normalised: NDArray[np.float32]) -> float:
    """Return the largest difference of an output for normalised features [B, F], from the same in double precision."""
    x = normalised.astype(np.float64)
    for index, (weight, bias) in enumerate(actor):
        x = x @ weight.astype(np.float64) + bias
        if index < len(actor) - 1:
            np.maximum(x, 0, out=x)
    return float(np.abs(x - forward(actor, normalised)).max(initial=0.0))
