"""Advantages and returns equal numbers worked out by hand and by direct summation."""

import numpy as np
import pytest

from townlet.policy.advantages import discounted_returns, generalised_advantages


def _column(*values: float) -> np.ndarray:
    return np.array(values, np.float32).reshape(-1, 1, 1)


def _flags(*values: bool) -> np.ndarray:
    return np.array(values, np.bool_).reshape(-1, 1, 1)


def test_an_advantage_sums_discounted_errors_until_the_rollout_ends() -> None:
    """Two decisions by hand: γ = 0.5, λ = 0.5."""
    found = generalised_advantages(
        _column(1, 2),
        _column(3, 4),
        _column(4, 6),
        _flags(False, False),
        _flags(False, False),
        gamma=0.5,
        gae_lambda=0.5,
    )
    delta = [1 + 0.5 * 4 - 3, 2 + 0.5 * 6 - 4]
    assert np.allclose([delta[0] + 0.25 * delta[1], delta[1]], found.ravel())


def test_a_death_has_no_bootstrap() -> None:
    """A life that ended is worth its last reward, and what follows belongs to another life."""
    found = generalised_advantages(
        _column(1, 2),
        _column(3, 4),
        _column(4, 6),
        _flags(True, False),
        _flags(False, False),
        gamma=0.5,
        gae_lambda=0.5,
    )
    assert np.allclose([1 - 3, 2 + 3 - 4], found.ravel())


def test_a_truncation_has_a_bootstrap_and_no_later_advantage() -> None:
    """The value after a truncation counts, the advantage of the next episode does not."""
    found = generalised_advantages(
        _column(1, 2),
        _column(3, 4),
        _column(4, 6),
        _flags(False, False),
        _flags(True, False),
        gamma=0.5,
        gae_lambda=0.5,
    )
    assert np.allclose([1 + 2 - 3, 2 + 3 - 4], found.ravel())


def test_with_lambda_one_advantage_plus_value_is_the_discounted_return() -> None:
    """GAE(1) is the Monte Carlo return plus the bootstrap, minus the value."""
    rng = np.random.default_rng(0)
    r, v, after = (rng.standard_normal((20, 2, 3)).astype(np.float32) for _ in range(3))
    after[:-1] = v[1:]
    none = np.zeros(r.shape, np.bool_)
    found = generalised_advantages(r, v, after, none, none, gamma=0.9, gae_lambda=1.0) + v
    powers = 0.9 ** np.arange(20)
    expected = (powers[:, None, None] * r).sum(0) + 0.9**20 * after[-1]
    assert np.allclose(expected, found[0], atol=1e-4)


def test_arrays_of_unequal_shapes_are_refused() -> None:
    """Axes are checked before any arithmetic."""
    with pytest.raises(ValueError, match=r"expected equal shapes \[T, W, N\]"):
        generalised_advantages(
            _column(1, 2),
            _column(1),
            _column(1, 2),
            _flags(False, False),
            _flags(False, False),
            gamma=0.9,
            gae_lambda=1,
        )


def test_a_return_is_complete_before_a_death_or_with_enough_later_decisions() -> None:
    """γ = 0.5 needs six later decisions; returns before a death are complete; the next life starts anew."""
    r = _column(*([1.0] * 10))
    ended = _flags(*[t == 1 for t in range(10)])
    returns, known = discounted_returns(r, ended, np.zeros_like(ended), gamma=0.5)
    assert [True, True, True, True] + [False] * 6 == known.ravel().tolist()
    assert np.allclose([1.5, 1.0], returns.ravel()[:2])
    assert np.allclose(2 - 0.5**7, returns.ravel()[2])


def test_a_return_does_not_reach_beyond_a_cut() -> None:
    """Episodes of one recording have lengths of their own; who leaves for another reason has no complete return."""
    r = _column(*([1.0] * 10))
    cut, ended = _flags(*[t == 2 for t in range(10)]), _flags(*[t == 4 for t in range(10)])
    returns, known = discounted_returns(r, ended, cut, gamma=0.5)
    assert [False] * 3 + [True, True] + [False] * 5 == known.ravel().tolist()
    assert np.allclose([1.75, 1.5, 1.0, 1.5, 1.0], returns.ravel()[:5])
