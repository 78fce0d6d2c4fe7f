"""Run schedules of the corridor in a test, with the real orchestrator, engine, journal, registry and blobs."""

from collections.abc import Mapping
from pathlib import Path

from corridor import CorridorProvider
from corridor_schedules import GUARDED, LEARNS, write

from townlet.dto.policy import AnnealSummary, TrainingResult
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.policy.training.strategies.base import TrainingStrategy


def run_corridor(
    folder: Path,
    *,
    seed: int = 3,
    ppo: str = LEARNS,
    scope: str = "home",
    text: str = GUARDED,
    strategies: Mapping[str, TrainingStrategy] | None = None,
    home: Path | None = None,
) -> AnnealSummary:
    """Run a schedule of the corridor in `folder` and return the summary."""
    folder.mkdir(parents=True, exist_ok=True)
    path = write(folder, text, seed=seed, ppo=ppo, scope=scope)
    return PolicyTrainingOrchestrator(
        path, environments=CorridorProvider(), home=home or folder / "home", strategies=strategies
    ).run()


def results(summary: AnnealSummary, state: str) -> list[TrainingResult]:
    """Return the results of every visit to a state."""
    return [stage.result for stage in summary.stages if stage.state == state]
