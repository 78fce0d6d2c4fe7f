"""The clone's fits: by kernels as by torch, from any epoch on, and scored on held-out samples."""

from typing import Any

import numpy as np
import pytest
from attrs import evolve

from townlet.dto.actions import ActionSpec, BoxHead, DiscreteHead
from townlet.dto.strategies import BCSpec
from townlet.policy.bc import cloning
from townlet.policy.bc.cloning import clone_actor, fit_critic
from townlet.policy.bc.heldout_scores import heldout_scores
from townlet.policy.bc.state import CloneState, ValueState
from townlet.policy.data.dataset import Samples
from townlet.policy.model.forward import Layers
from townlet.policy.model.initialise import fresh_layers

torch = pytest.importorskip("torch")

from townlet.policy.gradient.torch_backend import TorchBackend  # noqa: E402

pytestmark = pytest.mark.torch

FEATURES = 6
HEADS = tuple(DiscreteHead(name=f"h{n}", options=tuple(f"o{i}" for i in range(n))) for n in (3, 4))
BOXES = (BoxHead(name="x"), BoxHead(name="y"))
SPECS = [ActionSpec.one_of(*"abcd"), ActionSpec(box=BOXES), ActionSpec(discrete=HEADS, box=BOXES)]
SPEC = BCSpec(update_epochs=4, value_epochs=3, minibatch_size=64, patience=9, label_smoothing=0.1)


def samples(spec: ActionSpec, count: int, seed: int) -> Samples:
    """Return decisions of a teacher whose choice depends on the features."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, FEATURES)).astype(np.float32)
    mask = rng.random((count, spec.logits)) < 0.8
    labels = np.tanh(x[:, : spec.columns]).astype(spec.dtype)
    for column, part in enumerate(spec.segments(mask)):
        best = (x[:, [column]] * 2).astype(np.int64).clip(0, part.shape[1] - 1)[:, 0]
        part[np.arange(count), best] = True
        labels[:, column] = best
    return Samples(features=x, action_mask=mask, labels=labels)


def actor_of(spec: ActionSpec) -> Layers:
    """Return a fresh actor."""
    return fresh_layers(np.random.default_rng(1), (FEATURES, 16, len(spec.outputs)), 0.1)


def cloned(
    spec: ActionSpec, start: Any = None, options: BCSpec = SPEC
) -> tuple[list[CloneState], list[dict[str, float]]]:
    """Return the state after each epoch, and the reports."""
    states, reports = list[CloneState](), list[dict[str, float]]()
    rng = np.random.default_rng(7)
    clone_actor(
        start or actor_of(spec), samples(spec, 300, 2), samples(spec, 100, 3), spec, options, rng,
        lambda _, numbers: reports.append(numbers), states.append,
    )  # fmt: skip
    return states, reports


def fitted(start: Any = None) -> list[ValueState]:
    """Return the critic's state after each epoch."""
    states, rng = list[ValueState](), np.random.default_rng(8)
    x = samples(SPECS[0], 300, 2).features
    critic = fresh_layers(np.random.default_rng(1), (FEATURES, 16, 1), 1.0)
    fit_critic(start or critic, x, x[:, 0] - x[:, 1], SPEC, rng, lambda *_: None, states.append)
    return states


def by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch compute the gradients, as on a GPU."""

    def choose(parameters: Any, actions: Any, options: Any, device: Any, _: Any, demonstrations: Any) -> TorchBackend:
        return TorchBackend(*parameters, actions, options, torch.device("cpu"), demonstrations)

    monkeypatch.setattr(cloning, "choose_backend", choose)


def close(one: Layers, other: Layers) -> bool:
    """Return whether two networks differ by rounding only."""
    return all(np.allclose(a, b, atol=2e-4) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize("spec", SPECS)
def test_the_actor_is_fitted_as_by_torch(spec: ActionSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """With label smoothing; losses, accuracy and weights differ by rounding."""
    (*_, ours), reports = cloned(spec)
    by_torch(monkeypatch)
    (*_, theirs), expected = cloned(spec)
    assert close(theirs.layers, ours.layers)
    assert theirs.log_std == pytest.approx(ours.log_std, abs=2e-4)
    assert theirs.loss_sum == pytest.approx(ours.loss_sum, rel=1e-3)
    assert theirs.correct == pytest.approx(ours.correct, abs=2, nan_ok=True)
    for there, here in zip(expected, reports, strict=True):
        assert there == pytest.approx(here, rel=1e-2, abs=1e-3)
    assert reports[-1]["train_loss"] < reports[0]["train_loss"]


def test_the_critic_is_fitted_as_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses and weights differ by rounding, and fall."""
    ours = fitted()
    by_torch(monkeypatch)
    theirs = fitted()
    assert close(theirs[-1].layers, ours[-1].layers)
    assert [each.loss for each in theirs] == pytest.approx([each.loss for each in ours], rel=1e-3)
    assert ours[-1].loss < ours[0].loss


