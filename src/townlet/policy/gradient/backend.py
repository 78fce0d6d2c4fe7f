"""Two ways to learn from minibatches: compiled kernels on the CPU, torch's autograd on a GPU."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from townlet.dto.actions import ActionSpec
from townlet.policy.gradient.batch import Batch, Demonstrations, LossOptions, Minibatch, StepOptions, Terms
from townlet.policy.gradient.kernel_backend import KernelBackend
from townlet.policy.gradient.layout import ParameterViews

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

    def gradient(self, minibatch: Minibatch, step: StepOptions) -> tuple[Terms[float], float, float]:
        """Compute the gradient; return the terms, the gradient's norm and the advantages' standard deviation."""

    def step(self, step: StepOptions) -> None:
        """Take Adam's step against the gradient, whose norm is clipped; the actor's where something trained it."""

    def adam_state(self) -> dict[str, Reals]:
        """Return Adam's state by ``PARAMETER.NAME``."""

    def load_adam(self, state: Mapping[str, Reals]) -> None:
        """Go on from what `adam_state` returned."""


def choose_backend(
    parameters: ParameterViews,
    actions: ActionSpec,
    options: LossOptions,
    device: Any,
    block_rows: Callable[[], int],
    demonstrations: Demonstrations[Reals] | None = None,
) -> GradientBackend:
    """Return kernels for the CPU, torch for any other `torch.device`.

    A trunk that is not trained may be left out of the parameters. `block_rows` is asked for the CPU only.
    """
    weights = (*parameters, actions, options)
    if device.type == "cpu":
        return KernelBackend(*weights, block_rows(), demonstrations)
    from townlet.policy.gradient.torch_backend import TorchBackend

    return TorchBackend(*weights, device, demonstrations)
