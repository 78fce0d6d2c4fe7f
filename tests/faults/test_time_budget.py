"""A budget of time holds inside a visit, and a retry continues that visit."""

import hashlib
from pathlib import Path

import pytest
from broken_corridors import Slow
from corridor import Corridor, CorridorProvider
from corridor_schedules import WEIGHTS_FILE, write
from ridge_weights import ridge

from townlet.dto.journal import OperatorCommand, TransitionTaken, VisitStarted
from townlet.dto.policy import AnnealSummary
from townlet.machine.engine.inbox import send
from townlet.machine.journal.chain import read
from townlet.policy.training import launch
from townlet.policy.training.environment_source import EnvironmentSource
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.policy.training.rederive import replay_run
from townlet.policy.training.strategies.base import catalogue
from townlet.store.rundir import RunDirectory


def orchestrator(folder: Path, kind: type[Corridor], budget: str) -> PolicyTrainingOrchestrator:
    """Return what runs capture and evaluate in corridors of a kind, within a budget of time."""
    folder.mkdir(exist_ok=True)
    data = ridge("straight")
    (folder / "given.safetensors").write_bytes(data)
    text = WEIGHTS_FILE.replace("seed: {seed}", "seed: 3").replace(
        "teacher: random\n", f"teacher: random\nbudget: {{{{wall_clock: {budget}}}}}\n"
    )
    text = text.replace("episodes: [20]", "episodes: [20, 30]")
    path = write(folder, text, scenario="plain", file="given.safetensors", sha256=hashlib.sha256(data).hexdigest())
    return PolicyTrainingOrchestrator(path, environments=CorridorProvider(kind), home=folder / "home")


def evidence(summary: AnnealSummary) -> str:
    """Return the digest of the evidence that the run gathered."""
    return next(stage.result.blobs["evidence"] for stage in summary.stages if stage.state == "evaluate")


@pytest.mark.long
@pytest.mark.parametrize(("budget", "state"), [("500ms", "capture"), ("2s", "evaluate")])
def test_a_slow_environment_does_not_outlast_the_budget_and_a_retry_continues_the_visit(
    tmp_path: Path, budget: str, state: str
) -> None:
    """The run holds within a decision of the budget; with more time the same visit ends with the same evidence."""
    summary = orchestrator(tmp_path / "slow", Slow, budget).run()
    run = RunDirectory.at(Path(summary.path))

    assert ("hold", f"beyond the budget of wall_clock: {budget}".replace("500ms", "0.5s").replace("2s", "2.0s")) == (
        summary.state,
        summary.reason,
    )
    assert summary.duration < 10
    records = [entry.record for entry in read(run.journal, run.head, catalogue()).entries]
    assert TransitionTaken(source=state, target="hold", edge=None, why=summary.reason, keeps_visit=True) == records[-1]

    send(run.inbox, OperatorCommand(command="retry", actor="tester"))
    resumed = orchestrator(tmp_path / "slow", Corridor, "1h").resume(run.path, accept_schedule=True)

    starts = [
        (entry.record.visit, entry.record.attempt)
        for entry in read(run.journal, run.head, catalogue()).entries
        if isinstance(entry.record, VisitStarted) and entry.record.state == state
    ]
    assert [(1, 1), (1, 2)] == starts
    assert ("done", True) == (resumed.state, resumed.champion_moved)
    assert evidence(orchestrator(tmp_path / "quick", Corridor, "1h").run()) == evidence(resumed)


def test_a_run_that_held_inside_a_visit_is_derived_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`audit replay` finds the hold and the retry as they were."""
    monkeypatch.setattr(launch, "check_promises", lambda *_: ())  # slow corridors keep them, and take long to show it
    summary = orchestrator(tmp_path, Slow, "2s").run()
    run = RunDirectory.at(Path(summary.path))
    send(run.inbox, OperatorCommand(command="retry", actor="tester"))
    orchestrator(tmp_path, Corridor, "1h").resume(run.path, accept_schedule=True)

    assert replay_run(run, tmp_path / "home", source=EnvironmentSource(passed=CorridorProvider())).clean
