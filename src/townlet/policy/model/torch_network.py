"""The network in torch: actor and critic share no layer, so that the critic can be trained alone."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from townlet.dto.actions import ActionSpec
from townlet.errors import BadInputError
from townlet.policy.distributions.autograd import ActionDistribution
from townlet.policy.model.forward import Layers

__all__ = [
    "MLP",
    "Actor",
    "ActorCritic",
    "choose_device",
    "device_name",
    "to_device",
    "torch_defaults",
]


class MLP(nn.Module):
    """Multi-layer perceptron with ReLU between layers; weights are [in, out] as in `policy.model.inference`."""

    def __init__(self, layers: Layers) -> None:
        super().__init__()
        self.weights = nn.ParameterList([torch.from_numpy(weight.copy()) for weight, _ in layers])
        self.biases = nn.ParameterList([torch.from_numpy(bias.copy()) for _, bias in layers])

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs [B, out] for inputs [B, in]."""
        last = len(self.weights) - 1
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.addmm(bias, x, weight)
            if index < last:
                x = torch.relu_(x)
        return x

    def layers(self) -> Layers:
        """Return copies of the layers as numpy arrays."""
        return tuple(
            (weight.detach().cpu().numpy().copy(), bias.detach().cpu().numpy().copy())
            for weight, bias in zip(self.weights, self.biases, strict=True)
        )

    def load(self, layers: Layers) -> None:
        """Overwrite the parameters, in place, with layers of the same shapes."""
        with torch.no_grad():
            for parameter, array in zip(self.weights, (weight for weight, _ in layers), strict=True):
                parameter.copy_(torch.from_numpy(array.copy()))
            for parameter, array in zip(self.biases, (bias for _, bias in layers), strict=True):
                parameter.copy_(torch.from_numpy(array.copy()))

    def scale_output(self, factor: float, shift: float) -> None:
        """Change the last layer so that the output becomes factor·output + shift (PopArt, van Hasselt et al. 2016).

        y = x·W + b  ⇒  factor·y + shift = x·(factor·W) + (factor·b + shift)
        """
        with torch.no_grad():
            self.weights[-1].mul_(factor)
            self.biases[-1].mul_(factor).add_(shift)


class Actor(MLP):
    """Maps features [B, F] to A logits and D means; log σ of the box heads does not depend on the state."""

    def __init__(self, layers: Layers, log_std: NDArray[np.float32], spec: ActionSpec) -> None:
        super().__init__(layers)
        self.spec = spec
        values = torch.from_numpy(log_std.copy())
        if spec.box:
            self.log_std = nn.Parameter(values)
        else:  # an empty parameter would change the order in which norms are added up
            self.register_buffer("log_std", values)

    def distribution(self, x: Tensor, mask: Tensor) -> ActionDistribution:
        """Return the distribution of actions for features [B, F] under a mask [B, A]."""
        return ActionDistribution.of_outputs(self(x), mask, self.log_std, self.spec)

    def load_log_std(self, log_std: NDArray[np.float32]) -> None:
        """Overwrite log σ [D] in place."""
        with torch.no_grad():
            self.log_std.copy_(torch.from_numpy(log_std.copy()))

    def log_std_array(self) -> NDArray[np.float32]:
        """Return a copy of log σ [D] as a numpy array."""
        return self.log_std.detach().cpu().numpy().copy()


class ActorCritic(nn.Module):
    """Holds the actor and the critic, features [B, F] → normalised values [B, 1]."""

    def __init__(self, actor: Layers, critic: Layers, log_std: NDArray[np.float32], spec: ActionSpec) -> None:
        super().__init__()
        self.actor = Actor(actor, log_std, spec)
        self.critic = MLP(critic)

    def value(self, x: Tensor) -> Tensor:
        """Return normalised values [B]."""
        values: Tensor = self.critic(x)
        return values.squeeze(-1)


@contextmanager
def torch_defaults() -> Iterator[None]:
    """Train with torch's defaults, whatever the caller's process has set, and restore that afterwards.

    Gradients on, no inference mode, no autocast, float32, new tensors on the CPU. And with one thread: torch divides
    sums by its threads, so that their last bits would depend on the machine.
    """
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        stack.callback(torch.set_default_dtype, dtype)
        torch.set_default_dtype(torch.float32)
        stack.callback(torch.set_num_threads, threads)
        torch.set_num_threads(1)
        yield


def choose_device(word: str) -> torch.device:
    """Return the device of a spec's word; `auto` is a GPU if torch has one. BadInputError if the device is missing."""
    if word == "cuda" and not torch.cuda.is_available():
        raise BadInputError("device cuda was asked for, but torch sees no GPU here; choose cpu or auto")
    return torch.device("cuda" if word != "cpu" and torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """Return the name of a device for results: `cpu`, or `cuda: ` and the name of the GPU."""
    return f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type


def to_device(values: NDArray[Any], device: torch.device) -> Tensor:
    """Return an array as a tensor on a device: a view of it on the CPU, one copy through pinned memory on a GPU.

    Torch has no read-only tensors, so a read-only array is copied.
    """
    tensor = torch.from_numpy(np.require(values, requirements="W"))
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)
