"""One trial: a schedule is walked with one seed while its ppo visits are looked at, and what it ends with is compared.

The looks are greedy play of fixed episodes, the same for every trial and every script, between two iterations; they
take no part in training, and their seconds are kept apart.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest.mock import patch

from attrs import define, field, frozen

from townlet.dto.codec import structure
from townlet.dto.guards import PairedComparisonSpec, Relation, Verdict
from townlet.dto.journal import Entry, VisitFinished
from townlet.dto.metric_name import MetricName
from townlet.dto.metrics import MetricSpec
from townlet.dto.policy import CaptureResult
from townlet.dto.schedule import ScheduleSpec
from townlet.machine.guards.baseline_margin import BaselineMargin
from townlet.machine.schedule.yaml_source import read
from townlet.policy.evaluation.comparison import NamedPolicy, compare
from townlet.policy.evaluation.episodes import play
from townlet.policy.model.weights import Weights, read_weights
from townlet.policy.ppo import rollout
from townlet.policy.training import ppo_data as gather
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.ports import EnvironmentProvider, Teacher, provider
from townlet.store.blobs import BlobStore

__all__ = ["Looks", "Trial", "means", "run_trial", "unsafe"]

Means = dict[str, float | None]
RETURN = "return_per_agent_day"


@frozen(kw_only=True)
class Looks:
    """How a policy in training is looked at, and how the one it ends with is compared."""

    every: int = 50_000
    """Agent-steps between looks, up to `close`."""
    close: int = 500_000
    """Agent-steps after which looks are four times rarer; the dip is sought before."""
    worlds: int = 16
    """Episodes of a look."""
    days: int = 14
    """Length of an episode of a look."""
    final: int = 50
    """Episodes of the comparison at the end; 0 leaves it out."""
    final_days: int = 14
    """Length of its episodes."""
    seed: int = 20_261_122
    """Keys the episodes of the looks, and others of the comparison."""


@frozen(kw_only=True)
class Trial:
    """What one process runs."""

    schedule: bytes
    """YAML; its seed is the trial's."""
    home: Path
    """A directory of its own, removed afterwards."""
    looks: Looks
    """How it is looked at."""
    guarded: bytes
    """YAML of the schedule whose guards say what is safe."""


def means(environments: EnvironmentProvider, scenario: str, player: Teacher, looks: Looks) -> Means:
    """Return every KPI of a policy over the episodes of a look."""
    played = play(environments, scenario, player, seed=looks.seed, days=looks.days, first=0, count=looks.worlds)
    found: Means = {}
    for index, spec in enumerate(environments.describe(scenario).metrics):
        known = [ratio for ratio in played.ratios(index) if ratio is not None]
        found[spec.name] = sum(known) / len(known) if known else None
    return found


def unsafe(schedule: ScheduleSpec, metrics: tuple[MetricSpec, ...], mine: Means, teacher: Means) -> list[str]:
    """Return what keeps a policy from safe competence: the return below the teacher's, and each guarded KPI worse.

    Means are compared by the schedule's own margins (`not_worse_than` of guards on evidence).
    """
    found = [RETURN] if (mine[RETURN] or 0.0) < (teacher[RETURN] or 0.0) else []
    directions = {spec.name: spec.direction for spec in metrics}
    for name, guard in schedule.guards.items():
        if not isinstance(guard, PairedComparisonSpec) or guard.relation != Relation.NOT_WORSE_THAN:
            continue
        metric = MetricName.parse(guard.metric)
        if metric is None:
            continue
        value, baseline = mine.get(metric.name), teacher.get(metric.name)
        if value is not None and baseline is not None:
            question = BaselineMargin(
                name=name, guard=guard, baseline_name="teacher", direction=directions[metric.name]
            )
            found += [metric.name] if question.compare(value, baseline).verdict is not Verdict.PASS else []
    return found


def _structured(text: bytes) -> ScheduleSpec:
    return structure(read(text).data, ScheduleSpec)


