"""What plays for ppo is the policy that acts everywhere else, with the same bits for any number of threads."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

from townlet.dto.actions import ActionSpec, BoxHead, DiscreteHead
from townlet.dto.boundary import ObservationBatchDTO
from townlet.policy.model.initialise import fresh_layers
from townlet.policy.model.threads import both
from townlet.policy.model.weights import Weights, WeightsMetadata
from townlet.policy.ppo.acting_kernel import Outputs
from townlet.policy.ppo.rollout_policy import RolloutPolicy

FEATURES = 5
HEADS = tuple(DiscreteHead(name=f"h{n}", options=tuple(f"o{i}" for i in range(n))) for n in (3, 5))
BOXES = (BoxHead(name="x", low=-2.0, high=5.0), BoxHead(name="y"))
SPECS = [
    ActionSpec.one_of(*"abcd"),
    ActionSpec(discrete=HEADS),
    ActionSpec(box=BOXES),
    ActionSpec(discrete=HEADS, box=BOXES),
]


def weights_of(spec: ActionSpec, hidden: tuple[int, ...] = (16, 8)) -> Weights:
    """Return weights whose logits differ."""
    rng = np.random.default_rng(2)
    names = tuple(f"f{i}" for i in range(FEATURES))
    return Weights(
        metadata=WeightsMetadata(
            features=names, layers=len(hidden) + 1, environment="", parity=None, actions=spec.outputs, heads=spec
        ),
        actor=fresh_layers(rng, (FEATURES, *hidden, len(spec.outputs)), 1.0),
        critic=fresh_layers(rng, (FEATURES, *hidden, 1), 1.0),
        log_std=np.linspace(-0.5, 0.5, len(spec.box), dtype=np.float32),
        mean=np.linspace(-1, 1, FEATURES, dtype=np.float32),
        scale=np.linspace(0.5, 2, FEATURES, dtype=np.float32),
        value_mean=3.0,
        value_scale=2.0,
    )


def seen(spec: ActionSpec, worlds: int = 40, agents: int = 3) -> ObservationBatchDTO:
    """Return random observations; some features are far out."""
    rng = np.random.default_rng(5)
    mask = rng.random((worlds, agents, spec.logits)) < 0.7
    for part in spec.segments(mask):
        part[..., 1] = True
    return ObservationBatchDTO(
        observations=(5 * rng.standard_normal((worlds, agents, FEATURES))).astype(np.float32),
        action_mask=mask,
        alive=np.ones((worlds, agents), np.bool_),
        keys=rng.integers(0, 2**63, worlds, np.uint64),
    )


def played(weights: Weights, observations: ObservationBatchDTO) -> Outputs:
    """Return what the policy writes."""
    rows, spec = observations.alive.size, weights.spec
    shapes = ((rows, FEATURES), (rows, spec.columns), (rows,), (rows,))
    kinds = (np.float32, spec.dtype, np.float32, np.float32)
    outputs = Outputs(*(np.zeros(shape, kind) for shape, kind in zip(shapes, kinds, strict=True)))
    RolloutPolicy(weights).play(observations, outputs)
    return outputs


def bits(outputs: Outputs) -> str:
    """Return all that was written."""
    return "".join(each.tobytes().hex() for each in outputs)


@pytest.mark.parametrize("hidden", [(), (16,), (16, 8)])
@pytest.mark.parametrize("spec", SPECS)
def test_it_draws_what_the_acting_policy_draws(spec: ActionSpec, hidden: tuple[int, ...]) -> None:
    """The same features, options and log-probabilities, and the critic's values; rounding may differ."""
    weights, observations = weights_of(spec, hidden), seen(spec)
    outputs, policy = played(weights, observations), weights.policy("stochastic")
    x = policy.normalise(observations.observations)
    draw = policy.draw(observations, x)
    assert np.array_equal(x, outputs.features)
    assert np.abs(x).max() == 10
    assert draw.actions.reshape(outputs.actions.shape) == pytest.approx(outputs.actions, abs=1e-5)
    assert draw.log_probs.ravel() == pytest.approx(outputs.log_probs, abs=2e-5)
    assert weights.values(x) == pytest.approx(outputs.values, abs=2e-5)


@pytest.mark.parametrize("rows", [511, 512, 1201])
def test_it_has_the_same_bits_on_one_thread_and_on_two(rows: int) -> None:
    """Halves are the same, whichever thread computes them."""
    weights, observations = weights_of(SPECS[3]), seen(SPECS[3], rows, 1)
    inside, _ = both(lambda: played(weights, observations), lambda: None)  # halves in there use no second thread
    assert bits(inside) == bits(played(weights, observations))


def test_an_empty_mask_draws_some_option() -> None:
    """As the policy that acts elsewhere does; what follows from it is counted by the learner."""
    observations = seen(SPECS[0])
    mask = observations.action_mask.copy()
    mask[3] = False
    observations = evolve(observations, action_mask=mask)
    outputs = played(weights_of(SPECS[0]), observations)
    assert ((outputs.actions >= 0) & (outputs.actions < 4)).all()
    assert outputs.log_probs[9:12] == pytest.approx(-np.log(4), abs=1e-5)


def test_plain_python_computes_the_same_bits() -> None:
    """Without numba's compiler."""
    run = "import sys, test_rollout_policy as t; sys.stdout.write(t.some_bits())"
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": paths}
    process = subprocess.run([sys.executable, "-c", run], env=environment, capture_output=True, text=True, check=True)
    assert some_bits() == process.stdout


def some_bits() -> str:
    """Return what is written for every kind of head."""
    return "".join(bits(played(weights_of(spec), seen(spec, 9, 2))) for spec in SPECS)
