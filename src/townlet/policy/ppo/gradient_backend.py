"""Two ways to learn from minibatches: compiled kernels on the CPU, torch's autograd on a GPU."""

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from townlet.dto.strategies import PPOSpec
from townlet.policy.model.weights import Weights
from townlet.policy.ppo.batch import Batch, Demonstrations, Minibatch, Terms
from townlet.policy.ppo.block_rows import choose_block_rows
from townlet.policy.ppo.kernel_backend import KernelBackend
from townlet.policy.ppo.layout import ParameterViews
from townlet.policy.ppo.ramps import Ramp

__all__ = ["GradientBackend", "choose_backend"]

Reals = NDArray[Any]


class GradientBackend(Protocol):
    """Holds the parameters, computes the gradient of a minibatch, and takes steps against it."""

    block_rows: int
    """Rows that pass through the network together; 0 for all."""

    def layers(self) -> ParameterViews:
        """Return copies of the parameters."""

    def load(self, actor: Any, critic: Any, log_std: Reals) -> None:
        """Overwrite the parameters."""

    def scale_values(self, factor: float, shift: float) -> None:
        """Change the critic's last layer so that its output becomes factor·output + shift."""

    def use(self, batch: Batch[Reals]) -> None:
        """Take the decisions that the next minibatches are rows of."""

    def gradient(self, minibatch: Minibatch, ramp: Ramp) -> tuple[Terms[float], float, float]:
        """Compute the gradient; return the terms, the gradient's norm and the advantages' standard deviation."""

    def step(self, ramp: Ramp) -> None:
        """Take Adam's step against the gradient, whose norm is clipped; the actor's where something trained it."""

    def adam_state(self) -> dict[str, Reals]:
        """Return Adam's state by ``PARAMETER.NAME``."""

    def load_adam(self, state: Mapping[str, Reals]) -> None:
        """Go on from what `adam_state` returned."""


def choose_backend(
    parent: Weights,
    spec: PPOSpec,
    device: Any,
    block_rows: int | None,
    demonstrations: Demonstrations[Reals] | None = None,
) -> GradientBackend:
    """Return kernels for the CPU, torch for any other `torch.device`; `block_rows` is measured where it is None."""
    if device.type == "cpu":
        rows = block_rows or choose_block_rows(parent, spec)
        return KernelBackend(parent.actor, parent.critic, parent.log_std, parent.spec, spec, rows, demonstrations)
    from townlet.policy.ppo.torch_backend import TorchBackend

    return TorchBackend(parent.actor, parent.critic, parent.log_std, parent.spec, spec, device, demonstrations)
