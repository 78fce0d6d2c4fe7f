"""The policy that plays for ppo: batches of worlds in compiled kernels, halves of them on two threads."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from townlet.dto.boundary import ObservationBatchDTO
from townlet.policy.distributions.acting import ILLEGAL, LOG_ROOT_2PI, gaussian
from townlet.policy.distributions.exponential import exponential_constants
from townlet.policy.gradient.kernel import Parameters
from townlet.policy.gradient.layout import Layout, ParameterViews
from townlet.policy.model.blas import one_thread
from townlet.policy.model.threads import both
from townlet.policy.model.weights import Weights
from townlet.policy.ppo.acting_kernel import ActingNumbers, Inputs, Outputs, act

__all__ = ["RolloutPolicy"]

_BLOCK = 256
"""Rows that pass through the networks together."""
_ROWS_FOR_TWO_THREADS = 512
"""Rows from which a second thread gains more than it costs to wake it."""
_LIMIT = 10.0
"""Normalised features are clipped to ± it."""


class RolloutPolicy:
    """Draws actions with some weights; the batch is divided in the same halves on any machine."""

    def __init__(self, weights: Weights) -> None:
        """Copy the weights."""
        self.weights, self._policy = weights, weights.policy("stochastic")
        layout = Layout(weights.actor, weights.critic, weights.spec, _BLOCK)
        values = np.empty(layout.parameters, np.float32)
        given = ParameterViews(weights.actor, weights.critic, weights.log_std)
        for mine, other in zip(layout.views(values).each(), given.each(), strict=True):
            mine[:] = other
        self._memories = [layout.memory() for _ in range(2)]
        self._parameters = Parameters(*layout.tables, values, values[:0])
        self._normaliser = (np.require(weights.mean, None, ("C", "W")), np.require(weights.scale, None, ("C", "W")))
        numbers = (_LIMIT, weights.value_scale, weights.value_mean, 0, 0.5, 1, ILLEGAL, LOG_ROOT_2PI)
        reals: Any = tuple(np.float32(each) for each in numbers)
        self._numbers, self._exp = ActingNumbers(*reals), exponential_constants(np.float32)

    def play(self, observations: ObservationBatchDTO, outputs: Outputs) -> None:
        """Draw an action for every agent; write what is to be recorded, rows [W·N]."""
        spec, agents = self._policy.spec, observations.alive.shape[1]
        numbers = self._policy.draws(observations.keys, agents)
        if spec.box:
            numbers[:, len(spec.discrete) :] = gaussian(numbers[:, len(spec.discrete) :])
        rows = len(numbers)
        inputs = Inputs(
            _read_only(observations.observations, np.float32, rows),
            _read_only(observations.action_mask, np.bool_, rows),
            numbers,
        )
        with one_thread():
            if rows < _ROWS_FOR_TWO_THREADS:
                self._act(0, inputs, outputs)
                return
            half = rows // 2
            parts = [
                (Inputs(*(each[part] for each in inputs)), Outputs(*(each[part] for each in outputs)))
                for part in (slice(None, half), slice(half, None))
            ]
            both(lambda: self._act(0, *parts[0]), lambda: self._act(1, *parts[1]))

    def _act(self, index: int, inputs: Inputs, outputs: Outputs) -> None:
        act(self._memories[index], self._parameters, self._normaliser, inputs, outputs, self._numbers, self._exp)


def _read_only(values: NDArray[Any], kind: Any, rows: int) -> NDArray[Any]:
    """Return an array [rows, …] of one kind, in one piece, that nobody writes to: the kernel is compiled for that."""
    view = np.require(values, kind, ("C", "A")).reshape(rows, -1)
    view.flags.writeable = False
    return view
