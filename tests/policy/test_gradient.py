"""PPO's gradient by hand is the gradient of what torch's objective says, for every option, and the same bits always."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve, frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from townlet.dto.strategies import PPOSpec
from townlet.policy.ppo.numba_kernels import lift, stop, surrogate, value_errors
from townlet.policy.ppo.ramps import Ramp

torch = pytest.importorskip("torch")

from townlet.policy import losses  # noqa: E402
from townlet.policy.model.initialise import fresh_layers  # noqa: E402
from townlet.policy.model.torch_network import ActorCritic  # noqa: E402
from townlet.policy.ppo.batch import Batch, Labelled, Shard, Terms  # noqa: E402
from townlet.policy.ppo.gradient_backend import NumpyBackend, TorchBackend  # noqa: E402
from townlet.policy.ppo.objective import shards_of  # noqa: E402

pytestmark = pytest.mark.torch

FEATURES, ACTIONS, ROWS = 7, 5, 60
RAMP = Ramp(actor=1.0, critic=1.0, anchor_kl=0.3, bc_weight=0.4)
KINDS = [np.float64, np.float32]


@frozen
class Case:
    """One minibatch, and the network it is shown to."""

    network: Any
    batch: Any
    part: Any
    shown: Any
    ramp: Ramp
    spec: PPOSpec

    def shards(self, count: int) -> list[Any]:
        """Return the minibatch in that many parts."""
        return shards_of(self.batch, self.part, count, self.shown, norm_adv=self.spec.norm_adv)[0]

    def answer(self, who: type[TorchBackend] | type[NumpyBackend]) -> tuple[Terms[float], list[NDArray[Any] | None]]:
        """Return the terms and the gradient by parameter, none for one that plays no part."""
        one = who(self.network, self.spec)
        terms = one.gradient(self.shards(one.shards), self.batch, self.ramp)
        found = [None if each.grad is None else each.grad.numpy().copy() for each in self.network.parameters()]
        return Terms(*terms.tolist()), found


def masks(rng: np.random.Generator, rows: int) -> NDArray[np.bool_]:
    """Return masks [rows, A] with an action everywhere, and one row that leaves no choice."""
    mask = rng.random((rows, ACTIONS)) < 0.6
    mask[:, 2] = True
    mask[0] = np.arange(ACTIONS) == 2
    return mask


def legal(rng: np.random.Generator, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return an allowed action of each row."""
    return np.where(mask, rng.random(mask.shape), -1).argmax(-1)


def case(
    seed: int, kind: type, rows: int = ROWS, taught: float = 0.0, shown: int = 0, *, anchored: bool = True, **spec: Any
) -> Case:
    """Return a minibatch of random rows: many ratios are clipped, some advantages are 0, some rows are all zeros."""
    rng = np.random.default_rng(seed)

    def layers(outputs: int) -> Any:
        made = fresh_layers(rng, (FEATURES, 16, 8, outputs), 1.0)
        return tuple((weight.astype(kind), rng.standard_normal(bias.shape).astype(kind) * (i == 2))
                     for i, (weight, bias) in enumerate(made))  # fmt: skip

    def numbers(*shape: int) -> Any:
        return torch.from_numpy(rng.standard_normal(shape).astype(kind))

    total = rows + rows // 3
    features, mask = numbers(total, FEATURES), masks(rng, total)
    features[::11] = 0  # ReLU at exactly 0
    actor, critic = layers(ACTIONS), layers(1)
    network = ActorCritic(actor, critic)
    allowed, actions = torch.from_numpy(mask), torch.from_numpy(legal(rng, mask))
    with torch.no_grad():
        current = losses.masked_log_probabilities(network.actor(features), allowed)
        old = current.gather(1, actions[:, None])[:, 0] + 0.3 * numbers(total)
        parent = losses.masked_log_probabilities(network.actor(features) + numbers(total, ACTIONS), allowed)
    advantages = numbers(total)
    advantages[::7] = 0
    theirs = masks(rng, max(shown, 1))
    return Case(
        network,
        Batch(features, allowed, actions, old, advantages, numbers(total), numbers(total),
              parent if anchored else None, torch.from_numpy(rng.random(total) < taught) if taught else None),
        torch.from_numpy(rng.permutation(total)[:rows]),
        Labelled(numbers(shown, FEATURES), torch.from_numpy(theirs), torch.from_numpy(legal(rng, theirs)))
        if shown else None,
        RAMP,
        PPOSpec(**spec),
    )  # fmt: skip


