"""A KPI that is no valid number in some episodes ends no run: a guard that asks for it is UNKNOWN, reports name it."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from corridor import CorridorProvider, Keeping
from corridor_schedules import GUARDED, LEARNS, write
from homes import Town
from numpy.typing import NDArray

from townlet.cli import run_command
from townlet.dto.boundary import StepResult
from townlet.dto.guards import Verdict
from townlet.dto.journal import GuardsJudged
from townlet.dto.policy import CaptureResult, EvaluationResult
from townlet.machine.audit.verify import verify
from townlet.machine.journal.chain import read
from townlet.policy.training.environment_source import EnvironmentSource
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.policy.training.rederive import replay_run
from townlet.policy.training.strategies.base import catalogue
from townlet.ports import Tallies
from townlet.store.rundir import RunDirectory

RETURN, INTENSITY, DEATHS = range(3)


def corridors(metric: int, array: str, value: float) -> CorridorProvider:
    """Return corridors that report `value` as sum or exposure of a metric, from world 8 on.

    The check before a run plays five worlds, so that it does not meet them.
    """

    class Invalid(Keeping):
        """Reports what is no number."""

        def tallies(self) -> Tallies:
            """Return sums and exposures."""
            tallies = super().tallies()
            values: Any = getattr(tallies, array)
            replaced = (self.world_ids >= 8) & (np.arange(len(values))[:, None] == metric)
            return evolve(tallies, **{array: np.where(replaced, value, values)})

    return CorridorProvider(Invalid)


def runner(folder: Path, environments: CorridorProvider) -> PolicyTrainingOrchestrator:
    """Return what captures, evaluates and promotes weights from outside in corridors."""
    orchestrator = Town(folder / "home").facade("straight")
    orchestrator.environments = environments
    return orchestrator


INVALID = [
    *product(["sums"], [np.nan, np.inf, -np.inf]),
    *product(["exposures"], [np.nan, np.inf, -1.0]),
]


@pytest.mark.parametrize(("array", "value"), INVALID)
def test_a_guard_on_an_invalid_kpi_is_unknown_and_the_run_holds(tmp_path: Path, array: str, value: float) -> None:
    """The sentence names both sides and the episodes; the verdict is derived again from the stored evidence."""
    environments = corridors(RETURN, array, value)
    summary = runner(tmp_path, environments).run()
    run = RunDirectory.at(Path(summary.path))
    judged = [e.record for e in read(run.journal, run.head, catalogue()).entries if isinstance(e.record, GuardsJudged)]

    assert ("hold", False) == (summary.state, summary.champion_moved)
    assert [Verdict.UNKNOWN] == [report.verdict for report in judged[-1].reports]
    assert "the candidate has no valid number in 12 of them (8, 9, 10, 11, 12 and 7 more)" in summary.reason
    assert "champion (teacher:random) has no valid number in 12 of them" in summary.reason
    assert replay_run(run, tmp_path / "home", source=EnvironmentSource(passed=environments)).clean


@pytest.mark.parametrize(("array", "value"), INVALID)
def test_an_invalid_kpi_that_no_guard_asks_for_is_named_and_the_run_promotes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], array: str, value: float
) -> None:
    """No mean of the other episodes stands for it, and every report says so."""
    summary = runner(tmp_path, corridors(DEATHS, array, value)).run()
    result = next(stage.result for stage in summary.stages if isinstance(stage.result, EvaluationResult))
    named = " in plain is no valid number in 12 of 20 episodes with seed "

    assert ("done", True) == (summary.state, summary.champion_moved)
    assert [None] * 3 == [m.value for m in result.measurements if m.metric == "deaths"]
    assert all(m.value is not None for m in result.measurements if m.metric != "deaths")
    assert {8} == {m.episodes for m in result.measurements if m.metric == "deaths"}
    assert 3 == len([each for each in summary.reservations if named in each])
    for words in (["audit", "verify"], ["audit", "why"]):
        assert 0 == run_command([*words, summary.path, "--home", str(tmp_path / "home")])
        assert named in capsys.readouterr().out


def test_valid_evidence_is_stored_in_the_same_bytes_as_before(tmp_path: Path) -> None:
    """Rows without an invalid number do not mention any, so that equal runs of two versions have equal evidence."""
    summary = runner(tmp_path, CorridorProvider(Keeping)).run()
    result = next(stage.result for stage in summary.stages if isinstance(stage.result, EvaluationResult))
    table = json.loads(Town(tmp_path / "home").blobs.get(result.evidence))

    assert [{"metric", "values"}] * 3 == [set(row) for row in table["metrics"]]


@pytest.mark.parametrize("metric", [RETURN, INTENSITY, DEATHS])
def test_training_beside_an_invalid_kpi_goes_on(tmp_path: Path, metric: int) -> None:
    """capture, bc, ppo with a cliff watch, and the files for scripts: nothing of it needs a KPI."""
    environments = corridors(metric, "sums", np.nan)
    watched = LEARNS.replace("}", ", watch: {evidence: quick, every: 5000}}")
    path = write(tmp_path, GUARDED, seed=3, ppo=watched, scope="home")
    orchestrator = PolicyTrainingOrchestrator(path, environments=environments, home=tmp_path / "home")
    summary = orchestrator.run_anneal(log_dir=tmp_path / "log")

    assert "failed" != summary.state
    captured = next(stage.result for stage in summary.stages if isinstance(stage.result, CaptureResult))
    assert (metric == RETURN) == bool(np.isnan(captured.return_per_agent_day))
    assert json.loads((tmp_path / "log" / "anneal_results.json").read_text())
    assert (summary.semantic_hash, summary.rounds) == ((again := orchestrator.resume()).semantic_hash, again.rounds)
    run = RunDirectory.at(Path(summary.path))
    assert verify(run, Town(tmp_path / "home").blobs, catalogue()).clean


@pytest.mark.parametrize("name", ["observations", "rewards"])
def test_a_recording_with_numbers_that_are_not_finite_is_refused_where_it_is_made(tmp_path: Path, name: str) -> None:
    """Data cannot be learned from: the run fails at capture, not with a data set that no visit can use."""

    class Broken(Keeping):
        """Gives a NaN at five o'clock, from world 8 on."""

        def step(self, actions: NDArray[np.int64]) -> StepResult:
            """Walk one step."""
            step = super().step(actions)
            wrong = ((self.world_ids >= 8) & (self.clock == 5))[:, None]
            if name == "rewards":
                return evolve(step, rewards=np.where(wrong, np.float32(np.nan), step.rewards))
            values = np.where(wrong[..., None], np.float32(np.nan), step.observations.observations)
            return evolve(step, observations=evolve(step.observations, observations=values))

    path = write(tmp_path, GUARDED, seed=3, ppo=LEARNS, scope="home")
    summary = PolicyTrainingOrchestrator(path, environments=CorridorProvider(Broken), home=tmp_path / "home").run()

    assert "failed" == summary.state
    assert f"environment corridor/plain: {name} of world 8 at decision {5 if name == 'observations' else 4} hold" in (
        summary.reason
    )
