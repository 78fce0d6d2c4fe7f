"""The update of PPO: which decisions train which network, resuming, backends and devices."""

from typing import Any

import numpy as np
import pytest
from attrs import define, evolve
from corridor import CorridorProvider
from numpy.typing import NDArray

from townlet.dto.strategies import PPOSpec
from townlet.errors import BadInputError
from townlet.policy.model.initialise import fresh_weights
from townlet.policy.model.weights import Weights
from townlet.policy.ppo.ramps import Ramp
from townlet.policy.ppo.rollout import Rollout
from townlet.policy.ppo.update_stats import UpdateStatistics

torch = pytest.importorskip("torch")

from townlet.policy.gradient.torch_backend import TorchBackend  # noqa: E402
from townlet.policy.model.torch_network import choose_device, device_name  # noqa: E402
from townlet.policy.ppo import learner as learner_module  # noqa: E402
from townlet.policy.ppo.learner import Learner  # noqa: E402

pytestmark = pytest.mark.torch

WORLDS, STEPS = 8, 12
PLAIN = Ramp(actor=1.0, critic=1.0, anchor_kl=0.05, bc_weight=0.0)
SPEC = PPOSpec(minibatch_size=64, update_epochs=2, target_kl=1e9)
PROVIDER = CorridorProvider()
ABOUT = PROVIDER.describe("plain")
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


@define
class Altered:
    """A rollout with other actions and log-probabilities."""

    rollout: Rollout
    actions: NDArray[np.int64]
    log_probs: NDArray[np.float32]

    def __getattr__(self, name: str) -> Any:
        return vars(self.rollout)[name] if name in vars(self.rollout) else getattr(self.rollout, name)


def _played(share: float) -> tuple[Rollout, Weights]:
    weights = fresh_weights(ABOUT, (16,), np.random.default_rng(3))
    rollout = Rollout(PROVIDER.make("plain", worlds=WORLDS, seed=1, max_steps=24), STEPS, 24)
    rollout.collect(weights, PROVIDER.teacher("plain", "lazy"), share)
    return rollout, weights


def _updated(rollout: Any, weights: Weights, ramp: Ramp, **changes: Any) -> tuple[Weights, UpdateStatistics]:
    learner = Learner(weights, evolve(SPEC, **changes), 0.9, None)
    statistics = learner.update(rollout, weights, ramp, np.random.default_rng(0))
    return learner.weights(), statistics


def _torch_backend(parameters: Any, actions: Any, options: Any, _: Any, __: Any, demonstrations: Any) -> TorchBackend:
    return TorchBackend(*parameters, actions, options, torch.device("cpu"), demonstrations)


