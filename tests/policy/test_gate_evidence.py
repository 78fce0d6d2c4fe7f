"""The gate's tests beside the mean, on the town: counts of deaths, shares of bad episodes, control variates."""

import json
from pathlib import Path

import pytest
from gates import gate, run_corridor
from handmade import LIVES

from townlet.dto.codec import structure
from townlet.dto.evidence import EvidenceTable
from townlet.dto.guards import Verdict
from townlet.dto.policy import AnnealSummary, EvaluationResult
from townlet.machine.schedule.loader import ScheduleError
from townlet.store.blobs import BlobStore


def stored(folder: Path, summary: AnnealSummary) -> EvidenceTable:
    """Return the evidence of the evaluate visit."""
    evaluation = next(stage.result for stage in summary.stages if stage.state == "evaluate")
    assert isinstance(evaluation, EvaluationResult)
    return structure(json.loads(BlobStore(folder / "home" / "blobs").get(evaluation.evidence)), EvidenceTable)


def test_deaths_are_judged_by_the_events_that_the_town_counted(tmp_path: Path) -> None:
    """The evidence has deaths and agent-days of every episode, and of no other KPI; the report names both sums."""
    margin = "{baseline: champion, relative: 25%, floor: 0.04}"
    counted = f"lives_counted: {{metric: evaluate.deaths, not_worse_than: {margin}, evidence: full, test: count}}"
    text = gate(tmp_path, LIVES, extra=counted, guards="better, lives_counted")
    summary, reports = run_corridor(tmp_path, text)
    report, (row, *others) = reports["lives_counted"], [each for each in stored(tmp_path, summary).metrics if each.sums]

    assert ("deaths", []) == (row.metric, others)
    episodes = report.look * 20
    deaths = {policy: sum(row.sums[policy][:episodes]) for policy in ("candidate", "champion")}
    assert {16.0} == set(row.exposures["candidate"])
    assert f"{deaths['candidate']:.0f} events against {deaths['champion']:.0f}" in report.sentence
    assert report.baseline == pytest.approx(deaths["champion"] / (16 * episodes))


def test_a_promotion_waits_for_the_episodes_that_its_tail_guard_needs(tmp_path: Path) -> None:
    """The mean decides at the first look of 20; a limit of 20 % needs the second, and gets it."""
    share = "{baseline: champion, absolute: 2, at_most: 20%}"
    rare = f"rare: {{metric: evaluate.return_per_agent_day, share_worse: {share}, evidence: full}}"
    text = gate(tmp_path, LIVES, extra=rare, guards="better, rare")
    summary, reports = run_corridor(tmp_path, text)

    assert ("done", True) == (summary.state, summary.champion_moved)
    assert (1, 2) == (reports["better"].look, reports["rare"].look)
    assert (20, 40) == stored(tmp_path, summary).looks


def test_a_candidate_that_is_often_much_worse_is_not_promoted(tmp_path: Path) -> None:
    """What lives is better than chance, and far from better by 50 a day in most episodes."""
    rare = "rare: {metric: evaluate.return_per_agent_day, share_below: {limit: 50, at_most: 25%}, evidence: full}"
    summary, reports = run_corridor(tmp_path, gate(tmp_path, LIVES, extra=rare, guards="better, rare"))

    assert ("hold", Verdict.FAIL) == (summary.state, reports["rare"].verdict)


def test_a_control_variate_adds_episodes_of_the_baseline_alone(tmp_path: Path) -> None:
    """Sixty of the champion's, on seeds of their own; the mean difference is corrected by them, and nothing else is."""
    control = "control: {episodes: 60, coefficient: -1}"
    plain, controlled = (tmp_path / name for name in ("plain", "controlled"))
    for folder in (plain, controlled):
        folder.mkdir()
    _, before = run_corridor(plain, gate(plain, LIVES))
    text = gate(controlled, LIVES).replace("confidence: 95%", f"confidence: 95%, {control}")
    summary, after = run_corridor(controlled, text)
    table, report = stored(controlled, summary), after["better"]

    (row,) = [each for each in table.metrics if each.metric == "return_per_agent_day"]
    assert 60 == len(row.control["champion"])
    assert not set(row.control["champion"]) & set(row.values["champion"])
    pairs = report.pairs
    own, alone = (sum(each) / len(each) for each in (row.values["champion"][:pairs], row.control["champion"]))
    assert before["better"].value is not None
    assert report.value == pytest.approx(before["better"].value + (own - alone))
    assert "60 further episodes of the baseline" in report.sentence


def test_a_covariate_is_what_the_first_observations_show(tmp_path: Path) -> None:
    """The mean hunger at the start of each pair, and of sixty episodes that are only begun; no agent-step is added."""
    plain, controlled = (tmp_path / name for name in ("plain", "controlled"))
    for folder in (plain, controlled):
        folder.mkdir()
    before, _ = run_corridor(plain, gate(plain, LIVES))
    control = "control: {episodes: 60, coefficient: 5, covariate: hunger}"
    text = gate(controlled, LIVES).replace("confidence: 95%", f"confidence: 95%, {control}")
    summary, reports = run_corridor(controlled, text)
    table = stored(controlled, summary)

    assert (20, 60) == (len(table.covariates["small_town"][:20]), len(table.further_covariates["small_town"]))
    assert 0 < min(table.covariates["small_town"]) < max(table.covariates["small_town"]) < 1
    assert before.stages[0].result.agent_steps == summary.stages[0].result.agent_steps
    assert "20 pairs, 60 further episodes, " in reports["better"].sentence


def test_a_covariate_that_no_observation_shows_is_refused(tmp_path: Path) -> None:
    """The nearest feature is named."""
    control = "control: {episodes: 60, coefficient: 5, covariate: hungr}"
    text = gate(tmp_path, LIVES).replace("confidence: 95%", f"confidence: 95%, {control}")
    with pytest.raises(ScheduleError, match="unknown feature 'hungr'; did you mean 'hunger'"):
        run_corridor(tmp_path, text)
