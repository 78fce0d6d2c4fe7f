"""What a guard on the share of bad episodes adds to one on a mean: ``python tests/benchmarks/gate_tails.py``.

A candidate gains 1 in most episodes and loses 1,000 in some. `better` asks whether its mean is above the baseline's,
`tail` whether at most a share of its episodes is worse than the baseline's by more than 1; both have the error and the
looks of `gate_error.py`, and a visit promotes where both pass.
"""

import argparse
import sys
from fractions import Fraction

import numpy as np
from gate_error import LOOKS, SPENDING, VISITS, Found, Question, errors_of, guarded, judged
from gate_pairs import Array, Shape, Size, beside
from numpy.typing import NDArray

from townlet.confidence.spending import spent_at_looks
from townlet.confidence.tails import episodes_worse, excluded_shares, least_episodes, share_bounds_at_looks
from townlet.machine.guards.baseline_margin import RULE

LOST, DISTANCE = 1000.0, 1.0
TRUTHS = (Fraction(0), Fraction(1, 1000), Fraction(1, 100), Fraction(1, 40), Fraction(1, 20), Fraction(1, 10))
LIMITS = (0.05, 0.10)
"""The largest shares of bad episodes that are asked for."""


def losing(share: float) -> Shape:
    """Return pairs of a candidate that loses much in this share of its episodes."""

    def noise(source: np.random.Generator, size: Size) -> Array:
        return np.where(source.random(size) < share, -LOST, 1.0) + 0.25 * source.standard_normal(size)

    return Shape(draw=beside(noise))


def tail_passes(own: Array, other: Array, at_most: float) -> NDArray[np.bool_]:
    """Return in which visits [V] the share of bad episodes is shown to be at most this, at the first look that says."""
    alpha = errors_of(RULE).total

    def passes(values: list[float], baselines: list[float]) -> bool:
        bad = episodes_worse(values, baselines, DISTANCE, 1.0)
        looks = share_bounds_at_looks(bad, LOOKS, alpha, SPENDING)
        return next((look.high <= at_most for look in looks if look.high <= at_most or look.low > at_most), False)

    return np.array([passes(*row) for row in zip(own.tolist(), other.tolist(), strict=True)])


def line(truth: Fraction, runs: int, seed: int) -> str:
    """Return what passes at a true share of catastrophes: each guard alone, and both."""
    shape = losing(float(truth))
    asked = Question(name="better", guard=guarded(shape, "better_by", absolute=0.0))
    better = judged(asked, shape, RULE, runs, seed)
    tails = [tail_passes(*asked.pairs(shape, runs * VISITS, seed), at_most).reshape(-1, VISITS) for at_most in LIMITS]
    columns = [better.passed, *tails, *(better.passed & tail for tail in tails)]
    cells = [f"1 in {truth.denominator}" if truth else "never", *map(_cell, columns)]
    return "| " + " | ".join(cells) + " |"


def _cell(passed: NDArray[np.bool_]) -> str:
    found = Found(passed=passed, episodes=0.0)
    low, high = found.interval()
    return f"{passed.mean():.3f}; {found.runs / len(passed):.3f} ({low:.3f} … {high:.3f})"


def main() -> None:
    """Print the table for docs/benchmarks/gate.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=20261126)
    asked = parser.parse_args()
    alpha = errors_of(RULE).total
    shares = excluded_shares(LOOKS, alpha, SPENDING)
    last = spent_at_looks(alpha, LOOKS, SPENDING)[-1]
    for look, share in zip(LOOKS, shares, strict=True):
        sys.stdout.write(f"{look} episodes without a bad one exclude shares of {share:.1%} and more.\n")
    for share in (0.01, 0.02, *LIMITS):
        sys.stdout.write(f"{least_episodes(share, last)} episodes without a bad one exclude a share of {share:.0%}.\n")
    tails = [f"tail {at_most:.0%}" for at_most in LIMITS]
    columns = ["loses 1,000", "better", *tails, *(f"better and {tail}" for tail in tails)]
    sys.stdout.write("\n| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|\n")
    for truth in TRUTHS:
        sys.stdout.write(line(truth, asked.runs, asked.seed) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
