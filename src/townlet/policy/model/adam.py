"""Adam (Kingma and Ba, 2015), by torch's fused function.

torch's own optimizers import its compiler when the first is made, which takes two seconds of each process that trains.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.adam import adam

__all__ = ["Adam"]

_BETAS = (0.9, 0.999)
_EPSILON = 1.0e-5
_NAMES = ("step", "exp_avg", "exp_avg_sq")
"""Number of steps, means of gradients and of their squares, as torch names them."""


class Adam:
    """Takes steps against gradients; every group of parameters has a learning rate of its own.

    m ← β₁·m + (1 − β₁)·g,  v ← β₂·v + (1 − β₂)·g²
    θ ← θ − lr · (m ÷ (1 − β₁ᵗ)) ÷ (√(v ÷ (1 − β₂ᵗ)) + ε)
    """

    def __init__(self, *groups: Sequence[Tensor]) -> None:
        self.groups = [list(parameters) for parameters in groups]
        self.learning_rates = [0.0] * len(groups)
        """One for each group."""
        self._state: dict[Tensor, tuple[Tensor, Tensor, Tensor]] = {}

    @property
    def parameters(self) -> list[Tensor]:
        """All parameters, group by group."""
        return [parameter for group in self.groups for parameter in group]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """Take a step with every parameter that has a gradient."""
        for group, learning_rate in zip(self.groups, self.learning_rates, strict=True):
            moved = [parameter for parameter in group if parameter.grad is not None]
            if moved:
                self._move(moved, learning_rate)

    def _move(self, parameters: list[Tensor], learning_rate: float) -> None:
        for parameter in parameters:
            if parameter not in self._state:
                step = torch.zeros((), dtype=torch.float32, device=parameter.device)
                self._state[parameter] = (step, torch.zeros_like(parameter), torch.zeros_like(parameter))
        steps, means, squares = (list(part) for part in zip(*map(self._state.__getitem__, parameters), strict=True))
        with torch.no_grad():
            adam(
                parameters,
                [parameter.grad for parameter in parameters],
                means,
                squares,
                [],
                steps,
                fused=True,
                amsgrad=False,
                beta1=_BETAS[0],
                beta2=_BETAS[1],
                lr=learning_rate,
                weight_decay=0.0,
                eps=_EPSILON,
                maximize=False,
            )

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the state by ``PARAMETER.NAME``, without parameters that had no step yet."""
        return {
            f"{index}.{name}": value.cpu().numpy().copy()
            for index, parameter in enumerate(self.parameters)
            if parameter in self._state
            for name, value in zip(_NAMES, self._state[parameter], strict=True)
        }

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `state` returned."""
        self._state = {
            parameter: tuple(
                torch.from_numpy(np.array(arrays[f"{index}.{name}"])).to(parameter.device) for name in _NAMES
            )
            for index, parameter in enumerate(self.parameters)
            if f"{index}.{_NAMES[0]}" in arrays
        }
