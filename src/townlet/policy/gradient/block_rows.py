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
from townlet.dto.actions import ActionSpec
from townlet.policy.gradient.batch import Batch, LossOptions, Minibatch, StepOptions
from townlet.policy.gradient.kernel_backend import KernelBackend
from townlet.policy.gradient.layout import ParameterViews
from townlet.policy.model.blas import kernel_name

__all__ = ["USUAL_BLOCK", "choose_block_rows", "fastest", "measure_block_rows"]

_LOG = logging.getLogger("townlet.kernels")

USUAL_BLOCK = 256
"""Rows of a block where nothing is measured."""
_BLOCKS = (USUAL_BLOCK, 384, 512, 128)
"""Rows that are tried; the first stay unless others are clearly faster."""
_GAIN = 0.8
"""A later candidate must take less than this share of the best earlier one's time, so that noise decides nothing:
what is slow is slow by more than a third, and blocks that are not differ by some hundredths."""
_REPEATS = 9
_SMALL = 1024
"""Rows of a minibatch up to which nothing is measured."""


def choose_block_rows(parameters: ParameterViews, actions: ActionSpec, rows: int) -> int:
    """Return the rows of a block for minibatches of so many rows and this network."""
    if rows <= _SMALL:
        return USUAL_BLOCK
    file = _kept_in(parameters, rows)
    if file is not None:
        with suppress(OSError, ValueError):
            kept = int(file.read_text("ascii"))
            if kept in _BLOCKS:
                return kept
    chosen = fastest(measure_block_rows(parameters, actions, rows))
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


def measure_block_rows(parameters: ParameterViews, actions: ActionSpec, rows: int) -> dict[int, float]:
    """Return the shortest seconds of a minibatch's gradient for each block; the blocks take turns."""
    rng, features = np.random.default_rng(0), len(parameters.actor[0][0])
    numbers = rng.standard_normal((6, rows)).astype(np.float32)
    batch = Batch(
        features=rng.standard_normal((rows, features), np.float32),
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
    step = StepOptions(actor_rate=1.0, critic_rate=1.0)
    backends = {block: KernelBackend(*parameters, actions, LossOptions(), block) for block in _BLOCKS}
    for backend in backends.values():
        backend.use(batch)
        backend.gradient(minibatch, step)  # compiled, or loaded
    seconds = dict.fromkeys(_BLOCKS, np.inf)
    for _, (block, backend) in product(range(_REPEATS), backends.items()):
        began = perf_counter()
        backend.gradient(minibatch, step)
        seconds[block] = min(seconds[block], perf_counter() - began)
    return seconds


def _kept_in(parameters: ParameterViews, rows: int) -> Path | None:
    folder, shapes = cache_folder(), [weight.shape for weight, _ in (*parameters.actor, *parameters.critic)]
    machine = (platform.node(), platform.processor(), kernel_name(), np.__version__, tuple(shapes), rows)
    return None if folder is None else folder / f"block-rows-{sha256(repr(machine).encode()).hexdigest()[:16]}.txt"
