"""Two gradient backends: torch autograd (GPU) and hand-written numpy/numba (CPU)."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from townlet.dto.strategies import PPOSpec
from townlet.policy.model.forward import Layers
from townlet.policy.model.threads import both
from townlet.policy.model.torch_network import MLP, ActorCritic
from townlet.policy.ppo.batch import Batch, Demonstrations, Shard
from townlet.policy.ppo.block_rows import choose_block_rows
from townlet.policy.ppo.numpy_gradient import GradientBuffers, shard_gradient
from townlet.policy.ppo.objective import autograd_gradient
from townlet.policy.ppo.ramps import Ramp

__all__ = ["GradientBackend", "NumpyBackend", "TorchBackend", "choose_backend"]


class GradientBackend(Protocol):
    """Computes the gradient of a minibatch."""

    shards: int
    """Number of shards that a minibatch is split into."""
    block_rows: int
    """Rows over which a product of the gradient is summed at once; 0 for all."""

    def backward(self, shards: list[Shard[Tensor]], batch: Batch[Tensor], ramp: Ramp) -> Tensor:
        """Set `grad` of every parameter, None where the loss does not depend on it; return the `Terms` [7]."""


def choose_backend(
    network: ActorCritic, spec: PPOSpec, device: torch.device, block_rows: int | None
) -> GradientBackend:
    """Return the numpy backend for the CPU, the torch backend for any other device.

    `block_rows` is measured where it is None.
    """
    if device.type != "cpu":
        return TorchBackend(network, spec)
    return NumpyBackend(network, spec, block_rows or choose_block_rows(network.product_shapes(), spec.minibatch_size))


class TorchBackend:
    """Differentiates `policy.ppo.objective` by autograd; on the CPU it is slower, and the reference of the tests."""

    shards = 1
    block_rows = 0

    def __init__(self, network: ActorCritic, spec: PPOSpec) -> None:
        self.network, self.spec = network, spec

    def backward(self, shards: list[Shard[Tensor]], batch: Batch[Tensor], ramp: Ramp) -> Tensor:
        """Set the gradient of the one shard; return the `Terms` [7]."""
        (shard,) = shards
        terms, gradients = autograd_gradient(shard, self.network, batch, ramp, self.spec)
        for parameter, gradient in zip(self.network.parameters(), gradients, strict=True):
            parameter.grad = gradient
        return torch.stack(list(terms))


class NumpyBackend:
    """Runs `policy.ppo.numpy_gradient` on two shards in parallel; the split is the same on any machine.

    Its buffers are views of the network's weights, and the parameters' gradients are views of the first buffers:
    nothing is copied.
    """

    shards = 2

    def __init__(self, network: ActorCritic, spec: PPOSpec, block_rows: int) -> None:
        """Gradients of weights are sums over blocks of `block_rows` rows."""
        self.network, self.spec, self.block_rows = network, spec, block_rows
        actor, critic = _layer_views(network.actor), _layer_views(network.critic)
        log_std, heads = network.actor.log_std.detach().numpy(), network.actor.spec
        self._buffers = [GradientBuffers(actor, critic, log_std, heads, block_rows) for _ in range(self.shards)]
        grads = [tuple(torch.from_numpy(part) for part in layer) for layer in self._buffers[0].layer_gradients]
        self._actor_grads, self._critic_grads = grads[: len(actor)], grads[len(actor) :]
        self._log_std_grad = torch.from_numpy(self._buffers[0].log_std_gradient)

    def backward(self, shards: list[Shard[Tensor]], batch: Batch[Tensor], ramp: Ramp) -> Tensor:
        """Set the sum of the shards' gradients, added in their order; return the sum of their `Terms` [7]."""
        arrays = Batch(*(None if values is None else values.numpy() for values in batch))
        calls = [
            partial(shard_gradient, buffers, _to_arrays(shard), arrays, ramp, self.spec)
            for buffers, shard in zip(self._buffers, shards, strict=False)
        ]
        parts = both(*calls) if len(calls) == self.shards else (calls[0](),)  # one row has no second shard
        with np.errstate(over="ignore", invalid="ignore"):
            for buffers, _ in zip(self._buffers[1:], parts[1:], strict=False):
                self._buffers[0].gradient += buffers.gradient
        trains_actor = any(trains for _, trains in parts)
        no_grads: list[tuple[None, ...]] = [(None, None)] * len(self._actor_grads)
        _assign_grads(self.network.actor, self._actor_grads if trains_actor else no_grads)
        _assign_grads(self.network.critic, self._critic_grads)
        self.network.actor.log_std.grad = self._log_std_grad if trains_actor else None
        return torch.tensor([terms for terms, _ in parts], dtype=torch.float64).sum(0)


def _layer_views(trunk: MLP) -> Layers:
    """Return the layers as views of the parameters' memory."""
    return tuple((w.detach().numpy(), b.detach().numpy()) for w, b in zip(trunk.weights, trunk.biases, strict=True))


def _assign_grads(trunk: MLP, grads: Sequence[tuple[Tensor | None, ...]]) -> None:
    for weight, bias, (grad_weight, grad_bias) in zip(trunk.weights, trunk.biases, grads, strict=True):
        weight.grad, bias.grad = grad_weight, grad_bias


def _to_arrays(shard: Shard[Tensor]) -> Shard[NDArray[Any]]:
    """Return the shard with numpy views of its tensors."""
    rows = shard.rows.numpy()
    return attrs.evolve(
        shard,
        rows=rows,
        policy_rows=rows if shard.policy_rows is shard.rows else shard.policy_rows.numpy(),
        advantages=shard.advantages.numpy(),
        demos=None if shard.demos is None else Demonstrations(*(values.numpy() for values in shard.demos)),
    )
