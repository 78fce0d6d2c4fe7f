"""Strategies that answer from a script, round by round: a whole anneal in milliseconds that trains nothing."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
from pebbles import pebble

from townlet.dto.evidence import EvidenceTable, PairedMetric
from townlet.dto.metrics import Measurement
from townlet.dto.policy import (
    BCTrainingResult,
    CaptureResult,
    EvaluationResult,
    PPOTrainingResult,
    PromotionResult,
    RollbackResult,
    TrainingResult,
)
from townlet.policy.training.contexts import TrainingContext
from townlet.policy.training.strategies.base import TrainingStrategy

THREE_ROUNDS = """\
schedule: townlet/v1
name: three-rounds
seed: 5
environment: {id: town, scenario: small_town, worlds: 4}
teacher: scripted
registry: {name: three-rounds}
evidence: {full: {episodes: [20], days: 1, confidence: 95%}}
baselines:
  champion: {alias: champion, otherwise: teacher}
  accepted: {of: ppo}
  teacher: {policy: teacher}
guards:
  cloned:     {metric: bc.heldout_accuracy, at_least: 0.9}
  loss:       {metric: ppo.value_loss, not_worse_than: {baseline: accepted, absolute: 0.1}, without_baseline: skip}
  conflicts:  {metric: evaluate.conflicts, not_worse_than: {baseline: champion, absolute: 1.0}, evidence: full}
  intensity:  {metric: evaluate.queue_intensity, not_worse_than: {baseline: champion, absolute: 1.0}, evidence: full}
  better:     {metric: evaluate.return_per_agent_day, better_by: {baseline: champion, absolute: 0}, evidence: full}
  rounds_left: {visits_to: ppo, below: 4}
initial: capture
states:
  capture: {strategy: capture, next: [{to: bc}]}
  bc: {strategy: bc, next: [{to: ppo, when: [cloned]}, {to: hold, why: the clone is too weak}]}
  ppo: {strategy: ppo, next: [{to: evaluate}]}
  evaluate:
    strategy: evaluate
    next:
      - {to: promote, when: [better, loss, conflicts, intensity]}
      - {to: ppo, when: [rounds_left]}
      - {to: rollback}
  promote: {strategy: promote, next: [{to: done}]}
  rollback: {strategy: rollback, next: [{to: hold, why: no round was good enough}]}
