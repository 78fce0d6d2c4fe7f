"""The engine walks every path, in the order its journal promises."""

from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve
from fakes import SCHEDULE, Bench, make_plan

from townlet.dto.journal import EffectDone, EffectIntent, GuardsJudged, TransitionTaken, VisitStarted
from townlet.dto.policy import BCTrainingResult, EvaluationResult, TrainingResult
from townlet.errors import BadInputError, EnvironmentFaultError, HoldError
from townlet.machine.visit import Visit


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A fresh run."""
    return Bench(tmp_path)


def raising(error: BaseException) -> Callable[[Visit, TrainingResult], TrainingResult]:
    """Return a script entry that raises."""

    def change(visit: Visit, result: TrainingResult) -> TrainingResult:
        raise error

    return change


def changing(**changes: object) -> Callable[[Visit, TrainingResult], TrainingResult]:
    """Return a script entry that changes fields of the answer."""
    return lambda visit, result: evolve(result, **changes)  # type: ignore[arg-type]


def test_a_better_candidate_is_promoted(bench: Bench) -> None:
    """Capture, clone, fine-tune, prove, promote, done; the alias names the candidate."""
    state = bench.walk()
    assert ["capture", "bc", "ppo", "evaluate", "promote", "done"] == bench.path_taken()
    assert state.champion_moved
    version = bench.registry.champion("fake-town", "champion")
    assert version is not None
    assert (state.candidate, state.evidence, state.clone) == (version.weights, version.evidence, version.parent)


def test_the_journal_is_written_in_the_promised_order(bench: Bench) -> None:
    """Started before the work, finished before the guards, guards before the transition, intent before the effect."""
    bench.walk()
    assert [
        "run_created", "process_started",
        "visit_started", "visit_finished", "guards", "transition",
        "visit_started", "visit_finished", "guards", "transition",
        "visit_started", "checkpoint", "checkpoint", "visit_finished", "guards", "transition",
        "visit_started", "checkpoint", "visit_finished", "guards", "transition",
        "visit_started", "effect_intent", "effect_done", "visit_finished", "guards", "transition",
        "run_closed",
    ] == bench.kinds()  # fmt: skip
