"""How often an interval of `townlet compare` holds a recipe's IQM: `python tests/benchmarks/replication_intervals.py`.

A recipe's runs differ by an effect as large as the standard deviation of an episode, normal or exponential. Whole runs
are drawn again, as `townlet compare` does from five runs on.
"""

import argparse
import sys

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from townlet.confidence.bootstrap import interquartile_mean

EPISODES = 32
MANY = 4_000_000
"""Episodes, each of a run of its own, whose interquartile mean is taken for the truth."""


def effects(source: np.random.Generator, shape: str, runs: int) -> NDArray[np.float64]:
    """Return what each run adds to its episodes [R]; variance 1."""
    return source.standard_normal(runs) if shape == "normal" else source.standard_exponential(runs)


def truth(shape: str) -> float:
    """Return the interquartile mean of a recipe's episodes."""
    source = np.random.default_rng(0)
    values = np.sort(effects(source, shape, MANY) + source.standard_normal(MANY))
    return float(values[MANY // 4 : 3 * MANY // 4].mean())


def main() -> None:
    """Print the table of docs/howto/replicate.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", type=int, default=1000, help="recipes that are simulated, by row")
    asked = parser.parse_args()
    sys.stdout.write("| effects | runs | intervals that hold the truth | exact 95 % |\n|---|---|---|---|\n")
    for shape in ("normal", "exponential"):
        expected = truth(shape)
        for runs in (5, 10, 20):
            source, held = np.random.default_rng(1), 0
            for recipe in range(asked.recipes):
                own = effects(source, shape, runs)
                found = interquartile_mean(
                    [effect + source.standard_normal(EPISODES) for effect in own], 0.05, f"{shape} {runs} {recipe}"
                )
                held += found.low <= expected <= found.high
            interval = binomtest(held, asked.recipes).proportion_ci(0.95, method="exact")
            share = f"{held / asked.recipes:.3f} | {interval.low:.3f} … {interval.high:.3f}"
            sys.stdout.write(f"| {shape} | {runs} | {share} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