"""


@attrs.frozen(kw_only=True)
class Round:
    """What one round shows."""

    value_loss: float = 0.2
    gain: float = 2.0
    conflicts: float = 0.0
    intensity: float = 0.0


GOOD, TRIPS, DULL = Round(), Round(value_loss=5.0, conflicts=3.0, intensity=3.0), Round(gain=-1.0)


@attrs.define
class Scripted:
    """One strategy of a script."""

    name: str
    answer: Callable[[TrainingContext], TrainingResult]
    requires_torch: bool = False

    def prepare(self, context: TrainingContext) -> None:
        """Refuse nothing."""

    def run(self, context: TrainingContext) -> TrainingResult:
        """Answer from the script."""
        return self.answer(context)


@attrs.define
class Script:
    """A whole school whose rounds of ppo are given."""

    rounds: tuple[Round, ...] = (DULL, TRIPS, GOOD)
    accuracy: float = 0.95
    begun: int = 0

    def strategies(self) -> Mapping[str, TrainingStrategy]:
        """Return the strategies by name."""
        answers: dict[str, Callable[[TrainingContext], TrainingResult]] = {
            "capture": self.capture,
            "bc": self.bc,
            "ppo": self.ppo,
            "evaluate": self.evaluate,
            "promote": self.promote,
            "rollback": self.rollback,
        }
        return {name: Scripted(name, answer) for name, answer in answers.items()}

    @property
    def now(self) -> Round:
        """The present round."""
        return self.rounds[min(self.begun, len(self.rounds)) - 1]

    def capture(self, context: TrainingContext) -> CaptureResult:
        """Return a data set that nobody can read."""
        return CaptureResult(
            episodes=8.0,
            samples=100.0,
            action_entropy=1.0,
            perturbed_share=0.1,
            return_per_agent_day=3.0,
            action_counts={"wait": 100},
            blobs={"dataset": context.blobs.put(b"a data set")},
        )

    def bc(self, context: TrainingContext) -> BCTrainingResult:
        """Return a clone of the given accuracy."""
        return BCTrainingResult(
            weights=context.blobs.put(pebble("clone")),
            heldout_accuracy=self.accuracy,
            heldout_nll=0.2,
            train_accuracy=0.96,
            train_loss=0.25,
            value_loss=0.3,
            worst_recall=0.8,
            dataset=context.inputs.get("dataset", ""),
        )

    def ppo(self, context: TrainingContext) -> PPOTrainingResult:
        """Begin the next round."""
        self.begun += 1
        return PPOTrainingResult(
            weights=context.blobs.put(pebble(f"round {self.begun}")),
            iterations=3,
            value_loss=self.now.value_loss,
            policy_loss=-0.01,
            entropy=1.0,
            approx_kl=0.01,
            approx_kl_p95=0.02,
            clip_fraction=0.1,
            explained_variance=0.8,
            grad_norm=0.4,
            anchor_kl=0.0,
            nonfinite_updates=0.0,
            reward_per_decision=0.1,
            queue_intensity=1.0,
            queue_conflicts=12.0,
            queue_intensity_sum=7.0,
            total_loss=0.4,
            agent_steps=500,
            parent=context.inputs.get("start", ""),
        )

    def evaluate(self, context: TrainingContext) -> EvaluationResult:
        """Return paired episodes that differ as the round says."""
        candidate, baseline_digests = context.input("candidate"), dict(context.visit.baseline_digests)
        worth = {"return_per_agent_day": self.now.gain, "conflicts": self.now.conflicts}
        worth["queue_intensity"] = self.now.intensity
        rows, measured = [], []
        for spec in context.description.metrics:
            base = tuple(10.0 + 0.1 * (i % 5) for i in range(20))
            shift = worth.get(spec.name, 0.0)
            values: dict[str, Any] = dict.fromkeys(baseline_digests, base)
            values["candidate"] = tuple(x + shift + 0.01 * (i % 3) for i, x in enumerate(base))
            rows.append(PairedMetric(metric=spec.name, values=values))
            measured.append(
                Measurement(
                    metric=spec.name,
                    value=10.0 + shift,
                    unit=spec.unit,
                    policy=candidate,
                    actions="greedy",
                    scenario=context.description.scenario,
                    seed=0,
                    episodes=20,
                    exposure=1.0,
                )
            )
        table = EvidenceTable(
            evidence="full", candidate=candidate, baselines=baseline_digests, seed=0, looks=(20,), metrics=tuple(rows)
        )
        digest = context.blobs.put(json.dumps(table.model_dump(), sort_keys=True).encode())
        return EvaluationResult(
            weights=candidate, measurements=tuple(measured), evidence=digest, looks=1, blobs={"evidence": digest}
        )

    def promote(self, context: TrainingContext) -> PromotionResult:
        """Move the alias."""
        done = context.visit.effect(context.input("candidate"))
        return PromotionResult(
            weights=done.target, alias=done.alias, version=done.version, previous=context.visit.expected_champion
        )

    def rollback(self, context: TrainingContext) -> RollbackResult:
        """Go back to the clone."""
        return RollbackResult(
            weights=context.input("clone"), discarded=context.input("candidate"), target="clone", parity=None, scale={}
        )


def write_three_rounds(folder: Path) -> Path:
    """Write the schedule of three rounds and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "three_rounds.yaml"
    path.write_text(THREE_ROUNDS, encoding="utf-8")
    return path
