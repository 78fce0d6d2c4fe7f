"""Fake strategies that walk every path in milliseconds, and a home for a run that they walk.

A fake policy is a short text in the blob store; `FakeSchool.skill` says what it is worth a day. Each visit is a pure
function of what the engine hands out, so that a walk cut short and taken up again ends with the same bits.
"""

import json
import math
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from attrs import define, evolve, field
from catalogue import KPIS
from pebbles import pebble, text_of
from plans import CATALOGUE, METRICS, make_plan

from townlet.dto.codec import structure
from townlet.dto.evidence import EvidenceTable, PairedMetric
from townlet.dto.journal import Entry, RunCreated
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
from townlet.dto.schedule import Plan
from townlet.dto.strategies import EvaluateSpec, PPOSpec, RollbackSpec
from townlet.machine.engine.engine import Engine
from townlet.machine.engine.visit import Visit
from townlet.machine.journal.chain import Journal
from townlet.machine.journal.run_state import RunState
from townlet.rng import derive
from townlet.store.blobs import BlobStore
from townlet.store.registry.registry import Registry


def measurement(metric: str, value: float | None, policy: str, **changes: Any) -> Measurement:
    """Return a greedy measurement in ``small_town``."""
    found = Measurement(
        metric=metric,
        value=value,
        unit=KPIS[metric][0],
        policy=policy,
        scenario="small_town",
        actions="greedy",
        seed=0,
        episodes=40,
        exposure=640.0,
    )
    return evolve(found, **changes)


def ppo_result(weights: str | None, **changes: Any) -> PPOTrainingResult:
    """Return an unremarkable fine-tuning."""
    found = PPOTrainingResult(
        weights=weights,
        agent_steps=1000,
        value_loss=0.2,
        policy_loss=-0.01,
        entropy=1.0,
        approx_kl=0.01,
        approx_kl_p95=0.02,
        clip_fraction=0.1,
        explained_variance=0.8,
        grad_norm=0.4,
        anchor_kl=0.01,
        nonfinite_updates=0.0,
        reward_per_decision=0.1,
        queue_intensity=1.0,
    )
    return evolve(found, **changes)


@define
class FakeSchool:
    """Performs visits; `script` replaces the answer of (state, visit) by another, or raises."""

    blobs: BlobStore
    skill: dict[str, float] = field(factory=dict)
    """What a policy's text is worth a day; the teacher is worth 10, any other text 12."""
    script: dict[tuple[str, int], Callable[[Visit, TrainingResult], TrainingResult]] = field(factory=dict)
    """Changes to answers, by state and visit."""
    visits: list[Visit] = field(factory=list)
    """Every visit that was performed."""
    noise: float = 0.5
    """Standard deviation of what the candidate adds to a common episode."""

    def __call__(self, visit: Visit) -> TrainingResult:
        """Return the strategy's answer."""
        self.visits.append(visit)
        answers: dict[str, Callable[[Visit], TrainingResult]] = {
            "capture": self._capture,
            "bc": self._bc,
            "ppo": self._ppo,
            "evaluate": self._evaluate,
            "promote": self._promote,
            "rollback": self._rollback,
        }
        result = answers[visit.strategy](visit)
        change = self.script.get((visit.state, visit.number))
        return result if change is None else change(visit, result)

    def policy(self, text: str) -> str:
        """Return the digest of a fake policy."""
        return self.blobs.put(pebble(text))

    def worth(self, pin: str) -> float:
        """Return what a pinned policy is worth a day."""
        return 10.0 if pin.startswith("teacher:") else self.skill.get(text_of(self.blobs.get(pin)), 12.0)

    def _capture(self, visit: Visit) -> TrainingResult:
        return CaptureResult(
            blobs={"dataset": self.blobs.put(f"data {visit.seed}".encode())},
            episodes=256.0,
            samples=1e5,
            action_entropy=1.2,
            perturbed_share=0.08,
            return_per_agent_day=10.0,
            action_counts={"idle": 5},
            agent_steps=500,
            duration=random.random(),
        )

    def _bc(self, visit: Visit) -> TrainingResult:
        return BCTrainingResult(
            weights=self.policy("clone"),
            heldout_accuracy=0.95,
            heldout_nll=0.2,
            train_accuracy=0.96,
            train_loss=0.2,
            value_loss=0.3,
            worst_recall=0.8,
            dataset=visit.inputs["dataset"],
            samples_per_second=random.random(),
        )

    def _ppo(self, visit: Visit) -> TrainingResult:
        assert isinstance(visit.spec, PPOSpec)
        saved = 0 if visit.checkpoint is None else int(self.blobs.get(visit.checkpoint).split()[-1])
        for step in range(saved + 1, 3):
            visit.save(step, self.blobs.put(f"{visit.state} {visit.number} {step}".encode()))
        return ppo_result(self.policy(f"ppo {visit.number}"), parent=visit.inputs.get("start", ""))

    def _evaluate(self, visit: Visit) -> TrainingResult:
        assert isinstance(visit.spec, EvaluateSpec)
        candidate = visit.inputs[visit.spec.candidate]
        baseline_digests = {"candidate": candidate, **visit.baseline_digests}
        rows = {name: self._row(visit, baseline_digests, name) for name in ("return_per_agent_day", "queue_intensity")}
        table, digest = self._resumed(visit)
        for look in ((20,), (20, 40)):
            if table is not None and (visit.decided(table) or len(look) <= len(table.looks)):
                continue
            table = EvidenceTable(
                evidence=visit.spec.evidence,
                candidate=candidate,
                baselines=dict(visit.baseline_digests),
                seed=visit.seed,
                looks=look,
                metrics=tuple(
                    PairedMetric(metric=name, values={pin: row[: look[-1]] for pin, row in values.items()})
                    for name, values in rows.items()
                ),
            )
            digest = store(self.blobs, table)
            visit.save(len(look), digest)
        assert table is not None
        measured = {
            (name, baseline_digests[pin]): math.fsum(row) / len(row)
            for name, v in rows.items()
            for pin, row in v.items()
        }
        return EvaluationResult(
            weights=candidate,
            evidence=digest,
            looks=len(table.looks),
            blobs={"evidence": digest},
            agent_steps=200,
            measurements=tuple(measurement(name, value, pin) for (name, pin), value in measured.items()),
        )

    def _resumed(self, visit: Visit) -> tuple[EvidenceTable | None, str]:
        """Return the evidence an earlier attempt gathered."""
        if visit.checkpoint is None:
            return None, ""
        return structure(json.loads(self.blobs.get(visit.checkpoint)), EvidenceTable), visit.checkpoint

    def _row(self, visit: Visit, baseline_digests: Mapping[str, str], name: str) -> dict[str, tuple[float, ...]]:
        """Return each policy's episodes: a common part, the policy's worth, and what it does differently."""
        rows = {}
        for pin, policy in baseline_digests.items():
            common = random.Random(derive(visit.seed, name))
            own = random.Random(derive(visit.seed, name, policy))
            level = self.worth(policy) if name == "return_per_agent_day" else 1.0
            rows[pin] = tuple(level + common.gauss(0, 1) + own.gauss(0, self.noise) for _ in range(40))
        if name == "queue_intensity":
            rows = {
                pin: tuple(abs(x) * 0.5 if pin == "candidate" else abs(x) for x in row) for pin, row in rows.items()
            }
        return rows

    def _promote(self, visit: Visit) -> TrainingResult:
        done = visit.effect(visit.inputs["candidate"])
        return PromotionResult(
            weights=done.target, alias=done.alias, version=done.version, previous=visit.expected_champion
        )

    def _rollback(self, visit: Visit) -> TrainingResult:
        assert isinstance(visit.spec, RollbackSpec)
        scale = dict(visit.scale)
        for name, factor in visit.spec.scale.items():
            scale[name] = scale.get(name, 1.0) * factor
        target = "accepted" if "accepted" in visit.inputs else "clone"
        return RollbackResult(
            weights=visit.inputs[target],
            discarded=visit.inputs.get("candidate"),
            target=target,
            parity=0.0,
            scale=scale,
        )


