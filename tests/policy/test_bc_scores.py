"""What a clone is worth on decisions it was not trained on."""

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from townlet.dto.actions import ActionSpec, BoxHead, DiscreteHead
from townlet.policy.bc.scores import coefficient_of_determination, worst_recall
from townlet.policy.data.dataset import Samples
from townlet.policy.model.inference import Layers

CHOICE = DiscreteHead(name="move", options=("left", "right"))
FORCE, TORQUE = BoxHead(name="force", low=-2.0, high=2.0), BoxHead(name="torque", low=None, high=None)
BOTH = ActionSpec(discrete=(CHOICE,), box=(FORCE, TORQUE))


def seen(labels: NDArray[np.float64], features: NDArray[np.float64]) -> Samples:
    """Return samples of a choice, always the first, and of numbers [B, 2]."""
    rows = np.concatenate((np.zeros((len(labels), 1)), labels), axis=1).astype(np.float32)
    return Samples(features=features.astype(np.float32), action_mask=np.ones((len(labels), 2), np.bool_), labels=rows)


def linear(weight: NDArray[np.float64], bias: NDArray[np.float64]) -> Layers:
    """Return a network of one layer: two logits of nothing, then numbers."""
    return ((np.pad(weight, ((0, 0), (2, 0))).astype(np.float32), np.pad(bias, (2, 0)).astype(np.float32)),)


@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.01, 100))
def test_r2_is_one_where_exact_and_zero_at_the_mean(seed: int, scale: float) -> None:
    """Whatever the unit of the numbers."""
    rng = np.random.default_rng(seed)
    features, weight = rng.standard_normal((50, 3)), scale * rng.standard_normal((3, 2))
    samples = seen(features @ weight, features)
    exact, mean = linear(weight, np.zeros(2)), linear(0 * weight, (features @ weight).mean(0))
    assert 1.0 == pytest.approx(coefficient_of_determination(exact, samples, BOTH), abs=1e-4)
    assert 0.0 == pytest.approx(coefficient_of_determination(mean, samples, BOTH), abs=1e-4)


def test_r2_is_the_mean_over_the_numbers_that_vary() -> None:
    """One is exact; of the other half of the variance is explained; a third, constant, would say nothing."""
    features = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    labels = np.stack((features[:, 0], features.sum(1)), axis=1)
    first_only = linear(np.array([[1.0, 1.0], [0.0, 0.0]]), np.zeros(2))
    assert 0.75 == coefficient_of_determination(first_only, seen(labels, features), BOTH)
    labels[:, 1] = 3.0
    assert 1.0 == coefficient_of_determination(first_only, seen(labels, features), BOTH)


def test_without_numbers_that_vary_there_is_no_r2() -> None:
    """Neither with choices alone, nor with numbers that are always the same."""
    network, features = linear(np.zeros((1, 2)), np.zeros(2)), np.zeros((4, 1))
    assert coefficient_of_determination(network, seen(np.ones((4, 2)), features), BOTH) is None
    choices = Samples(
        features=features.astype(np.float32), action_mask=np.ones((4, 2), np.bool_), labels=np.zeros((4, 1), np.int64)
    )
    assert coefficient_of_determination(network, choices, ActionSpec(discrete=(CHOICE,))) is None


def test_the_worst_recall_is_that_of_an_option_which_is_common() -> None:
    """One that is less than 0.5 % of the labels does not count; without options there is none."""
    labels = np.zeros((1000, 1), np.int64)
    labels[:4] = 1
    recalls = np.array([0.9, 0.0])
    assert 0.9 == worst_recall(recalls, labels, ActionSpec(discrete=(CHOICE,)))
    labels[:6] = 1
    assert 0.0 == worst_recall(recalls, labels, ActionSpec(discrete=(CHOICE,)))
    assert isnan(worst_recall(np.zeros(0), labels, ActionSpec(box=(FORCE,))))
