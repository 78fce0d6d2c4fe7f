"""The network in torch: separate actor and critic trunks, so that the critic can settle without moving the actor."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from townlet.errors import BadInputError
from townlet.policy.model.inference import Layers, forward

__all__ = ["MLP", "ActorCritic", "adam_state", "choose_device", "device_name", "load_adam_state", "parity", "to_device"]


class MLP(nn.Module):
    """A multi-layer perceptron with ReLU, its weights laid out [in, out] as in `policy.inference`."""

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
        """Take the numbers of layers of the same shapes."""
        with torch.no_grad():
            for kept, found in zip(self.weights, (weight for weight, _ in layers), strict=True):
                kept.copy_(torch.from_numpy(found.copy()))
            for kept, found in zip(self.biases, (bias for _, bias in layers), strict=True):
                kept.copy_(torch.from_numpy(found.copy()))

    def scale_output(self, factor: float, shift: float) -> None:
        """Make the output `factor`·output + `shift` (PopArt's correction, van Hasselt et al. 2016)."""
        with torch.no_grad():
            self.weights[-1].mul_(factor)
            self.biases[-1].mul_(factor).add_(shift)


class ActorCritic(nn.Module):
    """Actor [B, F] → logits [B, A]; critic [B, F] → normalised values [B]."""

    def __init__(self, actor: Layers, critic: Layers) -> None:
        super().__init__()
        self.actor = MLP(actor)
        self.critic = MLP(critic)

    def value(self, x: Tensor) -> Tensor:
        """Return normalised values [B]."""
        values: Tensor = self.critic(x)
        return values.squeeze(-1)


def parity(actor: Layers, normalised: NDArray[np.float32]) -> float:
    """Return the largest difference of a logit between this network and the numpy forward pass."""
    with torch.no_grad():
        logits = MLP(actor)(torch.from_numpy(normalised)).numpy()
    return float(np.abs(logits - forward(actor, normalised)).max(initial=0.0))


def choose_device(word: str) -> torch.device:
    """Return the device a spec asks for, `auto` a GPU where torch sees one; BadInputError for one that is missing."""
    if word == "cuda" and not torch.cuda.is_available():
        raise BadInputError("device cuda was asked for, but torch sees no GPU here; choose cpu or auto")
    return torch.device("cuda" if word != "cpu" and torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """Return what a result calls a device: `cpu`, or a GPU's name."""
    return f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type


def to_device(values: NDArray[Any], device: torch.device) -> Tensor:
    """Return an array as a tensor on a device: a view of it on the CPU, one copy through pinned memory on a GPU.

    Torch knows no read-only tensors: of an array that must not change it is a copy.
    """
    tensor = torch.from_numpy(np.require(values, requirements="W"))
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


def adam_state(optimizer: torch.optim.Adam) -> dict[str, NDArray[Any]]:
    """Return Adam's state by ``PARAMETER.NAME``; a parameter that was never stepped has none."""
    return {
        f"{index}.{name}": value.detach().cpu().numpy().copy()
        for index, parameter in enumerate(_parameters(optimizer))
        for name, value in optimizer.state.get(parameter, {}).items()
    }


def load_adam_state(optimizer: torch.optim.Adam, found: Mapping[str, NDArray[Any]]) -> None:
    """Go on from the state that `adam_state` returned."""
    optimizer.state.clear()
    for index, parameter in enumerate(_parameters(optimizer)):
        own = {
            name.partition(".")[2]: torch.from_numpy(value.copy()).to(parameter.device)
            for name, value in found.items()
            if name.partition(".")[0] == str(index)
        }
        if own:
            optimizer.state[parameter] = own


def _parameters(optimizer: torch.optim.Adam) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
