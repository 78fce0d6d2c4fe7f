"""How often the gate promotes what is no better: ``python tests/benchmarks/false_promotions.py [SCHEDULE …]``.

Every run is made of the most evaluate visits that the schedule's counters allow. In each visit a fresh candidate plays
the declared looks against the baselines, and the judge's own code answers. A run promotes where every `better_by` guard
of the edge to promote passes in one visit; the other guards of that edge, and a rollback, only take chances away, so
the shares of equal policies are upper bounds. Differences have standard deviation 1 and one of three shapes.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray
from scipy.stats import binomtest

from townlet.dto.evidence import EvidenceTable, PairedMetric
from townlet.dto.guards import ComparisonSpec, Relation, Verdict
from townlet.dto.metric_name import MetricName
from townlet.dto.policy import EvaluationResult
from townlet.dto.schedule import Plan
from townlet.dto.strategies import EvaluateSpec
from townlet.machine.guards.context import GuardContext
from townlet.machine.guards.evaluate import evaluate_guard, is_decided
from townlet.machine.guards.look_errors import evaluate_visits
from townlet.machine.guards.verdicts import names
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.ports import provider

ROOT = Path(__file__).parents[2]
SHIPPED = tuple(ROOT / "schedules" / f"{name}.yaml" for name in ("small_town", "quickstart"))
CANDIDATE, EVIDENCE = "c" * 64, "e" * 64
GAINS = (0.0, 0.2, 0.4)
Noise = Callable[[np.random.Generator, int], NDArray[np.float64]]
NOISES: dict[str, Noise] = {
    "normal": lambda source, size: source.standard_normal(size),
    "heavy (t, 3 df)": lambda source, size: source.standard_t(3, size) / np.sqrt(3.0),
    "skewed up (exponential)": lambda source, size: source.standard_exponential(size) - 1.0,
    "skewed down (exponential)": lambda source, size: 1.0 - source.standard_exponential(size),
}


@frozen(kw_only=True)
class Gate:
    """The questions that a schedule asks before it promotes."""

    plan: Plan
    """The schedule."""
    state: str
    """Where it evaluates."""
    guards: tuple[str, ...]
    """The `better_by` guards that lead to promote."""
    known: GuardContext
    """What the judge knows apart from evidence."""

    @classmethod
    def of(cls, path: Path) -> "Gate":
        """Return the gate of a schedule with one evaluate state."""
        plan = PolicyTrainingOrchestrator(path).plan()
        schedule = plan.schedule
        (state,) = (name for name, spec in plan.options.items() if isinstance(spec, EvaluateSpec))
        promoting = {name for name, spec in schedule.states.items() if spec.strategy == "promote"}
        asked = {n for edge in schedule.states[state].next if edge.to in promoting for w in edge.when for n in names(w)}
        metrics = provider(schedule.environment.id).describe(schedule.environment.scenario).metrics
        result = EvaluationResult(weights=CANDIDATE, measurements=(), evidence=EVIDENCE, looks=1)
        known = GuardContext(
            plan=plan, metrics={spec.name: spec for spec in metrics}, candidate=CANDIDATE, visits={state: 1},
            results={state: result}, accepted=(),
            baseline_digests=dict.fromkeys(schedule.baselines, "b" * 64), table=_no_table,
        )  # fmt: skip
        better = tuple(
            name
            for name, guard in schedule.guards.items()
            if name in asked and isinstance(guard, ComparisonSpec) and guard.relation == Relation.BETTER_BY
        )
        return cls(plan=plan, state=state, guards=better, known=known)

    def promotes(self, gain: float, noise: Noise, source: np.random.Generator) -> bool:
        """Play one visit, look by look, and tell whether every guard passes."""
        evidence = self.plan.schedule.evidence[_evidence(self.plan, self.state)]
        base = {scenario: 10.0 + 2.0 * source.standard_normal(evidence.episodes[-1]) for scenario in self._rows()}
        mine = {row: values + gain + noise(source, len(values)) for row, values in base.items()}
        for look, episodes in enumerate(evidence.episodes, start=1):
            rows = tuple(
                PairedMetric(
                    metric=row,
                    values={"candidate": tuple(mine[row][:episodes].tolist())}
                    | dict.fromkeys(self.plan.schedule.baselines, tuple(base[row][:episodes].tolist())),
                )
                for row in base
            )
            table = EvidenceTable(
                evidence=_evidence(self.plan, self.state), candidate=CANDIDATE, baselines={}, seed=0,
                looks=evidence.episodes[:look], metrics=rows,
            )  # fmt: skip
            known = evolve(self.known, table=lambda _, found=table: found)
            if is_decided(table, self.state, known):
                break
        asked = self.plan.schedule.guards
        return all(evaluate_guard(name, asked[name], known).verdict is Verdict.PASS for name in self.guards)

    def _rows(self) -> tuple[str, ...]:
        """Return the rows of evidence that the guards ask for: a suite's scenarios are independent of each other."""
        guards = (self.plan.schedule.guards[name] for name in self.guards)
        metrics = (MetricName.parse(guard.metric) for guard in guards if isinstance(guard, ComparisonSpec))
        return tuple(dict.fromkeys(metric.row for metric in metrics if metric))


def _evidence(plan: Plan, state: str) -> str:
    options = plan.options[state]
    assert isinstance(options, EvaluateSpec)
    return options.evidence


def _no_table(digest: str) -> EvidenceTable:
    raise KeyError(digest)


def row(gate: Gate, shape: str, gain: float, runs: int, seed: int) -> str:
    """Return one line of the table: promotions per visit and per run, with the exact 95 % interval of the latter."""
    source, visits = np.random.default_rng(seed), evaluate_visits(gate.plan)
    passed = np.array([[gate.promotes(gain, NOISES[shape], source) for _ in range(visits)] for _ in range(runs)])
    promoted = int(passed.any(axis=1).sum())
    interval = binomtest(promoted, runs).proportion_ci(0.95, method="exact")
    looks = gate.plan.schedule.evidence[_evidence(gate.plan, gate.state)].episodes
    cells = (
        gate.plan.schedule.name, f"{visits} × {list(looks)}", shape, f"{gain:g}", f"{passed.mean():.4f}",
        f"{promoted} of {runs}", f"{promoted / runs:.4f}", f"{interval.low:.4f} … {interval.high:.4f}",
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table for docs/LOG.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("schedules", nargs="*", type=Path, default=list(SHIPPED))
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=20261122)
    asked = parser.parse_args()
    sys.stdout.write(
        "| schedule | visits × looks | differences | true gain (sd) | promoted per visit | runs promoted | share | "
        "exact 95 % |\n|---|---|---|---|---|---|---|---|\n"
    )
    for path in asked.schedules:
        gate = Gate.of(path)
        for shape in NOISES:
            for gain in GAINS if shape == "normal" else GAINS[:1]:
                sys.stdout.write(row(gate, shape, gain, asked.runs, asked.seed) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
