"""Losses equal numbers worked out by hand, and numpy's results."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from townlet.dto.actions import ActionSpec  # noqa: E402
from townlet.policy.losses import clipped_surrogate, value_error  # noqa: E402
from townlet.policy.model.forward import forward  # noqa: E402
from townlet.policy.model.initialise import fresh_layers  # noqa: E402
from townlet.policy.model.torch_network import MLP, ActorCritic  # noqa: E402

pytestmark = pytest.mark.torch

LIKELY = torch.log(torch.tensor([0.5]))


def test_the_torch_network_equals_the_numpy_forward_pass() -> None:
    """To the rounding of single precision."""
    rng = np.random.default_rng(0)
    layers, x = fresh_layers(rng, (20, 64, 64, 7), 1.0), rng.standard_normal((300, 20)).astype(np.float32)
    with torch.no_grad():
        assert MLP(layers)(torch.from_numpy(x)).numpy() == pytest.approx(forward(layers, x), abs=1e-5)


def test_the_surrogate_clips_a_ratio_that_improves_it() -> None:
    """Ratio 2 with a positive advantage counts as 1.2, with a negative one as 2."""
    for advantage, expected in ((1.0, -1.2), (-1.0, 2.0)):
        terms = clipped_surrogate(LIKELY, LIKELY - np.log(2), torch.tensor([advantage]), 0.2)
        assert expected == pytest.approx(float(terms.loss), abs=1e-6)
    assert 1.0 == float(terms.clip_fraction)
    assert (2 - 1) - np.log(2) == pytest.approx(float(terms.approx_kl), abs=1e-6)


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
    actor, critic = fresh_layers(rng, (5, 8, 3), 1.0), fresh_layers(rng, (5, 8, 1), 1.0)
    network = ActorCritic(actor, critic, np.zeros(0, np.float32), ActionSpec.one_of("a", "b", "c"))
    value_error(network.value(torch.ones(4, 5)), torch.zeros(4)).backward()
    assert all(parameter.grad is None for parameter in network.actor.parameters())
    assert all(parameter.grad is not None for parameter in network.critic.parameters())