def _same(one: Weights, other: Weights, part: str) -> bool:
    pairs = zip(arrays_of(one, part), arrays_of(other, part), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def arrays_of(weights: Weights, part: str) -> list[NDArray[np.float32]]:
    """Return the arrays of the actor or the critic."""
    return [array for layer in {"actor": weights.actor, "critic": weights.critic}[part] for array in layer]


@pytest.mark.parametrize(("share", "worlds"), [(0.0, 0), (0.25, 2), (0.5, 4), (1.0, 8)])
def test_the_teacher_decides_in_its_share_of_the_worlds(share: float, worlds: int) -> None:
    """The first worlds take the teacher's actions; the others act as they do without a teacher."""
    rollout, weights = _played(share)
    alone, _ = _played(0.0)
    assert [True] * worlds + [False] * (WORLDS - worlds) == rollout.teacher_controlled.tolist()
    assert np.array_equal(alone.actions[:, worlds:], rollout.actions[:, worlds:])
    lazy, raw = PROVIDER.teacher("plain", "lazy"), rollout.features[:-1] * weights.scale + weights.mean
    for t in range(STEPS):
        observed = evolve(rollout.environment.reset(), observations=raw[t], action_mask=rollout.action_mask[t])
        assert np.array_equal(lazy.act(observed)[:worlds], rollout.actions[t, :worlds, :, 0])


def test_a_teachers_decisions_have_no_policy_gradient() -> None:
    """Without a demonstration loss the actor's update does not depend on the teacher's actions."""
    rollout, weights = _played(0.5)
    altered = Altered(rollout, rollout.actions.copy(), rollout.log_probs.copy())
    altered.actions[:, rollout.teacher_controlled] = 0
    altered.log_probs[:, rollout.teacher_controlled] -= 3.0
    one, other = _updated(rollout, weights, PLAIN)[0], _updated(altered, weights, PLAIN)[0]
    assert _same(one, other, "actor")
    assert not _same(weights, one, "actor")


def test_a_teachers_decisions_train_the_critic() -> None:
    """A batch of the teacher's worlds alone changes the critic and not the actor."""
    rollout, weights = _played(1.0)
    updated, statistics = _updated(rollout, weights, PLAIN)
    assert _same(weights, updated, "actor")
    assert not _same(weights, updated, "critic")
    assert (0.0, 0.0, 0.0) == (statistics.policy_loss, statistics.entropy, statistics.approx_kl)
    assert statistics.finite


def test_a_teachers_decisions_are_demonstrations() -> None:
    """With a demonstration loss their log-probability rises, without any data set."""
    rollout, weights = _played(1.0)
    ramp = Ramp(actor=1.0, critic=1.0, anchor_kl=0.0, bc_weight=1.0)
    updated, _ = _updated(rollout, weights, ramp, learning_rate=1e-2)

    def mean_log_prob(clone: Weights) -> float:
        x = rollout.features[:-1].reshape(-1, len(ABOUT.features))
        logits = clone.policy().outputs(x, rollout.action_mask.reshape(len(x), -1))[0]
        logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
        return float(logits[np.arange(len(x)), rollout.actions.ravel()].mean())

    assert mean_log_prob(updated) > mean_log_prob(weights) + 0.1


def test_a_resumed_learner_makes_the_same_next_update() -> None:
    """Weights and Adam's state suffice; without Adam's state the update differs."""
    rollout, weights = _played(0.0)
    first = Learner(weights, SPEC, 0.9, None)
    first.update(rollout, weights, PLAIN, np.random.default_rng(0))
    between, state = first.weights(), first.adam_state()

    def next_update(adam_state: dict[str, NDArray[Any]]) -> Weights:
        learner = Learner(weights, SPEC, 0.9, None)
        learner.resume(between, adam_state)
        learner.update(rollout, between, PLAIN, np.random.default_rng(1))
        return learner.weights()

    first.update(rollout, between, PLAIN, np.random.default_rng(1))
    assert first.weights().to_bytes() == next_update(state).to_bytes()
    assert first.weights().to_bytes() != next_update({}).to_bytes()


def test_both_gradient_backends_make_the_same_update(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an update, weights and statistics of kernels and torch differ by rounding only."""
    rollout, weights = _played(0.25)
    ours, actual = _updated(rollout, weights, PLAIN)
    monkeypatch.setattr(learner_module, "choose_backend", _torch_backend)
    theirs, expected = _updated(rollout, weights, PLAIN)
    assert expected.row() == pytest.approx(actual.row(), rel=1e-3, abs=1e-5)
    for part in ("actor", "critic"):
        for a, b in zip(arrays_of(ours, part), arrays_of(theirs, part), strict=True):
            assert a == pytest.approx(b, abs=1e-4)


def _with_empty_masks(drawn: int) -> tuple[Altered, Weights]:
    """Return a rollout in which the masks of its second world are empty, and where this option was drawn there."""
    rollout, weights = _played(0.0)
    altered = Altered(rollout, rollout.actions.copy(), rollout.log_probs.copy())
    rollout.action_mask[:, 1] = False
    altered.actions[:, 1], altered.log_probs[:, 1] = drawn, -np.log(np.float32(ABOUT.actions.logits))
    return altered, weights


@pytest.mark.parametrize("ours", [True, False], ids=["kernels", "torch"])
def test_a_draw_from_an_empty_mask_is_counted_and_not_learned_from(ours: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses are finite, the update is the same whatever was drawn, and each such decision is counted once."""
    if not ours:
        monkeypatch.setattr(learner_module, "choose_backend", _torch_backend)
    (one, statistics), (other, _) = (_updated(*_with_empty_masks(drawn), PLAIN) for drawn in (0, 2))
    assert statistics.finite
    assert np.isfinite(statistics.row()).all()
    assert one.to_bytes() == other.to_bytes()
    altered, _ = _with_empty_masks(0)
    assert int(altered.alive[:, 1].sum()) == statistics.empty_masks > 0


def test_the_actor_learns_nothing_where_all_masks_are_empty() -> None:
    """Its gradient there is 0; the critic learns from the rewards."""
    altered, weights = _with_empty_masks(0)
    altered.rollout.action_mask[:] = False
    altered.log_probs[:] = -np.log(np.float32(ABOUT.actions.logits))
    updated, statistics = _updated(altered, weights, PLAIN)
    assert _same(weights, updated, "actor")
    assert not _same(weights, updated, "critic")
    assert altered.alive.sum() == statistics.empty_masks


def test_statistics_of_before_empty_masks_were_counted_are_read() -> None:
    """A checkpoint of an earlier version lacks the number; it reads as 0."""
    assert UpdateStatistics(samples=7) == UpdateStatistics.from_row(UpdateStatistics(samples=7).row()[:-1])
    with pytest.raises(ValueError, match="zip"):
        UpdateStatistics.from_row(UpdateStatistics().row()[:-2])


@pytest.mark.parametrize("broken", [np.nan, -np.inf])
def test_a_loss_that_is_not_finite_stops_the_update_before_the_weights_change(broken: float) -> None:
    """Log-probabilities that are not finite: the actor is unchanged, the critic only rescaled by its normaliser."""
    rollout, weights = _played(0.0)
    altered = Altered(rollout, rollout.actions, rollout.log_probs.copy())
    altered.log_probs[rollout.alive] = broken
    updated, statistics = _updated(altered, weights, PLAIN)
    assert not statistics.finite
    assert _same(weights, updated, "actor")


def test_auto_falls_back_to_the_cpu_and_says_so() -> None:
    """The result names the device that was used."""
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert expected == choose_device("auto").type
    assert "cpu" == device_name(choose_device("cpu"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_a_missing_gpu_is_refused() -> None:
    """The error comes before any training."""
    with pytest.raises(BadInputError, match="torch sees no GPU here; choose cpu or auto"):
        choose_device("cuda")


@gpu
@pytest.mark.parametrize("changes", [{}, {"bf16": True}, {"compiled": True}])
def test_a_gpu_makes_the_same_update_as_the_cpu(changes: dict[str, Any]) -> None:
    """For the same batch the weights differ by rounding, or by the rounding of bfloat16."""
    rollout, weights = _played(0.25)
    ours, _ = _updated(rollout, weights, PLAIN)
    theirs, statistics = _updated(rollout, weights, PLAIN, device="cuda", **changes)
    assert statistics.finite
    for part in ("actor", "critic"):
        for a, b in zip(arrays_of(ours, part), arrays_of(theirs, part), strict=True):
            assert a == pytest.approx(b, abs=5e-2 if changes.get("bf16") else 1e-3)
