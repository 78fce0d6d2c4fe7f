"""How many rows pass through the network together: measured once for each machine, BLAS and shape, and kept.

A block's intermediate results should stay in the processor's second cache, and some BLAS kernels are slow for some
numbers of rows. The choice decides last bits. So it is kept beside the compiled kernels, stored in checkpoints, named
in the result, and the option `block_rows` takes its place.
"""

import logging
import platform
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from itertools import product
from pathlib import Path
from time import perf_counter

import numpy as np

from townlet.compiled import cache_folder
from townlet.dto.strategies import PPOSpec
from townlet.policy.model.blas import kernel_name
from townlet.policy.model.weights import Weights
from townlet.policy.ppo.batch import Batch, Minibatch
from townlet.policy.ppo.kernel_backend import KernelBackend
from townlet.policy.ppo.ramps import Ramp

__all__ = ["choose_block_rows", "fastest", "measure_block_rows"]

_LOG = logging.getLogger("townlet.kernels")

_BLOCKS = (256, 384, 512, 128)
"""Rows that are tried; the first stay unless others are clearly faster."""
_GAIN = 0.93
"""A later candidate must take less than this share of the best earlier one's time, so that noise decides nothing."""
_REPEATS = 9
_SMALL = 1024
"""Rows of a minibatch up to which nothing is measured."""


def choose_block_rows(weights: Weights, spec: PPOSpec) -> int:
    """Return the rows of a block for minibatches of these sizes and this network."""
    if spec.minibatch_size <= _SMALL:
        return _BLOCKS[0]
    file = _kept_in(weights, spec.minibatch_size)
    if file is not None:
        with suppress(OSError, ValueError):
            kept = int(file.read_text("ascii"))
            if kept in _BLOCKS:
                return kept
    chosen = fastest(measure_block_rows(weights, spec))
    if file is not None:
        try:
            file.write_text(f"{chosen}\n", "ascii")
        except OSError as error:
            _LOG.warning("block_rows is measured anew in each run, because %s cannot be written: %s", file, error)
    return chosen


def fastest(seconds: Mapping[int, float]) -> int:
    """Return the block to use, for the seconds of each block, the preferred one first."""
    best = next(iter(seconds))
    for block, each in seconds.items():
        if each < _GAIN * seconds[best]:
            best = block
    return best


def measure_block_rows(weights: Weights, spec: PPOSpec) -> dict[int, float]:
    """Return the shortest seconds of a minibatch's gradient for each block; the blocks take turns."""
    rng, rows, actions = np.random.default_rng(0), spec.minibatch_size, weights.spec
    numbers = rng.standard_normal((6, rows)).astype(np.float32)
    batch = Batch(
        features=rng.standard_normal((rows, len(weights.mean)), np.float32),
        action_mask=np.ones((rows, actions.logits), np.bool_),
        actions=np.zeros((rows, actions.columns), actions.dtype),
        old_log_probs=numbers[0],
        advantages=numbers[1],
        targets=numbers[2],
        old_values=numbers[3],
        anchor_log_probs=None,
        anchor_means=None,
        anchor_log_std=None,
        teacher_controlled=None,
    )
    every, none = np.arange(rows), np.zeros(0, np.int64)
    minibatch = Minibatch(rows=every, policy_rows=every, demonstrations=none, teacher_rows=none)
    ramp = Ramp(actor=1.0, critic=1.0, anchor_kl=0.0, bc_weight=0.0)
    backends = {
        block: KernelBackend(weights.actor, weights.critic, weights.log_std, actions, spec, block) for block in _BLOCKS
    }
    for backend in backends.values():
        backend.use(batch)
        backend.gradient(minibatch, ramp)  # compiled, or loaded
    seconds = dict.fromkeys(_BLOCKS, np.inf)
    for _, (block, backend) in product(range(_REPEATS), backends.items()):
        began = perf_counter()
        backend.gradient(minibatch, ramp)
        seconds[block] = min(seconds[block], perf_counter() - began)
    return seconds


def _kept_in(weights: Weights, rows: int) -> Path | None:
    folder, shapes = cache_folder(), [weight.shape for weight, _ in (*weights.actor, *weights.critic)]
    machine = (platform.node(), platform.processor(), kernel_name(), np.__version__, tuple(shapes), rows)
    return None if folder is None else folder / f"block-rows-{sha256(repr(machine).encode()).hexdigest()[:16]}.txt"