@pytest.mark.parametrize("spec", SPECS)
def test_a_fit_that_is_continued_has_the_same_bits(spec: ActionSpec) -> None:
    """From the state of an epoch on, with Adam's state; without it other ones."""
    states, _ = cloned(spec)
    (*_, last), _ = cloned(spec, states[1])
    assert all(
        np.array_equal(a, b)
        for x, y in zip(states[-1].layers, last.layers, strict=True)
        for a, b in zip(x, y, strict=True)
    )
    (*_, other), _ = cloned(spec, evolve(states[1], adam_state={}))
    assert not np.array_equal(states[-1].layers[0][0], other.layers[0][0])
    values = fitted()
    (*_, value) = fitted(values[0])
    assert np.array_equal(values[-1].layers[0][0], value.layers[0][0])


@pytest.mark.parametrize("spec", SPECS)
def test_the_best_epoch_is_kept_and_patience_ends_the_fit(spec: ActionSpec) -> None:
    """A learning rate that is far too high makes later epochs worse."""
    wild = evolve(SPEC, learning_rate=5.0, update_epochs=30, patience=3)
    states, reports = cloned(spec, options=wild)
    scores = [report["heldout_nll"] for report in reports]
    best = int(np.argmin(scores))
    assert states[-1].best[0] == scores[best]
    assert len(states) == best + 1 + wild.patience < wild.update_epochs
    assert np.array_equal(states[best].layers[0][0], states[-1].best_layers[0][0])


def test_heldout_scores_are_those_of_a_count() -> None:
    """Likelihood, accuracy and recalls of an actor that always prefers its second option."""
    spec = SPECS[0]
    heldout = samples(spec, 500, 4)
    actor = ((np.zeros((FEATURES, 4), np.float32), np.array([0, 3, 1, 0], np.float32)),)
    nll, accuracy, recalls = heldout_scores(actor, np.zeros(0, np.float32), heldout, spec)
    z = np.where(heldout.action_mask, [0.0, 3.0, 1.0, 0.0], -np.inf)
    p, labels = np.exp(z) / np.exp(z).sum(1, keepdims=True), heldout.labels[:, 0]
    assert nll == pytest.approx(-np.log(p[np.arange(500), labels]).mean())
    right = z.argmax(1) == labels
    assert accuracy == pytest.approx(right.mean())
    expected = [right[labels == option].mean() if (labels == option).any() else np.nan for option in range(4)]
    assert expected == pytest.approx(recalls.tolist(), nan_ok=True)


def test_a_box_has_a_likelihood_and_no_accuracy() -> None:
    """The density of a Gaussian with the actor's σ."""
    spec = SPECS[1]
    heldout = samples(spec, 50, 5)
    actor = ((np.zeros((FEATURES, 2), np.float32), np.zeros(2, np.float32)),)
    log_std = np.array([0.0, 0.5], np.float32)
    nll, accuracy, recalls = heldout_scores(actor, log_std, heldout, spec)
    density = torch.distributions.Normal(0, torch.from_numpy(np.exp(log_std)))
    assert nll == pytest.approx(-float(density.log_prob(torch.from_numpy(heldout.labels)).sum(1).mean()), rel=1e-5)
    assert np.isnan(accuracy)
    assert not recalls.size