@define
class _Looker:
    """Sees the weights that are about to play each iteration, and those that each visit ends with."""

    looks: Looks
    scenario: str
    guarded: ScheduleSpec
    environments: EnvironmentProvider
    teacher: Means
    checks: list[dict[str, Any]] = field(factory=list)
    agent_steps: int = 0
    round: int = 0
    seconds: float = 0.0
    due: int = 0

    def see(self, weights: Weights) -> None:
        """Look where a look is due."""
        if self.agent_steps >= self.due:
            self.due += self.looks.every * (1 if self.agent_steps < self.looks.close else 4)
            self.look(weights)

    def look(self, weights: Weights) -> None:
        """Play the episodes of a look and note what they were worth."""
        began = perf_counter()
        found = means(self.environments, self.scenario, weights.policy("greedy"), self.looks)
        failing = unsafe(self.guarded, self.environments.describe(self.scenario).metrics, found, self.teacher)
        self.checks.append(
            {"agent_steps": self.agent_steps, "round": self.round, "metrics": found, "unsafe": failing}
        )  # fmt: skip
        self.seconds += perf_counter() - began

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Let every rollout be seen; what it plays stays the same."""
        looker = self

        class Seen(rollout.Rollout):
            """A rollout whose player is looked at first."""

            def collect(self, weights: Weights, teacher: Teacher | None = None, share: float = 0.0) -> None:
                looker.see(weights)
                super().collect(weights, teacher, share)
                looker.agent_steps += self.alive.size

        with patch.object(gather, "Rollout", Seen):
            yield


def run_trial(trial: Trial) -> dict[str, Any]:
    """Walk the schedule and return checks, the comparison at the end, and what the run came to."""
    schedule = _structured(trial.schedule)
    environments, scenario, home = provider(schedule.environment.id), schedule.environment.scenario, trial.home
    shutil.rmtree(home, ignore_errors=True)
    teacher = means(environments, scenario, environments.teacher(scenario, schedule.teacher), trial.looks)
    looker = _Looker(trial.looks, scenario, _structured(trial.guarded), environments, teacher)
    blobs, captured, answered = BlobStore(home / "blobs"), 0, ""

    def listen(entry: Entry) -> None:
        nonlocal captured, answered
        record = entry.record
        if isinstance(record, VisitFinished) and record.strategy == "ppo":
            answered = str(record.result["weights"])
            looker.look(read_weights(blobs.get(answered), "what ppo answered"))
            looker.round += 1
        elif isinstance(record, VisitFinished) and record.strategy == "capture":
            captured += int(record.result["agent_steps"])

    began = perf_counter()
    with looker.watching():
        summary = PolicyTrainingOrchestrator(schedule, home=home, listen=listen).run()
    seconds = perf_counter() - began - looker.seconds
    row: dict[str, Any] = {
        "checks": looker.checks, "captured": captured, "trained": looker.agent_steps, "rounds": looker.round,
        "promoted": summary.champion_moved, "state": summary.state, "reason": summary.reason,
        "seconds": seconds, "seconds_looking": looker.seconds, "speeds": _speeds(summary.stages), "final": {},
    }  # fmt: skip
    if answered and trial.looks.final:
        # What the last visit to ppo answered, promoted or not: after a rollback the run ends with other weights.
        mine = NamedPolicy(name=answered, policy=read_weights(blobs.get(answered), "what ppo answered").policy())
        for name in dict.fromkeys((schedule.teacher, "planner")):
            if name in environments.describe(scenario).teachers:
                row["final"][name] = _compared(environments, scenario, mine, name, trial.looks)
    shutil.rmtree(home, ignore_errors=True)
    return row


def _compared(
    environments: EnvironmentProvider, scenario: str, mine: NamedPolicy, name: str, looks: Looks
) -> Mapping[str, Any]:
    """Return the comparison with a script over fresh paired episodes, two-sided intervals at 95 %."""
    script = NamedPolicy(name=f"teacher:{name}", policy=environments.teacher(scenario, name))
    return compare(
        environments, scenario, mine, script, episodes=looks.final, days=looks.final_days, seed=looks.seed + 1,
        confidence=0.975, actions="greedy",
    ).model_dump()  # fmt: skip


def _speeds(stages: Any) -> list[dict[str, Any]]:
    return [
        {
            "state": stage.state, "visit": stage.visit, "seconds": stage.result.duration,
            "agent_steps": stage.result.agent_steps,
            **{k: v for k in ("agent_steps_per_second", "samples_per_second", "heldout_accuracy", "action_entropy")
               if (v := stage.result.model_dump().get(k)) is not None},
        }
        for stage in stages if not isinstance(stage.result, CaptureResult) or stage.result.samples
    ]  # fmt: skip
