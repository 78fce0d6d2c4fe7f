"""How often the gate errs, and what it finds, by shape of the paired episodes.

``OMP_NUM_THREADS=1 python tests/benchmarks/gate_error.py`` prints the tables; ``--rules 3 2`` are the rules beside each
other. A run has three visits, each with a fresh candidate, looks at 32 and 96 pairs and a third of 5 % error, and errs
where one of them passes. The judge's own test answers, `sequential_paired_test`, at the errors that `look_errors` gives
it; only the p-values, on which no verdict rests, stay those of a look alone.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import get_args

import attrs
import numpy as np
from attrs import frozen
from gate_pairs import SHAPES, Pairs, Shape
from numpy.typing import NDArray
from scipy.stats import binomtest

from townlet.confidence.spending import Spending
from townlet.dto.guards import MarginSpec, PairedComparisonSpec, Verdict
from townlet.dto.schedule import EvidenceSpec, Plan
from townlet.machine.guards.baseline_margin import RULE, BaselineMargin
from townlet.machine.guards.look_errors import LookErrors, evaluate_visits, look_errors
from townlet.machine.guards.paired_test import PairedComparison, sequential_paired_test
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator

SCHEDULE = Path(__file__).parents[2] / "schedules" / "quickstart.yaml"
LOOKS, VISITS, CONFIDENCE = (32, 96), 3, 0.95
SPENDING: Spending = "obrien_fleming"
GAINS = (0.2, 0.4, 0.8)
POWERED = ("normal", "heavy (t, 3 df)", "skewed down (exponential)", "skewed up (exponential)", "bounded, both alike",
           "5 % missing, dropped", "5 % missing, worst")  # fmt: skip


class OfOneLook(LookErrors):
    """Errors of looks, with p-values of one look alone: those over all looks take far longer, and decide nothing."""

    def p_value(self, nominal: float, look: int) -> float:
        """Return the p-value as it is."""
        return nominal


@cache
def _plan() -> Plan:
    plan = PolicyTrainingOrchestrator(SCHEDULE).plan()
    assert evaluate_visits(plan) == VISITS
    return plan


def errors_of(rule: int, spending: Spending = SPENDING) -> LookErrors:
    """Return the errors of the looks of one visit of three."""
    plan = _plan()
    evidence = EvidenceSpec(episodes=LOOKS, confidence=CONFIDENCE, spending=spending)
    errors = look_errors(evidence, plan, 1, rule)
    return OfOneLook(**attrs.asdict(errors, recurse=False))


@frozen(kw_only=True)
class Question:
    """A guard, and a truth at which it is asked."""

    name: str
    """As the table names it."""
    guard: PairedComparisonSpec
    """What is asserted."""
    loss: float = 0.0
    """Share of the baseline's mean by which the candidate's is worse."""
    gain: float = 0.0
    """What is added to the candidate, in the better direction."""

    def pairs(self, shape: Shape, visits: int, seed: int) -> Pairs:
        """Return the pairs [V, N] that it is asked of."""
        own, other = shape.draw(np.random.default_rng(seed), (visits, LOOKS[-1]), self.loss)
        return own + shape.sign * self.gain, other


def guarded(shape: Shape, relation: str, **margin: float) -> PairedComparisonSpec:
    """Return a guard against a champion."""
    asked = {relation: MarginSpec(baseline="champion", **margin)}
    return PairedComparisonSpec(metric="evaluate.kpi", evidence="full", missing=shape.missing, **asked)


def at_the_limit(shape: Shape) -> tuple[Question, ...]:
    """Return the questions whose true answer is no, just so: a pass is an error."""
    (_, mean), loss = shape.scales(), shape.tolerance
    exact = {"absolute": {"absolute": loss * mean}, "relative": {"relative": loss, "floor": mean / 10}}
    margins = {name: guarded(shape, "not_worse_than", **margin) for name, margin in exact.items()}
    return (
        Question(name="better_by 0", guard=guarded(shape, "better_by", absolute=0.0)),
        *(Question(name=f"not_worse_than, {name}", guard=guard, loss=loss) for name, guard in margins.items()),
    )


def with_gains(shape: Shape) -> tuple[Question, ...]:
    """Return the questions whose true answer is yes."""
    (sd, _), guard = shape.scales(), guarded(shape, "better_by", absolute=0.0)
    return tuple(Question(name=f"better_by 0, gain {gain} sd", guard=guard, gain=gain * sd) for gain in GAINS)


@frozen(kw_only=True)
class Found:
    """What the judge said of all visits of all runs."""

    passed: NDArray[np.bool_]
    """Which visits [R, V] passed."""
    episodes: float
    """Mean episodes of a visit."""

    @property
    def runs(self) -> int:
        """Runs in which a visit passed."""
        return int(self.passed.any(axis=1).sum())

    def interval(self) -> tuple[float, float]:
        """Return the exact 95 % interval of the share of runs."""
        found = binomtest(self.runs, len(self.passed)).proportion_ci(0.95, method="exact")
        return float(found.low), float(found.high)


def judged(asked: Question, shape: Shape, rule: int, runs: int, seed: int, spending: Spending = SPENDING) -> Found:
    """Return the verdicts on all visits of the runs."""
    margin = BaselineMargin(
        name="kpi", guard=asked.guard, baseline_name="the champion", direction=shape.direction, rule=rule
    )
    errors, passed, used = errors_of(rule, spending), [], 0
    for own, other in zip(*asked.pairs(shape, runs * VISITS, seed), strict=True):
        comparison = PairedComparison(
            margin=margin, candidate=_values(own), baseline=_values(other), looks=LOOKS, errors=errors, seed=0
        )
        report = sequential_paired_test(comparison).report
        passed.append(report.verdict == Verdict.PASS)
        used += LOOKS[report.look - 1]
    return Found(passed=np.array(passed).reshape(-1, VISITS), episodes=used / len(passed))


def _values(row: NDArray[np.float64]) -> tuple[float | None, ...]:
    return tuple(None if math.isnan(value) else value for value in row.tolist())


def lines(name: str, rules: Sequence[int], runs: int, seed: int, spending: Spending, *, powers: bool) -> Iterator[str]:
    """Yield a line for each question to a shape: what each rule said of the same pairs."""
    shape = SHAPES[name]
    for asked in with_gains(shape) if powers else at_the_limit(shape):
        cells = [name, asked.name]
        for rule in rules:
            found = judged(asked, shape, rule, runs, seed, spending)
            low, high = found.interval()
            first = f"{found.passed.mean():.4f}" if powers else f"{found.runs / runs:.4f} ({low:.4f} … {high:.4f})"
            cells += [first, f"{found.episodes:.1f}"]
        yield "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print the tables for docs/benchmarks/gate.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", nargs="+", type=int, default=[RULE, 2])
    parser.add_argument("--spending", default=SPENDING, choices=get_args(Spending), help="of rule 3 and later")
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=20261126)
    asked = parser.parse_args()
    for powers, what in ((False, "runs that pass (exact 95 %)"), (True, "visits that pass")):
        columns = ["pairs", "guard", *(cell for rule in asked.rules for cell in (f"rule {rule}: {what}", "episodes"))]
        sys.stdout.write("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|\n")
        for name in asked.shapes:
            if powers and name not in POWERED:
                continue
            for line in lines(name, asked.rules, asked.runs, asked.seed, asked.spending, powers=powers):
                sys.stdout.write(line + "\n")
                sys.stdout.flush()
        sys.stdout.write("\n")


if __name__ == "__main__":
    main()
