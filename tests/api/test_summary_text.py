"""A summary is shown on one screen: how the run ended, its figures, what is in force, the next call."""

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, fields
from corridor import CorridorProvider
from hypothesis import given
from hypothesis import strategies as st
from programs import write_learns, write_plays

import townlet
from townlet.dto.metrics import Measurement
from townlet.dto.policy import AnnealStageResult, CaptureResult, EvaluationResult
from townlet.escapes import printable

ROWS, COLUMNS = 24, 80
SUMMARY = townlet.AnnealSummary(
    run="20261126T030229-corridor-8aa737",
    path="home/runs/20261126T030229-corridor-8aa737",
    state="done",
    reason="",
    champion_moved=False,
    has_promote=True,
    stages=(),
    head="",
    semantic_hash="",
)


def measured(policy: str, metric: str, value: float | None) -> Measurement:
    """Return a measurement."""
    return Measurement(
        metric=metric,
        value=value,
        unit="1",
        policy=policy,
        scenario="plain",
        actions="greedy",
        seed=0,
        episodes=20,
        exposure=1.0,
    )


def stage(result: Any, state: str = "evaluate") -> AnnealStageResult:
    """Return a visit with this result."""
    return AnnealStageResult(state=state, visit=1, result=result, to="done", why="")


def fits(summary: townlet.AnnealSummary) -> bool:
    """Return whether a summary fits a screen; a line with the run's path may be longer, so that it can be typed."""
    lines = repr(summary).splitlines()
    path = str(Path(summary.path).absolute())
    return len(lines) <= ROWS and all(len(line) <= COLUMNS or path in line for line in lines)


@pytest.mark.slow
def test_a_promotion_is_told_in_the_users_words(tmp_path: Path) -> None:
    """The policy's figure beside the baseline's, what is in force, and the command that says why."""
    schedule = write_learns(tmp_path)
    summary = townlet.anneal(schedule, environment=CorridorProvider(), home=tmp_path / "home")
    evaluation = next(each.result for each in summary.stages if isinstance(each.result, EvaluationResult))
    candidate, teacher = evaluation.measurements[0].value, evaluation.measurements[3].value
    lines = repr(summary).splitlines()
    assert "done: always; the champion moved" == lines[0]
    assert ["policy", "teacher:lazy"] == lines[1].split()
    assert ["return_per_agent_day", f"{candidate:.4g}", f"{teacher:.4g}"] == lines[2].split()
    assert "  greedy, over 20 episodes each of plain" in lines
    assert f"in force: champion is version 1 ({(summary.weights or '')[:12]})" in lines
    assert "visits: capture → bc → ppo → evaluate → promote → done" in lines
    assert f"next, in a shell: townlet audit why {summary.path}" == lines[-1]
    assert fits(summary)


def test_without_an_evaluation_the_last_visits_figures_are_shown(tmp_path: Path) -> None:
    """A run that only records says what it recorded; a rehearsal says what comes after it."""
    summary = townlet.anneal(
        write_plays(tmp_path), environment=CorridorProvider(), home=tmp_path / "home", rehearse=True
    )
    lines = repr(summary).splitlines()
    assert any(line.split()[:1] == ["return_per_agent_day"] for line in lines)
    assert not any(line.startswith("in force") for line in lines)
    assert "then: the same call without rehearse=True" == lines[-1]
    assert fits(summary)


def test_a_held_run_says_the_call_that_goes_on() -> None:
    """After the answer of a person, from Python."""
    lines = repr(evolve(SUMMARY, state="hold", reason="the clone is too weak")).splitlines()
    assert "hold: the clone is too weak; the champion is unchanged" == lines[0]
    path = str(Path(SUMMARY.path).absolute())
    assert [f"next, in a shell: townlet audit why {path}", f"after an answer: townlet.resume({path!r})"] == lines[-2:]


def test_a_number_that_is_missing_is_unknown() -> None:
    """An empty cell could be taken for 0."""
    result = EvaluationResult(
        weights="a" * 64,
        measurements=(measured("a" * 64, "deaths", None), measured("teacher:x", "deaths", 0.5)),
        evidence="",
        looks=1,
    )
    lines = repr(evolve(SUMMARY, stages=(stage(result),))).splitlines()
    assert ["deaths", "unknown", "0.5"] == lines[2].split()


TEXT = st.text(max_size=300)
NUMBERS = st.none() | st.floats()


@given(
    reason=TEXT,
    state=st.sampled_from(["done", "hold", "failed", "aborted"]),
    names=st.lists(TEXT, max_size=30),
    values=st.lists(NUMBERS, max_size=12),
    policies=st.lists(TEXT, max_size=4),
    reservations=st.lists(TEXT, max_size=6).map(tuple),
    moved=st.booleans(),
)
def test_whatever_a_summary_holds_it_fits_a_screen(
    reason: str,
    state: str,
    names: list[str],
    values: list[float | None],
    policies: list[str],
    reservations: tuple[str, ...],
    moved: bool,
) -> None:
    """No control character of a name or a reason reaches the terminal, and `repr` never raises."""
    measurements = tuple(
        measured(policy, f"{index} {name}", value)
        for policy in policies
        for index, (name, value) in enumerate(zip(names, values, strict=False))
    )
    result = EvaluationResult(weights=(policies or [""])[0], measurements=measurements, evidence="", looks=1)
    summary = evolve(
        SUMMARY,
        reason=reason,
        state=state,
        champion_moved=moved,
        reservations=reservations,
        stages=tuple(stage(result, state=name) for name in names),
        run=reason or "run",
    )
    assert fits(summary)
    assert printable(repr(summary)) == repr(summary)


def test_nothing_is_lost_by_a_short_repr() -> None:
    """`model_dump` has every field, the stages included."""
    result = CaptureResult(
        episodes=1.0, samples=1.0, action_entropy=0.0, perturbed_share=0.0, return_per_agent_day=1.0, action_counts={}
    )
    plain = evolve(SUMMARY, stages=(stage(result, "capture"),)).model_dump()
    assert {field.name for field in fields(townlet.AnnealSummary)} == {*plain}
    assert "capture" == plain["stages"][0]["state"]
