"""An ONNX graph acts as the policy in numpy does: normaliser, masks, heads, clip and scale are inside."""

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import attrs
import numpy as np
import pytest
from gymnasium import spaces
from untrained import PAIRS, policy_of

from townlet.env.libraries import MissingLibraryError
from townlet.errors import BadInputError
from townlet.policy.export.onnx_certificate import BATCHES, TOLERANCE, certify
from townlet.policy.export.onnx_graph import onnx_model
from townlet.policy.model.weights import Weights

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


ALONE = """
import json, sys
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
(options,) = session.run(["option"], dict(np.load("inputs.npz")))
assert not {"townlet", "onnx", "torch", "safetensors"} & set(sys.modules)
print(json.dumps(options.tolist()))
"""


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
    assert proof.share <= TOLERANCE


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


def changed(data: bytes, constant: str, value: np.ndarray) -> bytes:
    """Return a graph with another constant."""
    model = onnx.load_model_from_string(data)
    place = next(each for each in model.graph.initializer if each.name == constant)
    place.CopyFrom(onnx.numpy_helper.from_array(value, constant))
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("constant", "value", "message"),
    [
        ("actor.2.bias", np.full(2, np.nan, np.float32), "an output differs by nan"),
        ("box.half", np.zeros(2), "another action of its own outputs"),
    ],
)
def test_what_acts_otherwise_is_refused_however_near_its_numbers_are(
    constant: str, value: np.ndarray, message: str
) -> None:
    """What is not a number is not equal; numbers that never move are not those of a head of tiny bounds."""
    weights = policy_of(spaces.Box(-9, 9, (4,)), spaces.Box(0, 1e-5, (2,))).weights
    with pytest.raises(BadInputError, match=message):
        certify(changed(onnx_model(weights), constant, value), weights, *recorded(weights))


def test_an_illegal_option_excuses_nothing() -> None:
    """The large logit of an option that is never legal leaves the limit of the others as it was."""
    weights = policy_of(spaces.Box(-9, 9, (4,)), spaces.Discrete(3)).weights
    *hidden, (weight, _) = weights.actor
    policy, other = (
        attrs.evolve(weights, actor=(*hidden, (weight, np.array([first, 0, 1e4], np.float32)))) for first in (0, 0.05)
    )
    features, mask = recorded(weights)
    mask[:] = [True, True, False]
    with pytest.raises(BadInputError, match=r"an output differs by 0\.05"):
        certify(onnx_model(other), policy, features, mask)


def test_large_outputs_are_judged_by_their_size() -> None:
    """Logits of thousands differ by more than 1e-5 in single precision; the proof says both numbers."""
    weights = policy_of(*PAIRS["heads"]).weights
    *hidden, (weight, bias) = weights.actor
    large = attrs.evolve(weights, actor=(*hidden, (weight * np.float32(1_000), bias)))
    shifted = attrs.evolve(weights, actor=(*hidden, (weight * np.float32(1_000), bias + np.float32(1e-4))))
    proof = certify(onnx_model(shifted), large, *recorded(weights, 100))
    assert proof.largest > 1_000
    assert proof.difference > TOLERANCE
    assert proof.share <= TOLERANCE


def test_without_onnx_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence says what to install."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingLibraryError, match=r"pip install 'townlet\[onnx\]'"):
        onnx_model(policy_of(*PAIRS["cart"]).weights)


def test_it_acts_where_townlet_is_not(tmp_path: Path) -> None:
    """Onnxruntime and numpy are enough, and the options are those of `townlet.load_policy`."""
    policy = policy_of(*PAIRS["heads"])
    features, mask = recorded(policy.weights)
    (tmp_path / "model.onnx").write_bytes(onnx_model(policy.weights))
    np.savez(tmp_path / "inputs.npz", features=features, action_mask=mask)
    done = subprocess.run([sys.executable, "-c", ALONE], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert policy.act(features, mask).tolist() == json.loads(done.stdout)


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
