"""What a clone scores on held-out decisions, on actors of one layer whose answers are worked out by hand."""

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from townlet.dto.actions import ActionSpec, BoxHead, DiscreteHead
from townlet.policy.bc.heldout_scores import heldout_r2, worst_recall
from townlet.policy.data.dataset import Samples
from townlet.policy.model.forward import Layers

GEAR = DiscreteHead(name="gear", options=("low", "high"))


def boxes(count: int, *, discrete: tuple[DiscreteHead, ...] = ()) -> ActionSpec:
    """Return a spec of some box heads, behind the discrete ones."""
    return ActionSpec(discrete=discrete, box=tuple(BoxHead(name=f"x{index}") for index in range(count)))


def answers(outputs: NDArray[np.float64]) -> Layers:
    """Return an actor that answers row b of outputs [B, A + D] to the features of sample b."""
    return ((outputs.astype(np.float32), np.zeros(outputs.shape[1], np.float32)),)


def samples(labels: NDArray[np.float64], spec: ActionSpec) -> Samples:
    """Return a sample with a feature of its own for each row of labels [B, C]."""
    rows = len(labels)
    return Samples(
        features=np.eye(rows, dtype=np.float32),
        action_mask=np.ones((rows, spec.logits), np.bool_),
        labels=labels.astype(spec.dtype),
    )


def r2(labels: NDArray[np.float64], means: NDArray[np.float64]) -> float | None:
    """Return R² of means [B, D] for labels [B, D]."""
    spec = boxes(labels.shape[1])
    return heldout_r2(answers(means), samples(labels, spec), spec)


LABELS = np.array([[0.0, 3.0], [1.0, -1.0], [2.0, 1.0], [3.0, 0.0]])


def test_a_clone_that_answers_as_the_teacher_has_one() -> None:
    """Nothing is left unexplained."""
    assert 1.0 == r2(LABELS, LABELS)


def test_a_clone_that_always_answers_the_average_has_zero() -> None:
    """It explains nothing of what the teacher varies."""
    assert r2(LABELS, np.tile(LABELS.mean(0), (4, 1))) == pytest.approx(0.0, abs=1e-6)


def test_a_clone_that_is_worse_than_the_average_is_below_zero() -> None:
    """The first column by hand: residuals 9 + 1 + 1 + 9 over 5, so 1 − 4."""
    assert -3.0 == r2(LABELS[:, :1], LABELS[::-1, :1])


def test_every_column_counts_alike_whatever_its_unit() -> None:
    """One column is predicted, the other by its average; the second varies a thousand times as much."""
    labels = LABELS * [1.0, 1000.0]
    means = np.column_stack([labels[:, 0], np.full(4, labels[:, 1].mean())])
    assert r2(labels, means) == pytest.approx(0.5)


def test_a_column_that_the_teacher_never_changes_is_left_out() -> None:
    """Its R² has no value, whatever the clone answers there; where no other is left, there is none."""
    constant = np.column_stack([LABELS[:, 0], np.full(4, 0.1)])
    assert r2(constant, np.column_stack([LABELS[:, 0], np.full(4, 5.1)])) == pytest.approx(1.0)
    assert r2(constant[:, 1:], LABELS[:, 1:]) is None


def test_discrete_heads_do_not_count() -> None:
    """Their column stands before those of the box heads, and their logits before the means."""
    spec = boxes(2, discrete=(GEAR,))
    labels = np.column_stack([[0, 1, 1, 0], LABELS])
    outputs = np.column_stack([np.full((4, 2), 7.0), LABELS])
    assert 1.0 == heldout_r2(answers(outputs), samples(labels, spec), spec)


def test_without_a_box_head_there_is_none() -> None:
    """A choice is right or wrong; `heldout_accuracy` says how often."""
    spec = ActionSpec(discrete=(GEAR,))
    assert heldout_r2(answers(np.zeros((4, 2))), samples(np.array([[0], [1], [1], [0]]), spec), spec) is None


@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(2, 40),
    columns=st.integers(1, 4),
    scale=st.floats(0.1, 10.0),
    shift=st.floats(-5.0, 5.0),
)
def test_units_do_not_change_it_and_one_is_the_most(
    seed: int, rows: int, columns: int, scale: float, shift: float
) -> None:
    """R² of a · x + b for labels and means alike is R² of x, up to the rounding of float32."""
    rng = np.random.default_rng(seed)
    labels = rng.normal(size=(rows, columns))
    labels[0], labels[1] = 1.0, -1.0  # so that every column varies
    means = labels + rng.normal(size=labels.shape) * 0.5
    plain, scaled = r2(labels, means), r2(scale * labels + shift, scale * means + shift)
    assert plain is not None
    assert plain <= 1.0
    assert scaled == pytest.approx(plain, rel=1e-3, abs=1e-3)


def test_the_least_recall_is_that_of_an_option_the_teacher_often_chooses() -> None:
    """An option that is 1 label in 400 does not count; a box head has no options at all."""
    labels = np.zeros((400, 1), np.int64)
    labels[:100], labels[100] = 1, 2
    spec = ActionSpec.one_of("wait", "walk", "sing")
    assert 0.75 == worst_recall(np.array([0.9, 0.75, 0.0]), labels, spec)
    assert isnan(worst_recall(np.zeros(0), LABELS.astype(np.float32), boxes(2)))
