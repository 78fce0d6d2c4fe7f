"""The matrix products that no PPO of given shapes can do without, timed alone."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Literal

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from townlet.dto.codec import Record
from townlet.policy.model.blas import one_thread
from townlet.policy.training.bench_host import clocks

__all__ = ["PPOShapes", "Product", "product_seconds"]

_BLOCKS = (128, 256, 384, 512)
"""Rows whose products are summed to a weight gradient: whole minibatches are slow with some kernels."""
_LEAST_ROWS = 256
"""Rows below which a thread is not worth its hand-over."""
_LEAST_SECONDS = 2.0e-3
"""Duration of a measurement; shorter products are repeated."""


@frozen(kw_only=True)
class Product:
    """One kind of matrix product of an iteration."""

    kind: Literal["forward", "weights", "inputs"]
    """The layer's output, the gradient of its weights, or that of its inputs."""
    rows: int
    """Rows of the batch."""
    inputs: int
    """Width of the layer's input."""
    outputs: int
    """Width of the layer's output."""
    times: int
    """Products of this kind in an iteration."""

    @property
    def flops(self) -> int:
        """Floating-point operations of all of them."""
        return 2 * self.rows * self.inputs * self.outputs * self.times


@frozen(kw_only=True)
class PPOShapes(Record):
    """The sizes of one iteration of ppo."""

    worlds: int
    """W."""
    agents: int
    """N per world."""
    features: int
    """F, inputs of both networks."""
    outputs: int
    """Outputs of the actor: logits, and means of box heads."""
    num_steps: int
    """Decisions per world and iteration."""
    update_epochs: int
    """Passes over the samples."""
    minibatch_size: int
    """Samples per update, as a schedule asks."""
    hidden_sizes: tuple[int, ...]
    """Widths of the hidden layers, of actor and critic each."""

    @property
    def lanes(self) -> int:
        """Agent slots that act together."""
        return self.worlds * self.agents

    @property
    def rows(self) -> int:
        """Agent-steps of an iteration."""
        return self.lanes * self.num_steps

    @property
    def minibatches(self) -> int:
        """Updates of one pass."""
        return max(1, self.rows // self.minibatch_size)

    @property
    def widths(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Widths of the actor's layers and of the critic's, inputs first."""
        inner = (self.features, *self.hidden_sizes)
        return (*inner, self.outputs), (*inner, 1)

    def products(self) -> Iterator[Product]:
        """Yield what acting and `update_epochs` passes multiply.

        Both first layers read the same features, so they are one product. The critic's values of a rollout are left
        out: they can be had while it is played or afterwards, with other rows.
        """
        actor, critic = self.widths
        for inputs, outputs in pairwise(actor):
            yield Product(kind="forward", rows=self.lanes, inputs=inputs, outputs=outputs, times=self.num_steps)
        updates = self.update_epochs * self.minibatches
        layers = [(self.features, actor[1] + critic[1]), *pairwise(actor[1:]), *pairwise(critic[1:])]
        for index, (inputs, outputs) in enumerate(layers):
            first = Product(
                kind="forward", rows=self.rows // self.minibatches, inputs=inputs, outputs=outputs, times=updates
            )
            yield from (first, evolve(first, kind="weights"))
            if index:
                yield evolve(first, kind="inputs")

    @property
    def flops_per_sample(self) -> float:
        """Floating-point operations of these products, per agent-step."""
        return sum(product.flops for product in self.products()) / self.rows


def product_seconds(shapes: PPOShapes, threads: int) -> NDArray[np.float64]:
    """Return the seconds [2] that numpy needs for the products of one iteration, each in the way that is fastest here.

    They are divided by rows over so many threads where each gets 256 or more.
    """
    seconds = np.zeros(2)
    with one_thread(), ThreadPoolExecutor(threads) as pool:
        for product in shapes.products():
            ways = list(_seconds(product, threads, pool))
            seconds += product.times * min(ways, key=lambda each: float(each[1]))
    return seconds


def _seconds(product: Product, threads: int, pool: ThreadPoolExecutor) -> Iterator[NDArray[np.float64]]:
    """Yield the seconds [2] of one product in each of the ways to compute it."""
    threads = threads if product.rows >= threads * _LEAST_ROWS else 1
    rows = product.rows // threads
    for block in (rows, *(each for each in _BLOCKS if product.kind == "weights" and each < rows)):
        calls = [_call(product, rows, block) for _ in range(threads)]
        for call in calls:
            call(1)
        seconds, count = np.zeros(2), 1
        while seconds[1] < _LEAST_SECONDS:
            count *= 2
            began = clocks()
            list(pool.map(lambda call, count=count: call(count), calls))
            seconds = clocks() - began
        yield seconds / count


def _call(product: Product, rows: int, block: int) -> Callable[[int], None]:
    """Return a function that computes one thread's part of a product so many times."""
    x, y, weight = (
        np.ones(shape, np.float32)
        for shape in ((rows, product.inputs), (rows, product.outputs), (product.inputs, product.outputs))
    )

    def forward() -> None:
        np.matmul(x, weight, out=y)

    def inputs() -> None:
        multiply = np.multiply if product.outputs == 1 else np.matmul  # the same, and faster
        multiply(y, weight.T, out=x)

    def weights() -> None:
        np.matmul(x[:block].T, y[:block], out=weight)
        for start in range(block, rows, block):
            np.add(weight, np.matmul(x[start : start + block].T, y[start : start + block]), out=weight)

    call = {"forward": forward, "inputs": inputs, "weights": weights}[product.kind]

    def repeat(count: int) -> None:
        for _ in range(count):
            call()

    return repeat
