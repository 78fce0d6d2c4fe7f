"""Our Adam takes torch's steps, without torch's compiler."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from townlet.policy.model.adam import Adam  # noqa: E402

pytestmark = pytest.mark.torch


def gradients(step: int) -> list["torch.Tensor | None"]:
    """Return gradients of three parameters; the second has none in every other step."""
    numbers = [np.random.default_rng([step, index]).normal(size=(4, 3)).astype(np.float32) for index in range(3)]
    return [torch.from_numpy(each) if index != 1 or step % 2 else None for index, each in enumerate(numbers)]


def parameters() -> list["torch.Tensor"]:
    """Return three parameters."""
    return [torch.nn.Parameter(torch.full((4, 3), 0.1 * index)) for index in range(3)]


def ours(steps: range, own: list["torch.Tensor"], optimizer: Adam) -> None:
    """Take steps with learning rates that change."""
    for step in steps:
        optimizer.zero_grad()
        for parameter, grad in zip(own, gradients(step), strict=True):
            parameter.grad = grad
        optimizer.learning_rates = [1e-2 / (1 + step), 1e-3]
        optimizer.step()


def test_the_steps_have_the_bits_of_torchs_adam() -> None:
    """Two groups with their own learning rates, and a parameter without a gradient in some steps."""
    own, theirs = parameters(), parameters()
    reference = torch.optim.Adam([{"params": theirs[:2]}, {"params": theirs[2:]}], eps=1e-5, fused=True)
    ours(range(5), own, Adam(own[:2], own[2:]))
    for step in range(5):
        for parameter, grad in zip(theirs, gradients(step), strict=True):
            parameter.grad = grad
        reference.param_groups[0]["lr"], reference.param_groups[1]["lr"] = 1e-2 / (1 + step), 1e-3
        reference.step()
    assert [each.detach().numpy().tobytes() for each in theirs] == [each.detach().numpy().tobytes() for each in own]


def test_its_state_goes_on_where_it_was() -> None:
    """Also that of a parameter that had no step yet."""
    whole, halved = parameters(), parameters()
    ours(range(4), whole, Adam(whole[:2], whole[2:]))
    first = Adam(halved[:2], halved[2:])
    ours(range(1), halved, first)
    assert {"0.step", "0.exp_avg", "0.exp_avg_sq", "2.step", "2.exp_avg", "2.exp_avg_sq"} == set(first.state())

    second = Adam(halved[:2], halved[2:])
    second.load(first.state())
    ours(range(1, 4), halved, second)
    assert [each.detach().numpy().tobytes() for each in whole] == [each.detach().numpy().tobytes() for each in halved]
