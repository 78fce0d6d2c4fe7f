"""Weights files round-trip exactly, verify their probe batch, and are refused when damaged."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import attrs
import numpy as np
import pytest
from corridor import ACTIONS, FEATURES, CorridorProvider
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load, save

from townlet.dto.actions import ActionSpec, BoxHead, DiscreteHead
from townlet.errors import BadInputError
from townlet.policy.model.initialise import fresh_layers
from townlet.policy.model.weights import Weights, WeightsMetadata, make_probe, read_weights


def made(seed: int = 0, features: tuple[str, ...] = FEATURES) -> Weights:
    """Return random weights for the corridor, with a probe."""
    rng, width = np.random.default_rng(seed), len(features)
    weights = Weights(
        metadata=WeightsMetadata(features=features, actions=ACTIONS, layers=2, environment="", parity=None),
        actor=fresh_layers(rng, (width, 8, len(ACTIONS)), 1.0),
        critic=fresh_layers(rng, (width, 8, 1), 1.0),
        mean=rng.standard_normal(width).astype(np.float32),
        scale=np.ones(width, np.float32),
        value_mean=1.5,
        value_scale=2.0,
    )
    mask = np.ones((20, len(ACTIONS)), np.bool_)
    return attrs.evolve(weights, probe=make_probe(weights, rng.standard_normal((20, width)).astype(np.float32), mask))


STEERING = ActionSpec(
    discrete=(DiscreteHead(name="gear", options=("low", "high")), DiscreteHead(name="horn", options=("off", "on"))),
    box=(BoxHead(name="wheel", low=-1.0, high=3.0), BoxHead(name="gas", low=0.0)),
)


def steering(seed: int = 0) -> Weights:
    """Return random weights whose actions have two discrete and two box heads."""
    rng = np.random.default_rng(seed)
    weights = attrs.evolve(
        made(seed),
        metadata=attrs.evolve(made(seed).metadata, actions=STEERING.outputs, heads=STEERING.stored_heads),
        actor=fresh_layers(rng, (len(FEATURES), 8, len(STEERING.outputs)), 1.0),
        log_std=rng.standard_normal(2).astype(np.float32),
    )
    mask = np.ones((20, STEERING.logits), np.bool_)
    return attrs.evolve(weights, probe=make_probe(weights, rng.standard_normal((20, len(FEATURES))).astype("f"), mask))


@pytest.mark.parametrize("kind", [made, steering])
def test_weights_round_trip(kind: Callable[[], Weights]) -> None:
    """Bytes → weights → bytes is the identity, and equal weights have equal bytes."""
    data = kind().to_bytes()
    assert data == read_weights(data, "w").to_bytes()
    assert data == kind().to_bytes()


def test_weights_that_fail_their_probe_batch_are_refused() -> None:
    """The probe batch detects a changed layer in a well-formed file."""
    weights = made()
    (first, bias), last = weights.actor
    changed = attrs.evolve(weights, actor=((first + np.float32(0.01), bias), last))
    with pytest.raises(BadInputError, match="do not act as they did when they were stored"):
        read_weights(changed.to_bytes(), "w")


@pytest.mark.parametrize(("share", "is_refused"), [(2.0e-5, False), (5.0e-4, True)])
def test_outputs_that_are_large_may_differ_by_a_share(share: float, is_refused: bool) -> None:
    """A policy that diverged has logits of thousands, whose last bits another processor computes otherwise."""
    plain = made()
    large = attrs.evolve(plain, actor=(*plain.actor[:-1], (plain.actor[-1][0] * np.float32(1e5), plain.actor[-1][1])))
    probe = make_probe(large, plain.probe.observations, plain.probe.action_mask) if plain.probe else None
    assert probe is not None
    assert np.abs(probe.logits).max() > 1000
    moved = attrs.evolve(probe, logits=probe.logits * np.float32(1 + share))
    if is_refused:
        with pytest.raises(BadInputError, match="do not act as they did"):
            attrs.evolve(large, probe=moved).verify()
    else:
        attrs.evolve(large, probe=moved).verify()


def _edited(name: str, tensor: object) -> bytes:
    data = made().to_bytes()
    size = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + size])["__metadata__"]
    tensors = load(data)
    if tensor is None:
        del tensors[name]
    else:
        tensors[name] = tensor
    return save(tensors, metadata)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a safetensors file"),
        (b"\xff" * 8 + b"{}", "header does not fit"),
        (b"\x02" + b"\0" * 7 + b"{}", "not a file of this kind"),
        (save({"a": np.zeros(3)}), "not a file of this kind"),
        (_edited("normaliser.mean", None), "'normaliser.mean' is missing"),
        (_edited("normaliser.mean", np.zeros(7, np.float32)), r"is float32 \[7\], expected float32 \[6\]"),
        (_edited("normaliser.scale", np.zeros(6, np.float32)), "scale is not above 0"),
        (_edited("actor.0.bias", np.full(8, np.nan, np.float32)), "not finite"),
        (_edited("actor.0.weight", np.zeros((6, 8))), "float64"),
        (_edited("value.normaliser", np.array([1e44, 1.0])), "beyond ±1e\\+30"),
        (_edited("surplus", np.zeros(1)), "unknown tensors surplus"),
    ],
)
def test_an_invalid_file_is_refused_with_its_name_and_the_reason(data: bytes, message: str) -> None:
    """Every tensor is checked: name, dtype, shape, finite numbers, positive scales."""
    with pytest.raises(BadInputError, match=message) as raised:
        read_weights(data, "mine.safetensors")
    assert str(raised.value).startswith("mine.safetensors: ")


@given(st.data())
def test_a_damaged_file_is_refused_or_equal(data: st.DataObject) -> None:
    """A flipped byte changes nothing that matters, or raises BadInputError."""
    stored = bytearray(made().to_bytes())
    place = data.draw(st.integers(0, len(stored) - 1))
    stored[place] ^= data.draw(st.integers(1, 255))
    try:
        weights = read_weights(bytes(stored), "w")
    except BadInputError:
        return
    assert np.isfinite(weights.values(np.zeros((1, len(FEATURES)), np.float32))).all()


def test_weights_for_other_features_are_refused_with_the_first_difference() -> None:
    """Names and number of features decide, not the signature, so that a policy can act in scenarios of equal shape."""
    weights = made(features=FEATURES[:-1])
    with pytest.raises(BadInputError, match="weights for 5 features, but corridor/plain has 6"):
        weights.check_fits(CorridorProvider().describe("plain"), "w")
    weights.check_fits(CorridorProvider().describe("narrow"), "w")


def test_nothing_is_ever_unpickled() -> None:
    """No module of the package imports pickle or a loader that would, but for kernels and worker processes.

    numba's files are pickled code: they are read from a folder that this user alone may write, with their own digest.
    A worker process unpickles what the process that started it sent, over a socket that nobody else has.
    """
    package = Path(__file__).parents[2] / "src" / "townlet"
    forbidden = ("import pickle", "allow_pickle=True", "torch.load", "joblib")
    found = [
        (file.name, word)
        for file in package.rglob("*.py")
        if file.name not in {"kernel_cache.py", "worker_process.py", "workers.py"}
        for word in forbidden
        if word in file.read_text()
    ]
    assert [] == found


PAGE = Path(__file__).parents[2] / "docs" / "reference" / "weights.md"


def test_the_page_on_the_file_names_each_tensor() -> None:
    """With its type, and no other; K stands for the number of a layer."""
    rows = [line.split("|")[1:3] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    promised = {name: shape for names, shape in rows for name in re.findall("`(.+?)`", names)}
    written = load(steering().to_bytes())
    assert set(promised) == {re.sub(r"\.\d+\.", ".K.", name) for name in written}
    for name, tensor in written.items():
        shape = promised[re.sub(r"\.\d+\.", ".K.", name)]
        assert name.startswith("probe.") or str(tensor.dtype) in shape


@given(st.integers(0, 99), st.integers(1, 3), st.sampled_from([0.01, 1.0, 100.0]))
def test_the_forward_pass_on_the_page_is_the_policys(seed: int, depth: int, spread: float) -> None:
    """A reader who knows the page alone computes its logits, its greedy actions and its values."""
    rng = np.random.default_rng(seed)
    features = (rng.standard_normal((7, len(FEATURES))) * spread).astype(np.float32)
    mask = rng.random((7, len(ACTIONS))) < 0.5
    mask[:, 0] = True
    widths = (len(FEATURES), *(5,) * (depth - 1))
    weights = attrs.evolve(
        made(seed),
        metadata=attrs.evolve(made().metadata, layers=depth),
        actor=fresh_layers(rng, (*widths, len(ACTIONS)), 1.0),
        critic=fresh_layers(rng, (*widths, 1), 1.0),
        scale=np.exp(rng.standard_normal(len(FEATURES))).astype(np.float32),
        probe=None,
    )
    tensors = load(weights.to_bytes())

    def network(name: str) -> np.ndarray:
        x = np.clip((features - tensors["normaliser.mean"]) / tensors["normaliser.scale"], -10, 10)
        for k in range(depth):
            x = x @ tensors[f"{name}.{k}.weight"] + tensors[f"{name}.{k}.bias"]
            if k < depth - 1:
                x = np.maximum(x, 0)
        return x

    policy = weights.policy()
    normalised = policy.normalise(features)
    expected = np.where(mask, network("actor"), -np.inf)
    logits = policy.outputs(normalised, mask)[0]
    np.testing.assert_allclose(logits[mask], expected[mask], rtol=1e-4, atol=1e-4)
    assert expected.argmax(axis=1).tolist() == logits.argmax(axis=1).tolist()
    mean, scale = tensors["value.normaliser"]
    np.testing.assert_allclose(weights.values(normalised), network("critic")[:, 0] * scale + mean, rtol=1e-4, atol=1e-4)
