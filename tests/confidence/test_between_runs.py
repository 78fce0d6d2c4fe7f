"""The spread between runs, and what of it the error within the runs explains."""

import math

import numpy as np
import pytest

from townlet.confidence.between_runs import share_interval, spread
from townlet.rng import seed_sequence


def test_the_interval_counts_runs_and_not_episodes() -> None:
    """Mean ∓ t(97.5 %, n − 1) · sd ÷ √n by hand: five runs of mean 3 and sd √2.5, t = 2.776."""
    found = spread([1.0, 2.0, 3.0, 4.0, 5.0], [0.1] * 5, 0.05)
    half = 2.7764451 * math.sqrt(2.5) / math.sqrt(5)
    assert (5, 3.0) == (found.runs, found.mean)
    assert (pytest.approx(3 - half, abs=1e-6), pytest.approx(3 + half, abs=1e-6)) == (found.low, found.high)
    assert pytest.approx(0.01 / 2.5) == found.noise_share
    assert pytest.approx(math.sqrt(2.49)) == found.retraining_sd


def test_noise_explains_at_most_everything() -> None:
    """Errors larger than the spread leave nothing for training again; runs without any spread have no share."""
    assert (1.0, 0.0) == ((all_noise := spread([1.0, 1.1], [5.0, 5.0], 0.05)).noise_share, all_noise.retraining_sd)
    assert spread([2.0, 2.0], [0.0, 0.0], 0.05).noise_share is None


def test_the_variance_of_retraining_is_found_again() -> None:
    """The mean of 2,000 estimates of σ² (before the cut at 0) is σ², for σ 2 and errors of 1."""
    rng = np.random.default_rng(seed_sequence(3, "between"))
    gains = rng.normal(0, 2, (2_000, 5)) + rng.normal(0, 1, (2_000, 5))
    rows = [spread(list(row), [1.0] * 5, 0.05) for row in gains.tolist()]
    assert pytest.approx(4.0, rel=0.1) == np.mean([row.sd**2 - row.within**2 for row in rows])
    missed = sum(row.low > 0 or row.high < 0 for row in rows) / len(rows)
    assert 0.035 < missed < 0.065  # the true mean is 0


def test_a_share_of_runs_has_an_exact_interval() -> None:
    """Five of five: at least 0.025^(1/5); none without a run."""
    assert (pytest.approx(0.025**0.2), 1.0) == share_interval(5, 5, 0.05)
    assert (0.0, 1.0) == share_interval(0, 0, 0.05)


def test_one_run_has_no_spread() -> None:
    """A single run, and errors of another number, are refused."""
    with pytest.raises(ValueError, match="at least 2 runs, found 1"):
        spread([1.0], [1.0], 0.05)
    with pytest.raises(ValueError, match="expected 2 errors, found 1"):
        spread([1.0, 2.0], [1.0], 0.05)
