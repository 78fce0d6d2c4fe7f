"""Single visits to a strategy, cut off and taken up again as by one process after the other."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import define, evolve, field, fields

from townlet.dto.fields import is_semantic
from townlet.dto.policy import TrainingResult
from townlet.dto.schedule import Plan
from townlet.errors import StoppedError
from townlet.machine.engine.visit import Visit
from townlet.policy.training.contexts import TrainingContext
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.policy.training.services import ReplayDatasetService, TrainingServices
from townlet.policy.training.strategies.base import resolve
from townlet.policy.training.telemetry import Telemetry
from townlet.ports import EnvironmentProvider
from townlet.store.blobs import BlobStore


def semantic(result: TrainingResult) -> dict[str, Any]:
    """Return what two equal visits must agree on."""
    return {a.name: getattr(result, a.name) for a in fields(type(result)) if is_semantic(a)}


@define
class Visits:
    """The states of one schedule, visited by hand."""

    folder: Path
    environments: EnvironmentProvider
    text: str
    inputs: dict[str, str] = field(factory=dict)
    baseline_digests: Mapping[str, str] = field(factory=dict)
    plan: Plan = field(init=False)
    blobs: BlobStore = field(init=False)
    saved: list[tuple[int, str]] = field(factory=list)
    """Checkpoints of the last visit."""

    def __attrs_post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "schedule.yaml"
        path.write_text(self.text, encoding="utf-8")
        self.plan = PolicyTrainingOrchestrator(path, environments=self.environments).plan()
        self.blobs = BlobStore(self.folder / "blobs")

    @property
    def metrics(self) -> Path:
        """The metric stream."""
        return self.folder / "metrics.jsonl"

    def process(self, state: str, attempt: int, checkpoint: str | None, boundaries: int | None) -> TrainingResult:
        """Visit a state from a checkpoint on; StoppedError at the n-th boundary."""
        asked = 0

        def stopping() -> bool:
            nonlocal asked
            asked += 1
            return boundaries is not None and asked >= boundaries

        spec, baseline_digests = self.plan.schedule.states[state], dict(self.baseline_digests)
        visit = evolve(
            Visit.outermost(5),
            state=state,
            strategy=spec.strategy,
            attempt=attempt,
            spec=self.plan.options[state],
            inputs=self.inputs,
            baseline_digests=baseline_digests,
            checkpoint=checkpoint,
            save=lambda step, digest: self.saved.append((step, digest)),
            decided=lambda table: False,
            stopping=stopping,
        )
        context = TrainingContext(
            visit=visit,
            plan=self.plan,
            blobs=self.blobs,
            environments=self.environments,
            services=TrainingServices(replay=ReplayDatasetService(self.blobs)),
            telemetry=Telemetry(path=self.metrics).for_visit(state, 1),
        )
        strategy = resolve(spec.strategy)
        strategy.prepare(context)
        return strategy.run(context)

    def whole(self, state: str) -> TrainingResult:
        """Visit a state without interruption."""
        self.saved.clear()
        return self.process(state, 1, None, None)

    def cut(self, state: str, boundaries: int = 1) -> tuple[TrainingResult, int]:
        """Visit a state with a process that is stopped at every n-th boundary; return the result and the processes."""
        self.saved.clear()
        attempt = 0
        while True:
            attempt += 1
            checkpoint = self.saved[-1][1] if self.saved else None
            try:
                return self.process(state, attempt, checkpoint, boundaries), attempt
            except StoppedError:
                assert attempt < 100
