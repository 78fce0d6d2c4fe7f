"""The gate on the town, without torch: hand-made policies, a suite of scenarios, and data of a single action."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from handmade import LIVES, QUEUES, WAITS, Rules, weights_of
from numpy.typing import NDArray

from townlet.dto.boundary import ObservationBatchDTO
from townlet.dto.codec import structure
from townlet.dto.evidence import EvidenceTable
from townlet.dto.guards import GuardReport, Verdict
from townlet.dto.journal import Entry, GuardsJudged
from townlet.dto.policy import AnnealSummary, EvaluationResult
from townlet.env.town import TownProvider
from townlet.machine.schedule.loader import ScheduleError
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.ports import EnvironmentProvider, Teacher
from townlet.store.blobs import BlobStore

HEAD = """\
schedule: townlet/v1
name: gate
seed: 3
environment: {id: town, scenario: small_town, worlds: 4}
registry: {name: gate}
"""

GATE = """\
teacher: random
policies: {given: {file: given.safetensors, sha256: DIGEST}, other: {file: other.safetensors, sha256: OTHER}}
evidence: {full: {episodes: [20, 40], days: 2, confidence: 95%, SUITE}}
baselines: {champion: {BASELINE}}
guards:
  better: {metric: EVALUATE.return_per_agent_day, better_by: {baseline: champion, absolute: 0}, evidence: full}
  queue_tolerance:
    metric: EVALUATE.queue_intensity
    not_worse_than: {baseline: champion, relative: 15%, floor: 0.05}
    evidence: full
  lives:
    metric: EVALUATE.deaths
    not_worse_than: {baseline: champion, relative: 25%, floor: 0.04}
    evidence: full
  EXTRA
initial: evaluate
states:
  evaluate:
    strategy: evaluate
    with: {candidate: given}
    next: [{to: promote, when: [GUARDS]}, {to: hold, why: not proven}]
  promote: {strategy: promote, next: [{to: done}]}
"""

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


def run_corridor(
    folder: Path, text: str, environments: EnvironmentProvider | None = None
) -> tuple[AnnealSummary, Mapping[str, GuardReport]]:
    """Walk a schedule and return what happened, and what each guard said last."""
    path, reports = folder / "schedule.yaml", {}
    path.write_text(HEAD + text, encoding="utf-8")

    def listen(entry: Entry) -> None:
        if isinstance(entry.record, GuardsJudged):
            reports.update({report.guard: report for report in entry.record.reports})

    summary = PolicyTrainingOrchestrator(path, environments=environments, home=folder / "home", listen=listen).run()
    return summary, reports


def gate(
    folder: Path,
    given: Rules,
    *,
    other: Rules = WAITS,
    baseline: str = "alias: champion, otherwise: teacher",
    suite: str = "",
    extra: str = "",
    guards: str = "better, queue_tolerance, lives",
) -> str:
    """Write two policies and return the schedule that judges the first."""
    text = GATE
    files = {"given": ("DIGEST", weights_of(given)), "other": ("OTHER", weights_of(other, value_mean=1.0))}
    for name, (blank, data) in files.items():
        (folder / f"{name}.safetensors").write_bytes(data)
        text = text.replace(blank, sha256(data).hexdigest())
    where = "'evaluate[small_town].{0}'" if suite else "evaluate.{0}"
    for metric in ("return_per_agent_day", "queue_intensity", "deaths"):
        text = text.replace(f"EVALUATE.{metric}", where.format(metric))
    for blank, value in (("SUITE", suite), ("BASELINE", baseline), ("EXTRA", extra), ("GUARDS", guards)):
        text = text.replace(blank, value)
    return text.replace(", }", "}")


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


# Tests beside the mean


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
