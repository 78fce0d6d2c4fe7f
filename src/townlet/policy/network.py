"""The network in torch: separate actor and critic trunks, so that the critic can settle without moving the actor."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from townlet.policy.inference import Layers, forward

__all__ = ["ActorCritic", "Trunk", "parity"]


class Trunk(nn.Module):
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

    def scale_output(self, factor: float, shift: float) -> None:
        """Make the output `factor`·output + `shift` (PopArt's correction, van Hasselt et al. 2016)."""
        with torch.no_grad():
            self.weights[-1].mul_(factor)
            self.biases[-1].mul_(factor).add_(shift)


class ActorCritic(nn.Module):
    """Actor [B, F] → logits [B, A]; critic [B, F] → normalised values [B]."""

    def __init__(self, actor: Layers, critic: Layers) -> None:
        super().__init__()
        self.actor = Trunk(actor)
        self.critic = Trunk(critic)

    def value(self, x: Tensor) -> Tensor:
        """Return normalised values [B]."""
        values: Tensor = self.critic(x)
        return values.squeeze(-1)


def parity(actor: Layers, normalised: NDArray[np.float32]) -> float:
    """Return the largest difference of a logit between this network and the numpy forward pass."""
    with torch.no_grad():
        logits = Trunk(actor)(torch.from_numpy(normalised)).numpy()
    return float(np.abs(logits - forward(actor, normalised)).max(initial=0.0))
