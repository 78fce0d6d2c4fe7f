"""The numpy forward pass gives the same bits for any split; sampling follows the softmax and the masks."""

import os
import platform
import signal
import subprocess
import sys

import numpy as np
import pytest

from townlet.dto.actions import ActionSpec, BoxHead, DiscreteHead
from townlet.dto.boundary import ObservationBatchDTO
from townlet.policy.model.forward import forward
from townlet.policy.model.inference import ActingPolicy
from townlet.policy.model.initialise import fresh_layers
from townlet.rng import mix


def test_a_row_has_the_same_bits_alone_and_in_any_batch() -> None:
    """The number of workers and the split of a batch never change an action."""
    rng = np.random.default_rng(0)
    layers = fresh_layers(rng, (37, 64, 64, 11), 1.0)
    inputs = rng.standard_normal((700, 37)).astype(np.float32)
    whole = forward(layers, inputs)
    for split in (1, 7, 255, 256, 257, 699):
        parts = [forward(layers, inputs[:split]), forward(layers, inputs[split:])]
        assert np.array_equal(whole, np.concatenate(parts))
    assert np.array_equal(whole[13:14], forward(layers, inputs[13:14]))


KERNELS = ("Haswell", "SkylakeX", "Sandybridge", "Nehalem")
"""Kernels of OpenBLAS for processors with AVX2, with AVX-512, with AVX, and older ones."""
IN_ANY_PLACE = """
import numpy as np
from townlet.policy.model.forward import forward
from townlet.policy.model.initialise import fresh_layers

rng = np.random.default_rng(0)
for widths in ((4, 64, 64, 2), (37, 64, 64, 11), (184, 128, 128, 9), (300, 256, 1), (6, 16, 3), (1, 13, 100, 5)):
    layers, inputs = fresh_layers(rng, widths, 1.0), rng.standard_normal((700, widths[0])).astype(np.float32)
    whole = forward(layers, inputs)
    for split in (1, 7, 239, 240, 241, 255, 256, 257, 699):
        parts = np.concatenate([forward(layers, inputs[:split]), forward(layers, inputs[split:])])
        assert np.array_equal(whole, parts), (widths, split)
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="these kernels are of x86")
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_row_has_the_same_bits_on_every_processor(kernel: str) -> None:
    """Whatever kernel of OpenBLAS multiplies."""
    environment = {**os.environ, "OPENBLAS_CORETYPE": kernel}
    command = [sys.executable, "-c", IN_ANY_PLACE]
    code = subprocess.run(command, check=False, env=environment, timeout=120).returncode
    if code == -signal.SIGILL:
        pytest.skip(f"this processor lacks instructions that {kernel} uses")
    assert code == 0


def test_forward_is_a_multi_layer_perceptron() -> None:
    """Affine layers with ReLU between them and none after the last."""
    layers = (
        (np.array([[1.0, -1.0]], np.float32), np.array([0.5, 0.0], np.float32)),
        (np.array([[2.0], [3.0]], np.float32), np.array([-1.0], np.float32)),
    )
    expected = np.array([[2 * 1.5 + 0 - 1], [0 + 3 * 2 - 1]], np.float32)
    assert np.array_equal(expected, forward(layers, np.array([[1.0], [-2.0]], np.float32)))


def test_an_empty_batch_gives_empty_outputs() -> None:
    """A batch without agents is not an error."""
    layers = fresh_layers(np.random.default_rng(0), (3, 8, 2), 1.0)
    assert (0, 2) == forward(layers, np.empty((0, 3), np.float32)).shape


MIXED = ActionSpec(
    discrete=(DiscreteHead(name="gear", options=("low", "high")),), box=(BoxHead(name="gas", low=0.0, high=1.0),)
)


@pytest.mark.parametrize("spec", [ActionSpec.one_of(*"abcd"), MIXED])
def test_a_worlds_samples_do_not_depend_on_its_batch(spec: ActionSpec) -> None:
    """Sampling is keyed by world, agent and column, not by position in an array."""
    rng = np.random.default_rng(1)
    actor = fresh_layers(rng, (5, 8, len(spec.outputs)), 1.0)
    policy = ActingPolicy(
        spec=spec,
        actor=actor,
        log_std=np.zeros(len(spec.box), np.float32),
        mean=np.zeros(5, np.float32),
        scale=np.ones(5, np.float32),
        mode="stochastic",
    )
    observations = rng.standard_normal((6, 3, 5)).astype(np.float32)
    keys = mix(4, np.arange(6, dtype=np.uint64))

    def act(worlds: slice) -> np.ndarray:
        size = len(keys[worlds])
        return policy.act(
            ObservationBatchDTO(
                observations=observations[worlds],
                action_mask=np.ones((size, 3, spec.logits), np.bool_),
                alive=np.ones((size, 3), np.bool_),
                keys=keys[worlds],
            )
        )

    assert np.array_equal(act(slice(0, 6)), np.concatenate([act(slice(0, 1)), act(slice(1, 6))]))
