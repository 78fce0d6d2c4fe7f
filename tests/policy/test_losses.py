"""Losses equal numbers worked out by hand, and numpy's results."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from townlet.policy.losses import (  # noqa: E402
    anchor_kl,
    clipped_surrogate,
    masked_log_probabilities,
    smoothed_cross_entropy,
    value_error,
)
from townlet.policy.model.inference import forward, log_probabilities, masked  # noqa: E402
from townlet.policy.model.initialise import fresh_layers  # noqa: E402
from townlet.policy.model.torch_network import MLP, ActorCritic, parity  # noqa: E402

pytestmark = pytest.mark.torch

ALL = torch.ones(1, 3, dtype=torch.bool)


def test_torch_and_numpy_agree_on_log_probabilities() -> None:
    """The policy that is trained in torch is the policy that acts in numpy."""
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((40, 6)).astype(np.float32)
    mask = rng.random((40, 6)) < 0.5
    mask[:, 0] = True
    expected = log_probabilities(masked(logits, mask))
    found = masked_log_probabilities(torch.from_numpy(logits), torch.from_numpy(mask)).numpy()
    assert np.allclose(expected[mask], found[mask], atol=1e-6)


def test_the_torch_network_equals_the_numpy_forward_pass() -> None:
    """The parity stored with weights is far below the tolerance."""
    rng = np.random.default_rng(0)
    layers = fresh_layers(rng, (20, 64, 64, 7), 1.0)
    assert parity(layers, rng.standard_normal((300, 20)).astype(np.float32)) < 1e-5


def test_the_surrogate_clips_a_ratio_that_improves_it() -> None:
    """Ratio 2 with a positive advantage counts as 1.2, with a negative one as 2."""
    log_p = torch.log(torch.tensor([[0.5, 0.25, 0.25]]))
    for advantage, expected in ((1.0, -1.2), (-1.0, 2.0)):
        terms = clipped_surrogate(
            log_p, ALL, torch.tensor([0]), torch.log(torch.tensor([0.25])), torch.tensor([advantage]), 0.2
        )
        assert expected == pytest.approx(float(terms.loss), abs=1e-6)
    assert 1.0 == float(terms.clip_fraction)
    assert (2 - 1) - np.log(2) == pytest.approx(float(terms.approx_kl), abs=1e-6)


def test_entropy_is_over_legal_actions_only() -> None:
    """Two equally likely legal actions have log 2 nat, for any number of illegal actions."""
    mask = torch.tensor([[True, True, False]])
    log_p = masked_log_probabilities(torch.tensor([[1.0, 1.0, 9.0]]), mask)
    terms = clipped_surrogate(log_p, mask, torch.tensor([0]), log_p[:, 0], torch.tensor([0.0]), 0.2)
    assert np.log(2) == pytest.approx(float(terms.entropy), abs=1e-6)


def test_the_anchor_term_is_the_kl_from_the_parent_and_zero_at_the_parent() -> None:
    """KL((½, ½, 0) ‖ (¼, ¾, 0)) by hand."""
    mask = torch.tensor([[True, True, False]])
    parent = masked_log_probabilities(torch.log(torch.tensor([[0.5, 0.5, 1.0]])), mask)
    policy = masked_log_probabilities(torch.log(torch.tensor([[0.25, 0.75, 1.0]])), mask)
    assert 0.5 * np.log(2) + 0.5 * np.log(2 / 3) == pytest.approx(float(anchor_kl(parent, policy, mask)), abs=1e-6)
    assert 0.0 == pytest.approx(float(anchor_kl(parent, parent, mask)), abs=1e-7)


def test_label_smoothing_is_uniform_over_legal_actions() -> None:
    """With s = 1 the label does not matter; with s = 0 nothing else does."""
    mask = torch.tensor([[True, True, False]])
    log_p = masked_log_probabilities(torch.log(torch.tensor([[0.25, 0.75, 1.0]])), mask)
    label = torch.tensor([0])
    assert -np.log(0.25) == pytest.approx(float(smoothed_cross_entropy(log_p, mask, label, 0.0)), abs=1e-6)
    expected = -(np.log(0.25) + np.log(0.75)) / 2
    assert expected == pytest.approx(float(smoothed_cross_entropy(log_p, mask, label, 1.0)), abs=1e-6)


def test_the_value_error_is_half_the_mean_square() -> None:
    """½·((1 − 3)² + 0) ÷ 2."""
    assert 1.0 == float(value_error(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 2.0])))


def test_wrong_ranks_are_refused_before_any_arithmetic() -> None:
    """A [B, 1] target would broadcast into nonsense."""
    with pytest.raises(ValueError, match="target_t: expected rank 1"):
        value_error(torch.zeros(3), torch.zeros(3, 1))


def test_rescaling_the_output_keeps_the_critics_values() -> None:
    """PopArt: value·scale + mean is the same before and after the normaliser changed."""
    rng = np.random.default_rng(0)
    layers = fresh_layers(rng, (5, 8, 1), 1.0)
    inputs = rng.standard_normal((30, 5)).astype(np.float32)
    trunk, (mean, scale), (new_mean, new_scale) = MLP(layers), (2.0, 3.0), (5.0, 7.0)
    trunk.scale_output(scale / new_scale, (mean - new_mean) / new_scale)
    expected = forward(layers, inputs) * scale + mean
    assert np.allclose(expected, forward(trunk.layers(), inputs) * new_scale + new_mean, atol=1e-4)


def test_a_value_loss_does_not_train_the_actor() -> None:
    """Actor and critic share no parameter: a value loss has no gradient with respect to the actor."""
    rng = np.random.default_rng(0)
    network = ActorCritic(fresh_layers(rng, (5, 8, 3), 1.0), fresh_layers(rng, (5, 8, 1), 1.0))
    value_error(network.value(torch.ones(4, 5)), torch.zeros(4)).backward()
    assert all(parameter.grad is None for parameter in network.actor.parameters())
    assert all(parameter.grad is not None for parameter in network.critic.parameters())