def assert_alike(found: Case, kind: type) -> None:
    """Compare both ways, to the rounding of the precision."""
    near = {"rel": 1e-9, "abs": 1e-11} if kind is np.float64 else {"rel": 1e-4, "abs": 2e-6}
    (terms, gradients), (ours, by_hand) = found.answer(TorchBackend), found.answer(NumpyBackend)
    share = terms.clip_fraction  # torch's is in single precision, whatever the rest is
    assert share == pytest.approx(ours.clip_fraction, abs=1e-6)
    assert tuple(terms) == pytest.approx(tuple(ours._replace(clip_fraction=share)), **near)
    assert [each is None for each in gradients] == [each is None for each in by_hand]
    for expected, actual in zip(gradients, by_hand, strict=True):
        assert expected is None or expected == pytest.approx(actual, **near)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**20), rows=st.integers(1, 70), taught=st.sampled_from([0.0, 0.4, 1.0]),
    shown=st.sampled_from([0, 1, 2, 19]), anchored=st.booleans(), norm_adv=st.booleans(),
    vf_clip_coef=st.sampled_from([None, 0.2]), actor=st.sampled_from([0.0, 1.0]),
)  # fmt: skip
def test_the_gradient_by_hand_is_autograds(
    kind: type, seed: int, rows: int, taught: float, shown: int, anchored: bool, actor: float, **spec: Any
) -> None:
    """Every option of the loss, in two halves by hand and in one piece by autograd: terms, gradient, and none alike."""
    found = case(seed, kind, rows, taught, shown, anchored=anchored, **spec)
    assert_alike(evolve(found, ramp=evolve(RAMP, actor=actor)), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_wide_minibatch_is_the_same_too(kind: type) -> None:
    """Thousands of rows, everything at once."""
    assert_alike(case(5, kind, 3000, 0.3, 700, vf_clip_coef=0.2), kind)


def test_the_gradient_is_what_finite_differences_see() -> None:
    """(L(w + h) − L(w − h)) ÷ 2h, at every twentieth weight, of the loss that the hands themselves answer."""
    found = case(3, np.float64, 200, 0.2, 30)
    gradients, step = found.answer(NumpyBackend)[1], 1e-6
    for parameter, gradient in zip(found.network.parameters(), gradients, strict=True):
        flat = parameter.detach().view(-1)
        for index in range(0, len(flat), 20):
            sides = []
            for side in (step, -step, 0.0):
                kept = float(flat[index])
                flat[index] = kept + side
                sides.append(found.answer(NumpyBackend)[0].total)
                flat[index] = kept
            slope = (sides[0] - sides[1]) / (2 * step)
            kink = abs(sides[0] + sides[1] - 2 * sides[2]) > 1e-10  # a clip or a ReLU lies between
            assert kink or slope == pytest.approx(float(gradient.ravel()[index]), abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_arms_share_the_slope_as_torch_has_it(kind: type) -> None:
    """Ratios on the bounds, just beside them and far out; advantages of every sign: the surrogate's own derivative."""
    low, high = kind(0.8), kind(1.2)
    edges = [low, np.nextafter(low, kind(0)), kind(1), high, np.nextafter(high, kind(2)), kind(0.2), kind(3)]
    ratio, advantages = (grid.ravel() for grid in np.meshgrid(edges, np.array([-1, -1e-40, 0, 1e-40, 2], kind)))
    log_ratio, one, slope, sums = np.log(ratio), kind(1), np.empty_like(ratio), np.zeros(3)
    surrogate(slope, ratio, log_ratio, advantages, (one, low, high, kind(0.2), kind(0), kind(0.5), one), sums)
    r = torch.from_numpy(ratio).requires_grad_()
    a = torch.from_numpy(advantages)
    loss = torch.maximum(-r * a, -r.clamp(0.8, 1.2) * a).sum()
    (expected,) = torch.autograd.grad(loss, r)
    assert np.array_equal(expected.numpy() * ratio, slope)
    assert float(loss.detach()) == pytest.approx(sums[0])


@pytest.mark.parametrize("kind", KINDS)
def test_equal_value_errors_share_the_slope_as_torch_has_it(kind: type) -> None:
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
    value_errors(v, target, old, (kind(1), kind(0.25), kind(0), kind(0.5), kind(1)), sums)
    assert np.array_equal(expected.numpy(), v)
    assert float(loss.detach()) == pytest.approx(0.5 * sums[0])


def test_what_is_not_a_number_gets_through() -> None:
    """ReLU and its way back keep it, so that the loss and the norm can tell."""
    y, d = np.array([[np.nan, -1.0, 2.0]]), np.ones((1, 3))
    lift(y, np.zeros(3), np.float64(0))
    stop(d, y, np.float64(0))
    assert [True, False, False] == np.isnan(y[0]).tolist()
    assert [1.0, 0.0, 1.0] == d[0].tolist()


@pytest.mark.parametrize("where", ["features", "old_log_probs", "advantages", "targets", "anchor"])
def test_a_broken_number_anywhere_shows_in_the_total_or_the_norm(where: str) -> None:
    """One of the minibatch's rows is enough."""
    found = case(1, np.float32, norm_adv=False)
    getattr(found.batch, where)[found.part[7]] = float("nan")
    terms, gradients = found.answer(NumpyBackend)
    assert not np.isfinite([terms.total, *(np.abs(each).sum() for each in gradients)]).all()


def bits(seed: int = 0) -> bytes:
    """Return terms and gradients of some cases."""
    cases = [case(seed, np.float32, 64), case(seed, np.float32, 31, 0.4, 9, vf_clip_coef=0.2)]
    answers = [found.answer(NumpyBackend) for found in cases]
    return b"".join(np.array(terms).tobytes() + b"".join(part.tobytes() for part in parts if part is not None)
                    for terms, parts in answers)  # fmt: skip


def test_the_same_bits_whether_the_shards_wait_for_each_other_or_not() -> None:
    """Twice, and with one thread after the other."""

    class Patient(NumpyBackend):
        """Does one shard after the other."""

        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self._pool.submit = lambda call, *args: _Done(call(*args))  # type: ignore[method-assign, assignment]

    found = case(2, np.float32, 2000, shown=301)
    one, other, patient = (found.answer(who) for who in (NumpyBackend, NumpyBackend, Patient))
    for answer in (other, patient):
        assert one[0] == answer[0]
        assert all(np.array_equal(a, b) for a, b in zip(one[1], answer[1], strict=True))


@frozen
class _Done:
    """An answer that is there."""

    answer: object

    def result(self) -> object:
        """Return it."""
        return self.answer


def test_plain_python_computes_the_same_bits() -> None:
    """The kernels with the compiler off."""
    run = "import sys, test_gradient; sys.stdout.write(test_gradient.bits().hex())"
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": paths}
    found = subprocess.run([sys.executable, "-c", run], env=environment, capture_output=True, text=True, check=True)
    assert bits().hex() == found.stdout


def test_a_row_alone_is_one_shard() -> None:
    """There is nothing to cut."""
    found = case(4, np.float64, 1)
    (only,) = found.shards(2)
    assert isinstance(only, Shard)
    assert_alike(found, np.float64)