def store(blobs: BlobStore, table: EvidenceTable) -> str:
    """Return the digest of stored evidence."""
    return blobs.put(json.dumps(table.model_dump(), sort_keys=True, allow_nan=False).encode())


@define
class Clock:
    """A clock that moves a second whenever it is asked."""

    now: datetime = datetime(2026, 11, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the next second."""
        self.now += timedelta(seconds=1)
        return self.now


@define
class Bench:
    """A home directory with one run in it, and everything an engine needs to walk it."""

    home: Path
    plan: Plan = field(factory=make_plan)
    run: str = "run-1"
    seed: int = 7
    rehearsal: bool = False
    schedule: str = "0" * 64
    registry: Registry = field(init=False)
    school: FakeSchool = field(init=False)
    clock: Clock = field(factory=Clock)

    def __attrs_post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.registry = Registry(self.home / "registry.sqlite")
        self.school = FakeSchool(BlobStore(self.home / "blobs"))

    @property
    def path(self) -> Path:
        """The journal's file."""
        return self.home / "journal.jsonl"

    def journal(self) -> Journal:
        """Return the journal, opened anew; the run is created where it is not."""
        journal = Journal(self.path, self.home / "head.json", CATALOGUE, clock=self.clock)
        if not any(isinstance(entry.record, RunCreated) for entry in journal.entries):
            journal.append(
                RunCreated(
                    run=self.run,
                    name=self.plan.schedule.name,
                    schedule=self.schedule,
                    seed=self.seed,
                    rehearsal=self.rehearsal,
                    environment="1" * 64,
                    fingerprint={"python": "3.11"},
                )
            )
        return journal

    def engine(self, listen: Callable[[Entry], None] | None = None) -> Engine:
        """Return an engine on the run, as a new process would build it."""
        return Engine(
            self.plan,
            self.journal(),
            perform=self.school,
            registry=self.registry,
            blobs=self.school.blobs,
            catalogue=CATALOGUE,
            metrics=METRICS,
            traceback=self.home / "traceback.txt",
            inbox=self.home / "inbox",
            listen=(lambda entry: None) if listen is None else listen,
        )

    def walk(self) -> RunState:
        """Walk until there is nothing to do."""
        return self.engine().run()

    def kinds(self) -> list[str]:
        """Return the kinds of the journal's records in order."""
        return [entry.record.kind for entry in self.journal().entries]

    def path_taken(self) -> list[str]:
        """Return the states that were entered after the first."""
        state = self.engine().state
        return [*(stage.state for stage in state.stages), state.state]
