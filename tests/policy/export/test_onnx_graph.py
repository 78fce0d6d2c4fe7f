"""An ONNX graph acts as the policy in numpy does: normaliser, masks, heads, clip and scale are inside."""

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import attrs
import numpy as np
import pytest
from untrained import PAIRS, policy_of

from townlet.errors import BadInputError
from townlet.policy.export.onnx_certificate import BATCHES, certify
from townlet.policy.export.onnx_graph import onnx_model
from townlet.policy.model.weights import Weights

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def recorded(weights: Weights, rows: int = 1_000) -> tuple[np.ndarray, np.ndarray]:
    """Return observations, and masks that leave an option of each head."""
    rng = np.random.default_rng(0)
    mask = rng.random((rows, weights.spec.logits)) < 0.6
    for options in weights.spec.segments(mask):
        options[np.arange(rows), rng.integers(options.shape[1], size=rows)] = True
    return rng.normal(size=(rows, len(weights.mean))).astype(np.float32) * 4, mask


@pytest.mark.parametrize("name", PAIRS)
def test_it_is_valid_and_acts_as_the_policy(name: str) -> None:
    """The checker infers every shape; onnxruntime gives the actions in every batch."""
    weights = policy_of(*PAIRS[name]).weights
    data = onnx_model(weights)
    model = onnx.load_model_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    values = [value for value in (*model.graph.input, *model.graph.output) if value.name != "log_std"]
    assert {"batch"} == {value.type.tensor_type.shape.dim[0].dim_param for value in values}
    proof = certify(data, weights, *recorded(weights))
    assert (sha256(data).hexdigest(), 1_000, BATCHES) == (proof.sha256, proof.rows, proof.batches)
    assert proof.difference <= 1e-5 * max(1.0, proof.largest)


def test_of_equal_options_it_chooses_the_first() -> None:
    """A network whose outputs are all 0: the first legal option of each head, in numpy and in the graph."""
    weights = policy_of(*PAIRS["heads"]).weights
    zeros = attrs.evolve(weights, actor=tuple((np.zeros_like(w), np.zeros_like(b)) for w, b in weights.actor))
    proof = certify(onnx_model(zeros), zeros, *recorded(zeros))
    assert (0.0, 0) == (proof.difference, proof.ties)


@pytest.mark.parametrize("name", ["cart", "wheel"])
def test_a_graph_of_another_policy_is_refused(name: str) -> None:
    """With the difference."""
    weights, other = (policy_of(*PAIRS[name], seed=seed).weights for seed in (0, 1))
    with pytest.raises(BadInputError, match="does not act as the policy: an output differs by"):
        certify(onnx_model(other), weights, *recorded(weights))


def test_equal_weights_give_equal_bytes_in_any_process() -> None:
    """A digest of the graph names the policy: neither hash seeds nor memory layout nor the time enter it."""
    code = (
        "from hashlib import sha256; from untrained import PAIRS, policy_of; "
        "from townlet.policy.export.onnx_graph import onnx_model; "
        "print(sha256(onnx_model(policy_of(*PAIRS['dict']).weights)).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
    )
    weights = policy_of(*PAIRS["dict"]).weights
    turned = attrs.evolve(weights, actor=tuple((np.asfortranarray(w), b) for w, b in weights.actor))
    assert {done.stdout.strip()} == {sha256(onnx_model(each)).hexdigest() for each in (weights, turned)}
