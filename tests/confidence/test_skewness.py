"""Hall's transformation removes the skewness of t, and does nothing where there is none."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as some
from scipy import stats

from townlet.confidence.skewness import (
    corrected_statistic,
    skewness,
    skewness_corrected_bounds,
    statistic_at,
    student_p_value,
    unpaired_skewness_corrected_bounds,
    wider_bounds,
    wider_p_value,
)
from townlet.estimate import bounds, unpaired_bounds

LEVELS = some.sampled_from([0.05, 0.0083, 0.001])
SKEWNESS = some.floats(-0.999, 0.999)
"""Skewness of a mean: that of a sample of n is at most (n − 2) ÷ √(n − 1), and r is that ÷ √n."""
STATISTICS = some.floats(-20, 20)
SAMPLES = some.lists(some.floats(-1e3, 1e3), min_size=2, max_size=40)


@given(STATISTICS, some.floats(1e-3, 10), SKEWNESS)
def test_the_transformation_is_monotone(t: float, step: float, r: float) -> None:
    """A larger t is never evidence for less."""
    assert corrected_statistic(t, r) <= corrected_statistic(t + step, r) + 1e-9


@given(STATISTICS, some.floats(1e-3, 10), SKEWNESS)
def test_the_inverse_is_strictly_monotone(level: float, step: float, r: float) -> None:
    """Of two levels the larger needs the larger statistic, so that more confidence never narrows a bound."""
    assert statistic_at(level, r) < statistic_at(level + step, r)


@given(STATISTICS, SKEWNESS)
def test_the_inverse_undoes_the_transformation(level: float, r: float) -> None:
    """The closed form is the root of the cubic."""
    assert corrected_statistic(statistic_at(level, r), r) == pytest.approx(level, rel=1e-9, abs=1e-9)


@given(STATISTICS, some.floats(1e-300, 1e-12), some.sampled_from([-1, 1]))
def test_without_skewness_nothing_changes(t: float, r: float, sign: int) -> None:
    """For r → 0 the transformation and its inverse go to the identity, without a jump and without a division by r."""
    assert corrected_statistic(t, 0.0) == t == statistic_at(t, 0.0)
    assert corrected_statistic(t, sign * r) == pytest.approx(t, rel=1e-9, abs=1e-9)
    assert statistic_at(t, sign * r) == pytest.approx(t, rel=1e-9, abs=1e-9)


@given(some.lists(some.floats(0, 1e3), min_size=1, max_size=20), some.floats(-1e3, 1e3), LEVELS)
def test_symmetric_differences_have_student_s_bounds(half: list[float], centre: float, alpha: float) -> None:
    """A sample that is its own mirror image has skewness 0, and then only t is left."""
    differences = [centre + x for x in half] + [centre - x for x in half]
    assume(max(half) > 1e-3)  # else the rounding of centre ± x is all the spread there is
    assert skewness_corrected_bounds(differences, alpha) == pytest.approx(bounds(differences, alpha), rel=1e-6)


@given(SAMPLES, LEVELS)
def test_mirrored_differences_have_mirrored_bounds(differences: list[float], alpha: float) -> None:
    """Who swaps candidate and baseline swaps the bounds and their signs."""
    low, high = skewness_corrected_bounds(differences, alpha)
    assert (-high, -low) == skewness_corrected_bounds([-x for x in differences], alpha)


@given(SAMPLES, LEVELS, some.floats(0.1, 10), some.floats(-100, 100))
def test_bounds_move_with_the_unit_and_the_origin(
    differences: list[float], alpha: float, scale: float, shift: float
) -> None:
    """Bounds of ax + b are a times those of x, plus b."""
    moved = skewness_corrected_bounds([scale * x + shift for x in differences], alpha)
    low, high = skewness_corrected_bounds(differences, alpha)
    assert moved == pytest.approx((scale * low + shift, scale * high + shift), rel=1e-6, abs=1e-6)


@given(SAMPLES, LEVELS)
def test_bounds_enclose_the_mean(differences: list[float], alpha: float) -> None:
    """However skewed the differences are, their mean lies between its bounds."""
    low, high = skewness_corrected_bounds(differences, alpha)
    mean = math.fsum(differences) / len(differences)
    assert low - 1e-9 <= mean <= high + 1e-9


@given(some.lists(some.floats(-1e3, 1e3), min_size=3, max_size=40))
def test_skewness_is_scipy_s(values: list[float]) -> None:
    """It agrees with scipy and keeps to its limit (n − 2) ÷ √(n − 1)."""
    assume(np.ptp(values) > 1e-3)
    n = len(values)
    assert skewness(values) == pytest.approx(float(stats.skew(values)), rel=1e-6, abs=1e-9)
    assert abs(skewness(values)) <= (n - 2) / math.sqrt(n - 1) + 1e-9


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1.0, 1e150])
def test_skewness_has_no_unit(scale: float) -> None:
    """Cubes of tiny and of huge deviations are not formed."""
    assert skewness([0.0, 0.0, 3.0 * scale]) == pytest.approx(1 / math.sqrt(2))


def test_equal_differences_have_bounds_without_width() -> None:
    """Without variance there is neither skewness nor doubt."""
    assert 0.0 == skewness([2.5] * 20)
    assert (2.5, 2.5) == skewness_corrected_bounds([2.5] * 20, 0.01)


def test_a_rare_large_loss_moves_the_lower_bound_away() -> None:
    """31 gains of 1 and a loss of 5: t sees a mean well above 0, and forgets how little it knows of losses."""
    differences = [1.0] * 31 + [-5.0]
    low, high = bounds(differences, 0.01)
    corrected = skewness_corrected_bounds(differences, 0.01)
    assert low > 0 > corrected[0]
    assert high > corrected[1]


@given(SAMPLES, LEVELS)
def test_the_wider_bounds_are_never_inside_student_s(differences: list[float], alpha: float) -> None:
    """Each side is Student's or the corrected one, whichever is farther out."""
    student, corrected = bounds(differences, alpha), skewness_corrected_bounds(differences, alpha)
    low, high = wider_bounds(differences, alpha)
    assert low in {student[0], corrected[0]}
    assert high in {student[1], corrected[1]}
    assert low <= min(student[0], corrected[0]) <= max(student[1], corrected[1]) <= high


