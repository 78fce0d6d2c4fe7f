"""The gate on the town, without torch: hand-made policies, a suite of scenarios, and data of a single action."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from gates import gate, run_corridor
from handmade import LIVES, QUEUES, WAITS
from numpy.typing import NDArray

from townlet.dto.boundary import ObservationBatchDTO
from townlet.dto.guards import GuardReport, Verdict
from townlet.dto.policy import EvaluationResult
from townlet.env.town import TownProvider
from townlet.machine.schedule.loader import ScheduleError
from townlet.ports import Teacher

CAPTURE = """\
teacher: TEACHER
guards:
  varied_actions: {metric: capture.action_entropy, at_least: 0.20}
initial: capture
states:
  capture:
    strategy: capture
    with: {episodes: 2, days: 1}
    next: [{to: done, when: [varied_actions]}, {to: hold, why: the data set was rejected}]
"""

ELSEWHERE = (
    "elsewhere: {metric: 'evaluate[crowded].return_per_agent_day', "
    "not_worse_than: {baseline: champion, relative: 5%, floor: 1.0}, evidence: full}"
)


def verdicts(reports: Mapping[str, GuardReport]) -> dict[str, Verdict]:
    """Return the verdict of each guard."""
    return {name: report.verdict for name, report in reports.items()}


# Policies that must not pass


def test_a_policy_that_lowers_queue_intensity_by_not_living_is_not_promoted(tmp_path: Path) -> None:
    """It waits for ever: nobody eats or works, no queue forms, and everything else about it is worse than chance."""
    summary, reports = run_corridor(tmp_path, gate(tmp_path, WAITS))

    assert ("hold", False) == (summary.state, summary.champion_moved)
    assert {"queue_tolerance": Verdict.PASS, "better": Verdict.FAIL, "lives": Verdict.FAIL} == verdicts(reports)
    (evaluation,) = (stage.result for stage in summary.stages)
    assert isinstance(evaluation, EvaluationResult)
    mine = {m.metric: m.value for m in evaluation.measurements if m.policy == evaluation.weights}
    assert (0.0, 0.0) == (mine["queue_intensity"], mine["attendance"])


def test_a_policy_that_acts_as_the_champion_does_is_not_promoted(tmp_path: Path) -> None:
    """Other bytes, the same acts: no episode differs, which is not worse, and not better either."""
    text = gate(tmp_path, LIVES, other=LIVES, baseline="policy: other")
    summary, reports = run_corridor(tmp_path, text)

    assert ("hold", False) == (summary.state, summary.champion_moved)
    assert {"queue_tolerance": Verdict.PASS, "better": Verdict.FAIL, "lives": Verdict.PASS} == verdicts(reports)
    assert "all 40 differences equal" in reports["better"].sentence


class Idler:
    """Only ever waits."""

    def act(self, observations: ObservationBatchDTO) -> NDArray[np.int64]:
        """Return zeros: ``wait``."""
        return np.zeros(observations.alive.shape, np.int64)


class Idle(TownProvider):
    """A town whose scripts have become idle."""

    def teacher(self, scenario: str, name: str) -> Teacher:
        """Return the idler, whoever is asked for."""
        return Idler()


@pytest.mark.parametrize(
    ("environments", "state", "expected"), [(Idle(), "hold", Verdict.FAIL), (TownProvider(), "done", Verdict.PASS)]
)
def test_a_data_set_of_a_single_action_is_refused(
    tmp_path: Path, environments: TownProvider, state: str, expected: Verdict
) -> None:
    """There is nothing to learn from a teacher that never chooses; the script's own play passes."""
    summary, reports = run_corridor(tmp_path, CAPTURE.replace("TEACHER", "scripted"), environments)

    assert state == summary.state
    assert expected is reports["varied_actions"].verdict
    assert (expected is Verdict.FAIL) == (reports["varied_actions"].value == 0.0)


# A suite of scenarios


def test_a_suite_is_played_judged_and_promoted_on_from_end_to_end(tmp_path: Path) -> None:
    """Better than chance in the small town, and not worse in a town of twice as many agents than it was made for."""
    text = gate(tmp_path, LIVES, suite="scenarios: [small_town, crowded]", extra=ELSEWHERE, guards="better, elsewhere")
    summary, reports = run_corridor(tmp_path, text)

    assert ("done", True) == (summary.state, summary.champion_moved)
    assert {"better": Verdict.PASS, "elsewhere": Verdict.PASS} == verdicts(reports)
    here, there = (reports[name].value for name in ("better", "elsewhere"))
    assert here is not None
    assert there is not None
    assert here != there
    evaluation = next(stage.result for stage in summary.stages if stage.state == "evaluate")
    assert isinstance(evaluation, EvaluationResult)
    assert {"small_town", "crowded"} == {m.scenario for m in evaluation.measurements}


def test_what_is_better_at_home_and_worse_elsewhere_is_not_promoted(tmp_path: Path) -> None:
    """It beats a town that stands still in both, so judged against that it passes; a crowd of queuers earns nothing."""
    suite, guards = "scenarios: [small_town, crowded]", "better, elsewhere"
    at_home = gate(tmp_path, QUEUES, baseline="policy: other", suite=suite, extra=ELSEWHERE, guards=guards)
    summary, reports = run_corridor(tmp_path, at_home)
    assert {"better": Verdict.PASS, "elsewhere": Verdict.PASS} == verdicts(reports)
    assert summary.champion_moved

    folder = tmp_path / "against chance"
    folder.mkdir()
    against_chance = gate(folder, QUEUES, suite=suite, extra=ELSEWHERE, guards="elsewhere, better")
    summary, reports = run_corridor(folder, against_chance)
    assert Verdict.FAIL is reports["elsewhere"].verdict
    assert not summary.champion_moved


@pytest.mark.parametrize(
    ("suite", "message"),
    [
        ("scenarios: [small_town]", "unknown scenario of the suite 'crowded'"),
        ("scenarios: [small_town, crowdd]", "unknown scenario 'crowdd'; did you mean 'crowded'?"),
        ("scenarios: [small_town, crowded, city]", "scenario 'city' has other features or actions than 'small_town'"),
        ("scenarios: [small_town, crowded, crowded]", "scenario 'crowded' stands here twice"),
    ],
)
def test_a_suite_that_cannot_be_played_is_refused_at_load(tmp_path: Path, suite: str, message: str) -> None:
    """A scenario nobody plays, a name nobody knows, another set of objects: refused before anything is written."""
    text = gate(tmp_path, LIVES, suite=suite, extra=ELSEWHERE, guards="better, elsewhere")
    with pytest.raises(ScheduleError, match=message.replace("?", r"\?")):
        run_corridor(tmp_path, text)
    assert not (tmp_path / "home").exists()
