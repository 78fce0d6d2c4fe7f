"""Group-sequential boundaries: how a one-sided error is divided over looks that were declared beforehand.

K. K. G. Lan and D. L. DeMets (1983), "Discrete sequential boundaries for clinical trials", Biometrika 70; P. Armitage,
C. K. McPherson and B. C. Rowe (1969), "Repeated significance tests on accumulating data", Journal of the Royal
Statistical Society A 132; C. Jennison and B. W. Turnbull (2000), "Group Sequential Methods", chapter 19 (the grid).

Under H₀ the statistics Z₁ … Z_K of the looks are normal with variance 1 and Cov(Zⱼ, Zₖ) = √(nⱼ ÷ nₖ) for j ≤ k. The
boundaries serve t statistics by their significance levels: 1 − Φ(zₖ) is the α of Student's t at look k.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

__all__ = [
    "Spending",
    "crossing_probabilities",
    "looks_are_valid",
    "nominal_levels",
    "spent_at_looks",
    "spent_error",
]

Spending = Literal["obrien_fleming", "pocock", "bonferroni"]
"""How early the error is spent: hardly before the last look, evenly, or in equal parts that share nothing."""

_Array = NDArray[np.float64]
_GRID = 32
"""Grid points per unit are 1/3 of this near 0 (Jennison and Turnbull's r)."""
_FARTHEST = 37.0
"""Beyond this the normal's tail is below the smallest floating-point number."""


def spent_error(alpha: float, fraction: float, spending: Spending) -> float:
    """Return the error that may be spent up to a fraction t of the episodes; `alpha` at t = 1.

    O'Brien-Fleming type: 2 − 2Φ(z(1 − α/2) ÷ √t). Pocock type: α·ln(1 + (e − 1)t). Bonferroni, where each of K looks
    gets the same, has no such function of t: αt, which is that for looks at equal distances.
    """
    _check_alpha(alpha)
    if not 0 < fraction <= 1:
        raise ValueError(f"expected a fraction of the episodes above 0 and at most 1, found {fraction}")
    if spending == "obrien_fleming":
        return 2 * float(ndtr(ndtri(alpha / 2) / math.sqrt(fraction)))
    return alpha * (math.log1p((math.e - 1) * fraction) if spending == "pocock" else fraction)


def spent_at_looks(alpha: float, looks: Sequence[int], spending: Spending) -> tuple[float, ...]:
    """Return the error that is spent at each look; together they are `alpha`.

    Tests at these levels keep `alpha` by the union bound, whatever the statistics of the looks have in common: exact
    tests of counts and shares use them. Bonferroni: α ÷ K each.
    """
    _check_looks(looks)
    if spending == "bonferroni":
        _check_alpha(alpha)
        return (alpha / len(looks),) * len(looks)
    spent = [0.0, *(spent_error(alpha, look / looks[-1], spending) for look in looks)]
    return tuple(later - earlier for earlier, later in pairwise(spent))


def nominal_levels(alpha: float, looks: Sequence[int], spending: Spending) -> tuple[float, ...]:
    """Return the one-sided significance level of the test at each look, episodes at each in `looks`.

    The levels share what the looks have in common: together they are more than `alpha`, but the chance that any look
    passes under H₀ is `alpha`, up to an error of integration of about 1e-8. Bonferroni: α ÷ K each.
    ValueError for looks that do not increase, or an `alpha` outside (0, ½].
    """
    return _nominal_levels(alpha, tuple(looks), spending)


@lru_cache(maxsize=256)
def _nominal_levels(alpha: float, looks: tuple[int, ...], spending: Spending) -> tuple[float, ...]:
    shares = spent_at_looks(alpha, looks, spending)
    if spending == "bonferroni":
        return shares
    levels, state = [], None
    for look, share in zip(looks, shares, strict=True):
        boundary = _boundary(state, look, share)
        levels.append(float(ndtr(-boundary)))
        state = _Continuing.after(state, look, boundary)
    return tuple(levels)


def crossing_probabilities(looks: Sequence[int], levels: Sequence[float], drift: float = 0.0) -> tuple[float, ...]:
    """Return the chance that each look is the first whose test passes, where look k tests at the k-th level.

    `drift` is the true difference in standard deviations: Zₖ has mean drift·√nₖ. At 0 the sum is the error. A look
    with level 0 never passes, one with level 1 always does.
    """
    _check_looks(looks)
    state, chances = None, []
    for look, level in zip(looks, levels, strict=True):
        boundary = -float(ndtri(level))
        chances.append(_crossing(state, look, boundary, drift))
        state = _Continuing.after(state, look, boundary, drift)
    return tuple(chances)


def looks_are_valid(looks: Sequence[int]) -> bool:
    """Tell whether looks can be declared: at least one, of at least 1 episode, each later than the one before."""
    return bool(looks) and looks[0] > 0 and all(earlier < later for earlier, later in pairwise(looks))


@frozen
class _Continuing:
    """The density of a look's Z over all ways in which no look has passed yet, as Simpson's rule on a grid."""

    look: int
    """Episodes at the look."""
    z: _Array
    """Grid [G] up to the boundary."""
    mass: _Array
    """Weight × density [G]."""

    @classmethod
    def after(cls, state: "_Continuing | None", look: int, boundary: float, drift: float = 0.0) -> "_Continuing":
        """Return the state after one more look: f(z) = ∫ f(u)·√(n ÷ Δ)·φ((z√n − u√m − drift·Δ) ÷ √Δ) du."""
        z, weights = _grid(drift * math.sqrt(look), boundary)
        if state is None:
            return cls(look, z, weights * _density(z - drift * math.sqrt(look)))
        step = look - state.look
        moved = (z[:, None] * math.sqrt(look) - state.z * math.sqrt(state.look) - drift * step) / math.sqrt(step)
        return cls(look, z, weights * math.sqrt(look / step) * (_density(moved) @ state.mass))


def _crossing(state: _Continuing | None, look: int, boundary: float, drift: float = 0.0) -> float:
    """Return the chance that no look before has passed and this one's Z is at the boundary or above."""
    if state is None:
        return float(ndtr(drift * math.sqrt(look) - boundary))
    step = look - state.look
    needed = (boundary * math.sqrt(look) - state.z * math.sqrt(state.look) - drift * step) / math.sqrt(step)
    return float(ndtr(-needed) @ state.mass)


def _boundary(state: _Continuing | None, look: int, share: float) -> float:
    """Return the boundary that is crossed with chance `share`, by bisection: crossing is monotone in the boundary."""
    if state is None:
        return -float(ndtri(share))
    low, high = -_FARTHEST, _FARTHEST
    while (middle := (low + high) / 2) not in {low, high}:
        low, high = (middle, high) if _crossing(state, look, middle) > share else (low, middle)
    return high


def _grid(centre: float, end: float) -> tuple[_Array, _Array]:
    """Return grid and weights [G] of Simpson's rule on (−∞, end): dense near the centre, logarithmic in the tails."""
    r = _GRID
    tail = 3 + 4 * np.log(r / np.arange(1, r))
    knots = centre + np.concatenate((-tail, np.linspace(-3, 3, 4 * r + 1), tail[::-1]))
    knots = np.append(knots[knots < end], max(min(end, knots[-1]), knots[0]))
    widths = np.diff(knots)
    z = np.empty(2 * len(knots) - 1)
    z[::2], z[1::2] = knots, (knots[:-1] + knots[1:]) / 2
    weights = np.zeros_like(z)
    weights[:-2:2] += widths / 6
    weights[1::2] += widths * 2 / 3
    weights[2::2] += widths / 6
    return z, weights


def _density(z: _Array) -> _Array:
    """Return the normal density φ(z)."""
    return np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


def _check_looks(looks: Sequence[int]) -> None:
    if not looks_are_valid(looks):
        raise ValueError(f"expected at least one look, each with more episodes than the one before, found {looks}")


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha <= 0.5:
        raise ValueError(f"expected alpha above 0 and at most 0.5, found {alpha}")
