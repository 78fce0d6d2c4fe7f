"""Adam (Kingma and Ba, 2015) as a kernel, on a part of the learner's flat arrays. No torch."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from townlet.compiled import entry_kernel
from townlet.policy.model.products import matrix

__all__ = ["BETAS", "EPSILON", "AdamNumbers", "adam_step"]

Reals = NDArray[Any]

BETAS = (0.9, 0.999)
EPSILON = 1.0e-5


class AdamNumbers(NamedTuple):
    """Numbers of a step, in the parameters' precision."""

    scale: Any
    """Factor of the gradient, 1 where its norm is not clipped."""
    mean_share: Any
    """1 − β₁."""
    square_kept: Any
    """β₂."""
    square_share: Any
    """1 − β₂."""
    rate: Any
    """lr ÷ (1 − β₁ᵗ)."""
    root: Any
    """√(1 − β₂ᵗ)."""
    epsilon: Any

    @classmethod
    def of_step(cls, kind: Any, step: int, learning_rate: float, scale: float) -> "AdamNumbers":
        """Return the numbers of step t, from 1."""
        first, second = BETAS
        rate, root = learning_rate / (1 - first**step), (1 - second**step) ** 0.5
        return cls(*map(kind, (scale, 1 - first, second, 1 - second, rate, root, EPSILON)))


@entry_kernel
def adam_step(
    values: Reals, gradient: Reals, means: Reals, squares: Reals, parts: NDArray[np.int64], numbers: AdamNumbers
) -> None:
    """Take a step with some parts of the flat arrays [P]; each of `parts` [N, 4] is (start, rows, columns, stride).

    m ← m + (1 − β₁)·(g − m),  v ← β₂·v + (1 − β₂)·g²
    θ ← θ − lr · (m ÷ (1 − β₁ᵗ)) ÷ (√(v ÷ (1 − β₂ᵗ)) + ε)
    """
    n = numbers
    for part in range(len(parts)):
        for row in range(parts[part, 1]):
            start, columns = parts[part, 0] + row * parts[part, 3], parts[part, 2]
            theta, g = matrix(values, start, 1, columns), matrix(gradient, start, 1, columns)
            m, v = matrix(means, start, 1, columns), matrix(squares, start, 1, columns)
            for j in range(columns):
                slope = g[0, j] * n.scale
                m[0, j] += n.mean_share * (slope - m[0, j])
                v[0, j] = n.square_kept * v[0, j] + n.square_share * slope * slope
                theta[0, j] -= n.rate * m[0, j] / (np.sqrt(v[0, j]) / n.root + n.epsilon)
