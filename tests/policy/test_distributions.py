"""Distributions of actions: numbers worked out by hand, scipy's and torch's own, and numpy against torch."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from townlet.dto.actions import ActionSpec, BoxHead, DiscreteHead
from townlet.policy.distributions.acting import (
    choose_greedily,
    log_probabilities,
    masked,
    sample,
)
from townlet.rng import mix, uniform

torch = pytest.importorskip("torch")

from townlet.policy.distributions.autograd import ActionDistribution  # noqa: E402

pytestmark = pytest.mark.torch

THREE = ActionSpec.one_of("a", "b", "c")
HEADS = tuple(DiscreteHead(name=f"h{n}", options=tuple(f"o{i}" for i in range(n))) for n in (3, 5, 7))
BOXES = (BoxHead(name="x", low=-2.0, high=5.0), BoxHead(name="y"))
SPECS = [THREE, ActionSpec(discrete=HEADS), ActionSpec(box=BOXES), ActionSpec(discrete=HEADS, box=BOXES)]
NO_NUMBERS = torch.zeros(0)


def of_logits(logits: list[float], mask: list[bool]) -> ActionDistribution:
    """Return the distribution of one choice between three options."""
    return ActionDistribution.of_outputs(torch.tensor([logits]), torch.tensor([mask]), NO_NUMBERS, THREE)


def outputs_and_masks(seed: int, spec: ActionSpec, rows: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return outputs [B, A + D], masks [B, A] with an option in each head, and log σ [D]."""
    rng = np.random.default_rng(seed)
    outputs = rng.standard_normal((rows, len(spec.outputs))).astype(np.float32)
    mask = rng.random((rows, spec.logits)) < 0.5
    for part in spec.segments(mask):
        part[np.arange(rows), rng.integers(0, part.shape[1], rows)] = True
    return outputs, mask, (0.5 * rng.standard_normal(len(spec.box))).astype(np.float32)


def test_entropy_is_over_legal_options_only() -> None:
    """Two equally likely legal options have log 2 nat, for any number of illegal ones."""
    found = of_logits([1.0, 1.0, 9.0], [True, True, False]).entropy()
    assert np.log(2) == pytest.approx(float(found), abs=1e-6)


def test_the_anchor_is_the_kl_from_the_parent_and_zero_at_the_parent() -> None:
    """KL((½, ½, 0) ‖ (¼, ¾, 0)) by hand."""
    mask = [True, True, False]
    parent, policy = of_logits([0.0, 0.0, 0.0], mask), of_logits([0.0, math.log(3), 0.0], mask)
    assert 0.5 * np.log(2) + 0.5 * np.log(2 / 3) == pytest.approx(float(policy.kl_from(parent)), abs=1e-6)
    assert 0.0 == pytest.approx(float(parent.kl_from(parent)), abs=1e-7)


def test_label_smoothing_is_uniform_over_legal_options() -> None:
    """With s = 1 the label does not matter; with s = 0 nothing else does."""
    policy, label = of_logits([0.0, math.log(3), 0.0], [True, True, False]), torch.tensor([[0]])
    assert -np.log(0.25) == pytest.approx(float(policy.imitation_loss(label, 0.0)), abs=1e-6)
    expected = -(np.log(0.25) + np.log(0.75)) / 2
    assert expected == pytest.approx(float(policy.imitation_loss(label, 1.0)), abs=1e-6)


@pytest.mark.parametrize("spec", SPECS)
@given(seed=st.integers(0, 2**20))
def test_terms_equal_those_of_torchs_own_distributions(spec: ActionSpec, seed: int) -> None:
    """Log-probability, entropy and KL, against torch.distributions head by head."""
    outputs, mask, log_std = outputs_and_masks(seed, spec)
    others = outputs_and_masks(seed + 1, spec)[0]
    sizes = [len(head.options) for head in spec.discrete]

    def theirs(values: np.ndarray, spread: np.ndarray) -> list[torch.distributions.Distribution]:
        logits = torch.from_numpy(np.where(mask, values[:, : spec.logits], -1e9)).split(sizes, -1)
        means = torch.from_numpy(values[:, spec.logits :])
        gaussians = [torch.distributions.Normal(means[:, d], float(np.exp(spread[d]))) for d in range(len(spec.box))]
        return [*(torch.distributions.Categorical(logits=each) for each in logits), *gaussians]

    def ours(values: np.ndarray, spread: np.ndarray) -> ActionDistribution:
        return ActionDistribution.of_outputs(
            torch.from_numpy(values), torch.from_numpy(mask), torch.from_numpy(spread), spec
        )

    expected, parents = theirs(outputs, log_std), theirs(others, -log_std)
    actions = torch.stack([each.sample().double() for each in expected], -1)
    policy, parent = ours(outputs, log_std), ours(others, -log_std)
    log_prob = sum(each.log_prob(actions[:, c].float()) for c, each in enumerate(expected))
    near = {"rel": 1e-4, "abs": 1e-4}
    assert log_prob.numpy() == pytest.approx(policy.log_prob(actions.float()).numpy(), **near)
    assert sum(each.entropy() for each in expected).numpy() == pytest.approx(policy.entropy().numpy(), **near)
    divergence = sum(torch.distributions.kl_divergence(q, p) for q, p in zip(parents, expected, strict=True))
    assert divergence.numpy() == pytest.approx(policy.kl_from(parent).numpy(), **near)


