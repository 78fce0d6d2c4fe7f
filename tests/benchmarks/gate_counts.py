"""How often tests of counts err where events come in clusters: ``python tests/benchmarks/gate_counts.py``.

Events of a candidate and of a baseline over episodes of 8 agents, at the looks and with the error of `gate_error.py`.
The conditional test of their rates, as it is and with counts that are divided by their dispersion, beside the bounds of
a mean.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from attrs import frozen
from gate_error import LOOKS, SPENDING, VISITS, Found, errors_of
from gate_pairs import AGENTS, LETHAL
from numpy.typing import NDArray

from townlet.confidence.counts import EventCounts, event_counts, rate_difference_bounds, rate_ratio_bounds
from townlet.confidence.skewness import wider_bounds
from townlet.confidence.spending import nominal_levels, spent_at_looks
from townlet.machine.guards.baseline_margin import RULE

Counts = NDArray[np.int64]
Size = tuple[int, int]
Draw = Callable[[np.random.Generator, Size, float], Counts]
TOLERANCE = 0.25
"""What `not_worse_than` allows, as a share of the baseline's true rate."""
WIDE = 0.1
"""The same in events of an episode, for events so rare that no share of them can be shown."""


@frozen(kw_only=True)
class Law:
    """A law of the events of both sides."""

    mean: float
    """Events of an episode of the baseline."""
    own: Draw
    """Returns the candidate's events [V, N], at a ratio of rates."""
    other: Draw
    """Returns the baseline's; the ratio is 1."""
    unlike: bool = False
    """Whether episodes differ in how dangerous they are, for both sides together."""

    def draw(self, visits: int, ratio: float, seed: int) -> tuple[Counts, Counts]:
        """Return the events [V, N] of both sides."""
        source, size = np.random.default_rng(seed), (visits, LOOKS[-1])
        if not self.unlike:
            return self.own(source, size, ratio), self.other(source, size, 1.0)
        danger = source.gamma(0.5, 2.0, size)
        return source.poisson(self.mean * ratio * danger), source.poisson(self.mean * danger)


def single(mean: float) -> Draw:
    """Return events that occur one by one."""
    return lambda source, size, ratio: source.poisson(mean * ratio, size)


def in_groups(mean: float, largest: int) -> Draw:
    """Return events that occur in groups of 1 to `largest`, each size as likely as the others."""

    def draw(source: np.random.Generator, size: Size, ratio: float) -> Counts:
        groups = source.poisson(mean * ratio / ((1 + largest) / 2) / largest, (largest, *size))
        return np.tensordot(np.arange(1, largest + 1), groups, axes=1)

    return draw


def wipe_outs(one_of: int) -> Draw:
    """Return the deaths of worlds in which all die or none."""
    return lambda source, size, ratio: AGENTS * (source.random(size) < ratio / one_of)


def beside_wipe_outs(mean: float, one_of: int) -> Draw:
    """Return single deaths, and now and then all."""

    def draw(source: np.random.Generator, size: Size, ratio: float) -> Counts:
        return np.minimum(AGENTS, single(mean)(source, size, ratio) + wipe_outs(one_of)(source, size, ratio))

    return draw


def both(mean: float, draw: Draw, *, unlike: bool = False) -> Law:
    """Return a law that is the same for both sides."""
    return Law(mean=mean, own=draw, other=draw, unlike=unlike)


RARE = AGENTS / LETHAL
LAWS: Mapping[str, Law] = {
    "one by one, 0.02 an episode": both(0.02, single(0.02)),
    "one by one, 0.2 an episode": both(0.2, single(0.2)),
    "one by one, 2 an episode": both(2.0, single(2.0)),
    "one by one, unlike episodes, 0.2": both(0.2, single(0.2), unlike=True),
    "one by one, unlike episodes, 2": both(2.0, single(2.0), unlike=True),
    "groups of 1 to 3, 0.5 an episode": both(0.5, in_groups(0.5, 3)),
    "groups of 1 to 8, 0.5 an episode": both(0.5, in_groups(0.5, 8)),
    "wipe-outs, 1 in 10": both(AGENTS / 10, wipe_outs(10)),
    "wipe-outs, 1 in 40": both(RARE, wipe_outs(LETHAL)),
    "single and wipe-outs, 1 in 40": both(2 * RARE, beside_wipe_outs(RARE, LETHAL)),
    "candidate wipes out, baseline singly": Law(mean=RARE, own=wipe_outs(LETHAL), other=single(RARE)),
    "baseline wipes out, candidate singly": Law(mean=RARE, own=single(RARE), other=wipe_outs(LETHAL)),
}
POWERED = (
    ("one by one, 0.02 an episode", 1.0),
    ("one by one, 0.02 an episode", 0.0),
    ("one by one, 0.2 an episode", 0.25),
    ("one by one, 2 an episode", 0.8),
    ("one by one, unlike episodes, 2", 0.8),
    ("wipe-outs, 1 in 10", 0.1),
    ("single and wipe-outs, 1 in 40", 0.25),
)
"""Laws and ratios of rates at which the true answer is yes."""


