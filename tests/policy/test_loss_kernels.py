"""The derivatives of the losses at ties are torch's, and what is not a number passes through."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from townlet.compiled import entry_kernel
from townlet.policy.gradient.loss_kernels import surrogate_backward, value_error_backward
from townlet.policy.gradient.trunks import bias_relu, relu_backward

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch

KINDS = [np.float64, np.float32]


@entry_kernel
def _surrogate(*arguments: Any) -> None:
    surrogate_backward(*arguments)


@entry_kernel
def _value_error(*arguments: Any) -> None:
    value_error_backward(*arguments)


@entry_kernel
def _relu(y: NDArray[Any], bias: NDArray[Any], grad: NDArray[Any], grad_bias: NDArray[Any], zero: Any) -> None:
    bias_relu(y, bias, 0, y.shape[1], zero)
    relu_backward(grad, y, grad_bias, 0, y.shape[1], zero)


@pytest.mark.parametrize("kind", KINDS)
def test_the_surrogates_subgradient_at_ties_is_torchs(kind: type) -> None:
    """Ratios on the bounds, just beside them and far out; advantages of every sign: the surrogate's own derivative."""
    low, high = kind(0.8), kind(1.2)
    edges = [low, np.nextafter(low, kind(0)), kind(1), high, np.nextafter(high, kind(2)), kind(0.2), kind(3)]
    ratio, advantages = (grid.ravel() for grid in np.meshgrid(edges, np.array([-1, -1e-40, 0, 1e-40, 2], kind)))
    log_ratio, one, slope, sums = np.log(ratio), kind(1), np.empty_like(ratio), np.zeros(3)
    _surrogate(slope, ratio, log_ratio, advantages, (one, low, high, kind(0.2), kind(0), kind(0.5), one), sums)
    r = torch.from_numpy(ratio).requires_grad_()
    a = torch.from_numpy(advantages)
    loss = torch.maximum(-r * a, -r.clamp(0.8, 1.2) * a).sum()
    (expected,) = torch.autograd.grad(loss, r)
    assert np.array_equal(expected.numpy() * ratio, slope)
    assert float(loss.detach()) == pytest.approx(sums[0])


@pytest.mark.parametrize("kind", KINDS)
def test_the_value_losss_subgradient_at_ties_is_torchs(kind: type) -> None:
    """Values on the clip's bounds and symmetric around the target."""
    v, old, target = (
        grid.ravel().copy()
        for grid in np.meshgrid(
            np.array([-1, -0.25, 0, 0.25, 1], kind), np.array([0, 0.5], kind), np.array([0, 0.5, 0.625], kind)
        )
    )
    value = torch.from_numpy(v.copy()).requires_grad_()
    clipped = torch.from_numpy(old) + (value - torch.from_numpy(old)).clamp(-0.25, 0.25)
    errors = [(each - torch.from_numpy(target)).square() for each in (value, clipped)]
    loss = 0.5 * torch.maximum(*errors).sum()
    (expected,) = torch.autograd.grad(loss, value)
    sums = np.zeros(1)
    _value_error(v, target, old, (kind(1), kind(0.25), kind(0), kind(0.5), kind(1)), sums)
    assert np.array_equal(expected.numpy(), v)
    assert float(loss.detach()) == pytest.approx(0.5 * sums[0])


def test_nan_passes_through_relu_and_its_backward_pass() -> None:
    """NaN reaches the loss or the gradient norm, where the learner checks for it."""
    y, d = np.array([[np.nan, -1.0, 2.0]]), np.ones((1, 3))
    _relu(y, np.zeros((1, 3)), d, np.zeros((1, 3)), np.float64(0))
    assert [True, False, False] == np.isnan(y[0]).tolist()
    assert [1.0, 0.0, 1.0] == d[0].tolist()