@pytest.mark.parametrize("spec", SPECS)
@given(seed=st.integers(0, 2**20))
def test_torch_and_numpy_agree_on_log_probabilities(spec: ActionSpec, seed: int) -> None:
    """The policy that is trained in torch is the policy that acts in numpy."""
    outputs, mask, log_std = outputs_and_masks(seed, spec)
    logits, means = masked(outputs[:, : spec.logits], mask), outputs[:, spec.logits :]
    numbers = uniform(mix(seed, np.arange(40 * spec.columns, dtype=np.uint64))).reshape(40, spec.columns)
    actions, found = sample(logits, means, log_std, numbers, spec)
    distribution = ActionDistribution.of_outputs(
        torch.from_numpy(outputs), torch.from_numpy(mask), torch.from_numpy(log_std), spec
    )
    assert distribution.log_prob(torch.from_numpy(actions)).numpy() == pytest.approx(found, abs=1e-5)
    assert np.array_equal(choose_greedily(logits, means, spec)[:, : len(spec.discrete)], distribution.mode().numpy())


@pytest.mark.parametrize("spec", SPECS)
@given(seed=st.integers(0, 2**32))
def test_an_illegal_option_is_never_chosen(spec: ActionSpec, seed: int) -> None:
    """Neither greedily nor by chance, whatever the logits and the masks."""
    outputs, mask, log_std = outputs_and_masks(seed, spec)
    logits, means = masked(30 * outputs[:, : spec.logits], mask), outputs[:, spec.logits :]
    numbers = uniform(mix(seed, np.arange(40 * spec.columns, dtype=np.uint64))).reshape(40, spec.columns)
    for chosen in (choose_greedily(logits, means, spec), sample(logits, means, log_std, numbers, spec)[0]):
        for column, part in enumerate(spec.segments(mask)):
            assert part[np.arange(40), chosen[:, column].astype(int)].all()


def test_options_are_sampled_with_the_probabilities_of_the_softmax() -> None:
    """Frequencies of 200,000 draws agree with exp(log_probabilities) to three standard errors."""
    spec = ActionSpec.one_of(*"abcd")
    logits = np.array([0.0, 1.0, -1.0, 0.5], np.float32)
    numbers = uniform(mix(9, np.arange(200_000, dtype=np.uint64)))[:, None]
    none = np.zeros((len(numbers), 0), np.float32)
    drawn = sample(np.broadcast_to(logits, (len(numbers), 4)), none, none[0], numbers, spec)[0][:, 0]
    expected = np.exp(log_probabilities(logits[None], spec))[0]
    seen = np.bincount(drawn, minlength=4) / len(numbers)
    assert np.all(np.abs(seen - expected) < 3 * np.sqrt(expected * (1 - expected) / len(numbers)))


def test_numbers_are_sampled_from_the_gaussian() -> None:
    """Kolmogorov and Smirnov see no difference in 200,000 draws; the smallest and largest number are finite."""
    spec = ActionSpec(box=BOXES[:1])
    numbers = np.concatenate((uniform(mix(9, np.arange(200_000, dtype=np.uint64))), np.float32([0, 1 - 2**-24])))
    rows = len(numbers)
    means, log_std = np.full((rows, 1), 0.25, np.float32), np.float32([math.log(2)])
    drawn = sample(np.zeros((rows, 0), np.float32), means, log_std, numbers[:, None], spec)[0][:, 0]
    assert stats.kstest(drawn[:-2], stats.norm(0.25, 2).cdf).pvalue > 0.01
    assert np.isfinite(drawn).all()


def test_heads_are_drawn_from_numbers_of_their_own() -> None:
    """The correlation of two heads of one decision is that of chance."""
    spec = ActionSpec(box=BOXES)
    numbers = uniform(mix(5, np.arange(40_000, dtype=np.uint64))).reshape(-1, 2)
    means = np.zeros((len(numbers), 2), np.float32)
    drawn, _ = sample(np.zeros((len(numbers), 0), np.float32), means, means[0], numbers, spec)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.02


def test_wrong_shapes_are_refused_before_any_arithmetic() -> None:
    """A mask of another width would be split into other heads."""
    with pytest.raises(ValueError, match=r"expected outputs \[B, 3\] and a mask \[B, 3\]"):
        ActionDistribution.of_outputs(torch.zeros(2, 3), torch.ones(2, 4, dtype=torch.bool), NO_NUMBERS, THREE)