@frozen(kw_only=True)
class Question:
    """A guard on events, where fewer are better."""

    name: str
    """As the table names it."""
    relation: str
    """``better``: the ratio is below 1; ``relative`` and ``absolute``: it is at most 1 + the tolerance."""
    mean: float
    """Events of an episode of the baseline, truly."""
    tolerance: float = TOLERANCE
    """What is allowed, as a share of that."""

    @property
    def ratio(self) -> float:
        """The ratio of rates from which the true answer is no."""
        return 1.0 if self.relation == "better" else 1 + self.tolerance

    @property
    def allowed(self) -> float:
        """The difference of events of an episode that is allowed."""
        return self.tolerance * self.mean


def questions(name: str) -> tuple[Question, ...]:
    """Return what is asked about a law."""
    mean = LAWS[name].mean
    wide = Question(name=f"not_worse_than, {WIDE:g}", relation="absolute", mean=mean, tolerance=WIDE / mean)
    return (
        Question(name="better_by 0", relation="better", mean=mean),
        Question(name="not_worse_than, relative", relation="relative", mean=mean),
        Question(name="not_worse_than, absolute", relation="absolute", mean=mean),
        *((wide,) if mean < WIDE else ()),
    )


Bounds = Callable[[Counts, Counts, float, Question], tuple[float, float]]
"""Of a mean or a rate, less what is allowed: from events of both sides, an error and a question."""


def of_rates(counts: EventCounts, alpha: float, asked: Question) -> tuple[float, float]:
    """Return bounds of the ratio or the difference of rates, less what is allowed."""
    if asked.relation == "absolute":
        low, high = rate_difference_bounds(counts, alpha)
        return low - asked.allowed, high - asked.allowed
    low, high = rate_ratio_bounds(counts, alpha)
    return low - asked.ratio, high - asked.ratio


def plain(own: Counts, other: Counts, alpha: float, asked: Question) -> tuple[float, float]:
    """Return the bounds of the conditional test."""
    counts = EventCounts(
        events=int(own.sum()), exposure=len(own), baseline_events=int(other.sum()), baseline_exposure=len(other)
    )
    return of_rates(counts, alpha, asked)


def corrected(own: Counts, other: Counts, alpha: float, asked: Question) -> tuple[float, float]:
    """Return the bounds of the conditional test of events divided by their dispersion."""
    ones = [1.0] * len(own)
    return of_rates(event_counts(own.tolist(), other.tolist(), ones, ones), alpha, asked)


def of_mean(own: Counts, other: Counts, alpha: float, asked: Question) -> tuple[float, float]:
    """Return the bounds of the mean difference, less what is allowed."""
    share = asked.tolerance if asked.relation == "relative" else 0.0
    contrasts = (own - (1 + share) * other).tolist()
    if len(set(contrasts)) == 1 and len(contrasts) < LOOKS[-1]:
        return -np.inf, np.inf
    low, high = wider_bounds(contrasts, alpha)
    allowed = asked.allowed if asked.relation == "absolute" else 0.0
    return low - allowed, high - allowed


TESTS: Mapping[str, Bounds] = {"counts": plain, "counts ÷ dispersion": corrected, "mean": of_mean}


def judged(asked: Question, name: str, test: str, ratio: float, runs: int, seed: int) -> Found:
    """Return in which visits the bounds of a test show what is asked, at the first look that decides."""
    law, alpha = LAWS[name], errors_of(RULE).total
    levels = (nominal_levels if test == "mean" else spent_at_looks)(alpha, LOOKS, SPENDING)
    passed, used = [], 0
    for own, other in zip(*law.draw(runs * VISITS, ratio, seed), strict=True):
        for look, level in zip(LOOKS, levels, strict=True):
            low, high = TESTS[test](own[:look], other[:look], level, asked)
            passes = high < 0 if asked.relation == "better" else high <= 0
            if passes or low > 0:
                break
        passed.append(passes)
        used += look
    return Found(passed=np.array(passed).reshape(-1, VISITS), episodes=used / len(passed))


def errors(name: str, runs: int, seed: int) -> Iterator[str]:
    """Yield a line for each question, asked where the true answer is no, just so."""
    for asked in questions(name):
        cells = [name, asked.name]
        for test in TESTS:
            found = judged(asked, name, test, asked.ratio, runs, seed)
            low, high = found.interval()
            cells.append(f"{found.runs / runs:.4f} ({low:.4f} … {high:.4f})")
        yield "| " + " | ".join(cells) + " |"


def powers(name: str, ratio: float, runs: int, seed: int) -> Iterator[str]:
    """Yield a line for each question, asked where the true answer is yes: visits that pass, mean episodes."""
    for asked in questions(name):
        if ratio < asked.ratio:
            found = [judged(asked, name, test, ratio, runs, seed) for test in TESTS]
            shares = [f"{each.passed.mean():.3f} ({each.episodes:.0f})" for each in found]
            yield "| " + " | ".join([name, f"{ratio:g}", asked.name, *shares]) + " |"


def main() -> None:
    """Print the tables for docs/benchmarks/gate.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=20261126)
    asked = parser.parse_args()
    for first in (["events", "guard"], ["events", "true ratio", "guard"]):
        columns = [*first, *TESTS]
        sys.stdout.write("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|\n")
        found = (
            (line for name in LAWS for line in errors(name, asked.runs, asked.seed))
            if len(first) == 2
            else (line for name, ratio in POWERED for line in powers(name, ratio, asked.runs, asked.seed))
        )
        for line in found:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
        sys.stdout.write("\n")


if __name__ == "__main__":
    main()
