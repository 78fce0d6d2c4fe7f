"""Shares of episodes that went wrong: exact binomial bounds, over looks, and the episodes that they need.

C. J. Clopper and E. S. Pearson (1934), "The use of confidence or fiducial limits illustrated in the case of the
binomial", Biometrika 26. A mean cannot see what did not happen; a share of bad episodes has a bound even where there
was none.
"""

import math
from collections.abc import Sequence

from attrs import frozen
from scipy.special import bdtr, betainccinv, betaincinv

from townlet.confidence.spending import Spending, spent_at_looks
from townlet.estimate import ROUNDING, pair_sizes, undetected_rate

__all__ = [
    "LookShare",
    "episodes_beyond",
    "episodes_worse",
    "excluded_shares",
    "least_episodes",
    "share_bounds",
    "share_bounds_at_looks",
]


@frozen(kw_only=True)
class LookShare:
    """The share of bad episodes at one look."""

    episodes: int
    """Episodes up to the look."""
    bad: int
    """Bad ones among them."""
    level: float
    """Error of each bound at this look."""
    low: float
    """Lower one-sided bound of the share."""
    high: float
    """Upper one-sided bound of the share."""


def share_bounds(bad: float, episodes: float, alpha: float) -> tuple[float, float]:
    """Return the lower and the upper one-sided Clopper-Pearson bound of a share, each at confidence 1 − `alpha`.

    The upper bound p solves P(Bin(n, p) ≤ bad) = α, the lower P(Bin(n, p) ≥ bad) = α; 0 where none is bad, 1 where all
    are. Without episodes the share can be anything. Numbers need not be whole: the beta integral takes any, which is
    how counts that were divided by a dispersion have bounds. ValueError where more are bad than there are.
    """
    if not 0 <= bad <= episodes:
        raise ValueError(f"expected from 0 to {episodes} bad episodes of {episodes}, found {bad}")
    if not 0 <= alpha <= 0.5:
        raise ValueError(f"expected alpha from 0 to 0.5, found {alpha}")
    low = float(betaincinv(bad, episodes - bad + 1, alpha)) if bad else 0.0
    high = 1.0 if bad == episodes else float(betainccinv(bad + 1, episodes - bad, alpha))
    return low, high


def share_bounds_at_looks(
    bad: Sequence[bool], looks: Sequence[int], alpha: float, spending: Spending
) -> tuple[LookShare, ...]:
    """Return the bounds of the share of bad episodes at each look that the episodes reach.

    Each look has the error that is spent at it (`spent_at_looks`), so by the union bound all upper bounds hold with
    chance 1 − `alpha`, exactly, and so do all lower bounds.
    """
    rows = []
    for look, level in zip(looks, spent_at_looks(alpha, looks, spending), strict=True):
        if look > len(bad):
            break
        count = sum(bad[:look])
        low, high = share_bounds(count, look, level)
        rows.append(LookShare(episodes=look, bad=count, level=level, low=low, high=high))
    return tuple(rows)


def excluded_shares(looks: Sequence[int], alpha: float, spending: Spending) -> tuple[float, ...]:
    """Return the share that each look excludes where no episode is bad: 1 − αₖ^(1 ÷ nₖ), αₖ the error spent there."""
    levels = spent_at_looks(alpha, looks, spending)
    return tuple(undetected_rate(look, level) if level > 0 else 1.0 for look, level in zip(looks, levels, strict=True))


def least_episodes(share: float, alpha: float, bad: int = 0) -> int:
    """Return the fewest episodes that exclude a `share` where so many are `bad`: P(Bin(n, share) ≤ bad) ≤ α.

    With no bad one that is ⌈log α ÷ log(1 − share)⌉, about 3 ÷ share for α = 5 %.
    """
    if not 0 < share < 1:
        raise ValueError(f"expected a share above 0 and below 1, found {share}")
    if not 0 < alpha < 1:
        raise ValueError(f"expected alpha above 0 and below 1, found {alpha}")
    if not bad:
        return math.ceil(math.log(alpha) / math.log1p(-share))
    too_few, enough = bad, bad + 1  # where all are bad no share is excluded
    while bdtr(bad, enough, share) > alpha:
        too_few, enough = enough, 2 * enough
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (middle, enough) if bdtr(bad, middle, share) > alpha else (too_few, middle)
    return enough


def episodes_beyond(values: Sequence[float], limit: float, sign: float) -> list[bool]:
    """Return which episodes are worse than `limit`: σxᵢ < σ·limit, `sign` σ +1 where higher is better, else −1.

    A value that is not a number is worse than any limit.
    """
    return [not sign * value >= sign * limit for value in values]


def episodes_worse(values: Sequence[float], baselines: Sequence[float], distance: float, sign: float) -> list[bool]:
    """Return which episodes are worse than the baseline's same episode by more than `distance`: σ(xᵢ − bᵢ) < −d.

    A difference is known to its rounding only (`ROUNDING` · the size of the pair); what may be d is not more than d. A
    difference that is not a number is worse.
    """
    sizes = pair_sizes(values, baselines) if values else []
    pairs = zip(values, baselines, sizes, strict=True)
    return [not sign * (value - baseline) >= -distance - ROUNDING * size for value, baseline, size in pairs]