@given(some.lists(some.integers(-50, 50), min_size=3, max_size=40), some.integers(-60, 60), some.floats(1e-4, 0.5))
def test_the_wider_bound_passes_where_its_p_value_does(differences: list[int], limit: int, alpha: float) -> None:
    """Bound and p-value are two views of one test."""
    values = [float(x) for x in differences]
    p, (low, _) = wider_p_value(values, limit), wider_bounds(values, alpha)
    if not math.isclose(p, alpha, rel_tol=1e-6) and len(set(values)) > 1:
        assert (p < alpha) == (low > limit)


@given(some.lists(some.floats(-1e3, 1e3), min_size=3, max_size=40), some.floats(-1e3, 1e3))
def test_student_s_p_value_is_scipy_s(differences: list[float], limit: float) -> None:
    """The one-sided test of one sample."""
    assume(np.ptp(differences) > 1e-3)
    expected = stats.ttest_1samp(differences, limit, alternative="greater").pvalue
    assert student_p_value(differences, limit) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_heavy_tails_without_skewness_need_student_s_bound_too() -> None:
    """Of 8,000 samples of 96 from t with 3 degrees of freedom, the correction alone errs in more than 1 of 60."""
    alpha = 1 / 60
    samples = np.random.default_rng(9).standard_t(3, (8000, 96)).tolist()
    corrected = sum(skewness_corrected_bounds(sample, alpha)[0] > 0 for sample in samples)
    wider = sum(wider_bounds(sample, alpha)[0] > 0 for sample in samples)
    assert stats.binomtest(corrected, 8000, alpha, alternative="greater").pvalue < 1e-4
    assert stats.binomtest(wider, 8000, alpha, alternative="greater").pvalue > 1e-3


def test_too_few_differences_and_levels_above_a_half_are_refused() -> None:
    """One difference has no spread, and α is the smaller tail."""
    with pytest.raises(ValueError, match="at least 2 pairs"):
        skewness_corrected_bounds([1.0], 0.05)
    with pytest.raises(ValueError, match="alpha"):
        skewness_corrected_bounds([1.0, 2.0], 0.6)
    with pytest.raises(ValueError, match="at least 2 pairs"):
        unpaired_skewness_corrected_bounds([1.0], [1.0, 2.0], 0.05)


@given(some.lists(some.floats(0, 1e3), min_size=2, max_size=20), some.integers(2, 20), LEVELS)
def test_unpaired_episodes_of_symmetric_spread_have_welch_s_bounds(half: list[float], n: int, alpha: float) -> None:
    """Without skewness on either side the two-sample bounds are Welch's."""
    assume(max(half) > 1e-3)
    values, others = [*half, *(-x for x in half)], [7.0, *(x * 0.5 for x in range(-n, n + 1)), -7.0]
    corrected = unpaired_skewness_corrected_bounds(values, others, alpha)
    assert corrected == pytest.approx(unpaired_bounds(values, others, alpha), rel=1e-6, abs=1e-6)


@given(SAMPLES, LEVELS)
def test_a_baseline_without_variance_leaves_one_sample(values: list[float], alpha: float) -> None:
    """Against a constant baseline the unpaired bounds are those of the differences."""
    assume(np.ptp(values) > 1e-3)
    alone = skewness_corrected_bounds(values, alpha)
    assert unpaired_skewness_corrected_bounds(values, [0.0] * 30, alpha) == pytest.approx(alone, rel=1e-6, abs=1e-6)


def test_two_equally_skewed_samples_need_no_correction() -> None:
    """The skewness of a difference of means is the difference of their skewness."""
    sample = [0.0, 0.0, 0.0, 1.0, 5.0]
    assert unpaired_skewness_corrected_bounds(sample, sample, 0.05) == pytest.approx(
        unpaired_bounds(sample, sample, 0.05)
    )


def test_bounds_of_skewed_means_err_less_often_than_student_s() -> None:
    """Of 4,000 samples of 32 that are skewed down, t's lower bound at 1 % is too high in more than twice as many."""
    samples = 1.0 - np.random.default_rng(3).standard_exponential((4000, 32))
    student = sum(bounds(sample, 0.01)[0] > 0 for sample in samples.tolist())
    corrected = sum(skewness_corrected_bounds(sample, 0.01)[0] > 0 for sample in samples.tolist())
    assert corrected < student / 2
    assert stats.binomtest(student, 4000, 0.01, alternative="greater").pvalue < 1e-6
