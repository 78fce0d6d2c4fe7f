"""Who finds the gradient of a minibatch: autograd on a device, our own hands on the processor."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from townlet.dto.strategies import PPOSpec
from townlet.policy.model.inference import Layers
from townlet.policy.model.torch_network import ActorCritic, Trunk
from townlet.policy.ppo import objective
from townlet.policy.ppo.batch import Batch, Labelled, Shard
from townlet.policy.ppo.numpy_gradient import GradientBuffers, gradient
from townlet.policy.ppo.ramps import Ramp

__all__ = ["GradientBackend", "NumpyBackend", "TorchBackend", "differentiator"]


class GradientBackend(Protocol):
    """Finds the gradient of a minibatch."""

    shards: int
    """Into how many parts it wants a minibatch."""

    def gradient(self, shards: list[Shard[Tensor]], batch: Batch[Tensor], ramp: Ramp) -> Tensor:
        """Leave the gradient on the parameters, none on those that play no part, and return the `Terms` [7]."""


def differentiator(network: ActorCritic, spec: PPOSpec, device: torch.device) -> GradientBackend:
    """Return who serves on a device."""
    return NumpyBackend(network, spec) if device.type == "cpu" else TorchBackend(network, spec)


class TorchBackend:
    """Torch differentiates what `policy.objective` says; also on the processor, where it is slower and the measure."""

    shards = 1

    def __init__(self, network: ActorCritic, spec: PPOSpec) -> None:
        self.network, self.spec = network, spec

    def gradient(self, shards: list[Shard[Tensor]], batch: Batch[Tensor], ramp: Ramp) -> Tensor:
        """Leave the gradient of the one shard."""
        (whole,) = shards
        terms, found = objective.gradient(whole, self.network, batch, ramp, self.spec)
        for parameter, by_parameter in zip(self.network.parameters(), found, strict=True):
            parameter.grad = by_parameter
        return torch.stack(list(terms))


class NumpyBackend:
    """`policy.gradient` on two halves at once, the same halves on any machine.

    Its benches see the network's own numbers and its parameters see the first bench's gradient: nothing is copied.
    """

    shards = 2

    def __init__(self, network: ActorCritic, spec: PPOSpec) -> None:
        self.network, self.spec = network, spec
        self._benches = [GradientBuffers(_views(network.actor), _views(network.critic)) for _ in range(self.shards)]
        self._pool = ThreadPoolExecutor(self.shards - 1, "shard")
        found = [tuple(torch.from_numpy(part) for part in layer) for layer in self._benches[0].parameters]
        self._of_actor, self._of_critic = found[: len(network.actor.biases)], found[len(network.actor.biases) :]

    def gradient(self, shards: list[Shard[Tensor]], batch: Batch[Tensor], ramp: Ramp) -> Tensor:
        """Leave the sum of the shards' gradients, in their order."""
        given = Batch(*(None if values is None else values.numpy() for values in batch))
        pairs = list(zip(self._benches, map(_arrays, shards), strict=False))
        waiting = [self._pool.submit(gradient, *pair, given, ramp, self.spec) for pair in pairs[1:]]
        answers = [gradient(*pairs[0], given, ramp, self.spec), *(found.result() for found in waiting)]
        with np.errstate(over="ignore", invalid="ignore"):
            for bench, _ in pairs[1:]:
                self._benches[0].gradient += bench.gradient
        acts = any(part for _, part in answers)
        _give(self.network.actor, self._of_actor if acts else [(None, None)] * len(self._of_actor))
        _give(self.network.critic, self._of_critic)
        return torch.tensor([terms for terms, _ in answers], dtype=torch.float64).sum(0)


def _views(trunk: Trunk) -> Layers:
    """Return the layers in the memory of the parameters."""
    return tuple((w.detach().numpy(), b.detach().numpy()) for w, b in zip(trunk.weights, trunk.biases, strict=True))


def _give(trunk: Trunk, found: list[tuple[Tensor | None, ...]]) -> None:
    for weight, bias, (to_weight, to_bias) in zip(trunk.weights, trunk.biases, found, strict=True):
        weight.grad, bias.grad = to_weight, to_bias


def _arrays(shard: Shard[Tensor]) -> Shard[NDArray[Any]]:
    rows = shard.rows.numpy()
    return attrs.evolve(
        shard,
        rows=rows,
        own=rows if shard.own is shard.rows else shard.own.numpy(),
        advantages=shard.advantages.numpy(),
        shown=None if shard.shown is None else Labelled(*(values.numpy() for values in shard.shown)),
    )
