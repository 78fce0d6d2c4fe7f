"""How often other bounds and other divisions of the error over looks err: ``python tests/benchmarks/gate_bounds.py``.

A visit takes the declared looks at differences of standard deviation 1 and asks whether their mean is above 0; it ends
at the first look that passes or fails. A run has several visits, each with a fresh candidate, and promotes where one
passes. All rules see the same differences. The error of a run, 5 %, is divided evenly over its visits.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.stats import binomtest

from townlet.confidence.sequential import error_per_visit
from townlet.confidence.skewness import skewness_corrected_p_value, student_p_value, wider_p_value
from townlet.confidence.spending import Spending, nominal_levels

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Array]
CONFIDENCE = 0.95
SPENDINGS: tuple[Spending, ...] = ("bonferroni", "obrien_fleming", "pocock")
BOUNDS: dict[str, Callable[[Sequence[float], float], float]] = {
    "Student": student_p_value,
    "Hall": skewness_corrected_p_value,
    "wider of both": wider_p_value,
}
SHAPES: dict[str, Draw] = {
    "normal": lambda source, size: source.standard_normal(size),
    "heavy (t, 3 df)": lambda source, size: source.standard_t(3, size) / np.sqrt(3.0),
    "skewed down (exponential)": lambda source, size: 1.0 - source.standard_exponential(size),
    "skewed up (exponential)": lambda source, size: source.standard_exponential(size) - 1.0,
    "loses much in 1 of 20": lambda source, size: (0.05 - (source.random(size) < 0.05)) / np.sqrt(0.05 * 0.95),
}
CASES = (*((shape, 0.0) for shape in SHAPES), ("normal", 0.2), ("normal", 0.4), ("skewed down (exponential)", 0.2))


@frozen(kw_only=True)
class Looks:
    """The p-values of all looks of all visits [V, K], for a mean at or below 0 and for one at or above it."""

    above: Array
    """Small where the mean is above 0."""
    below: Array
    """Small where it is below."""


def p_values(draws: Array, looks: Sequence[int], test: Callable[[Sequence[float], float], float]) -> Looks:
    """Return the p-values of draws [V, N]; equal differences decide at the last look only, as in the gate."""

    def of(row: list[float], look: int) -> float:
        return test(row[:look], 0.0) if look == looks[-1] or len(set(row[:look])) > 1 else 1.0

    above, below = (
        np.array([[of(row, look) for look in looks] for row in signed.tolist()]) for signed in (draws, -draws)
    )
    return Looks(above=above, below=below)


def play(found: Looks, levels: Sequence[float], looks: Sequence[int]) -> tuple[NDArray[np.bool_], float]:
    """Return which visits [V] pass, and the mean number of episodes that a visit uses."""
    passes, fails = found.above <= levels, found.below <= levels
    ends = passes | fails
    ends[:, -1] = True
    last = ends.argmax(axis=1)
    return passes[np.arange(len(last)), last], float(np.asarray(looks)[last].mean())


def rows(shape: str, gain: float, draws: Array, looks: Sequence[int], visits: int) -> Iterator[str]:
    """Yield a line for each rule: visits and runs that promote, with an exact interval, and episodes."""
    (alpha,) = error_per_visit(1 - CONFIDENCE, [1 / visits] * visits, 1)
    found = {name: p_values(draws + gain, looks, test) for name, test in BOUNDS.items()}
    for spending in SPENDINGS:
        levels = nominal_levels(alpha, looks, spending)
        for bounds in BOUNDS:
            passed, episodes = play(found[bounds], levels, looks)
            runs = len(passed) // visits
            promoted = int(passed[: runs * visits].reshape(runs, visits).any(axis=1).sum())
            interval = binomtest(promoted, runs).proportion_ci(0.95, method="exact")
            cells = (
                shape, f"{gain:g}", bounds, spending, f"{passed.mean():.4f}", f"{promoted / runs:.4f}",
                f"{interval.low:.4f} … {interval.high:.4f}", f"{episodes:.1f}",
            )  # fmt: skip
            yield "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table for docs/benchmarks/gate.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--looks", nargs="+", type=int, default=[32, 96])
    parser.add_argument("--visits", type=int, default=3, help="visits of a run")
    parser.add_argument("--simulated", type=int, default=20_000, help="visits that are simulated, by row")
    parser.add_argument("--seed", type=int, default=20261126)
    asked = parser.parse_args()
    sys.stdout.write(
        "| differences | true gain (sd) | bounds | spending | visits that promote | runs that promote | exact 95 % | "
        "mean episodes |\n|---|---|---|---|---|---|---|---|\n"
    )
    for shape, gain in CASES:
        draws = SHAPES[shape](np.random.default_rng(asked.seed), (asked.simulated, asked.looks[-1]))
        for line in rows(shape, gain, draws, asked.looks, asked.visits):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
