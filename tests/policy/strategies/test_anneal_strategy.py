"""anneal: one story of every round in the summary, the training log, anneal_results.json and the journal."""

import json
from pathlib import Path

import pytest
from scripted import DULL, GOOD, TRIPS, Round, Script, write_three_rounds

from townlet.dto.guards import Verdict
from townlet.dto.journal import GuardsJudged
from townlet.dto.policy import AnnealSummary
from townlet.machine.audit.gc import stored_schedule
from townlet.machine.journal.chain import read
from townlet.policy.compat.legacy import legacy_payload
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.policy.training.strategies.base import catalogue
from townlet.store.rundir import RunDirectory
from townlet.store.training_log import read_log, summarise

FLAGS = ("anneal_loss_flag", "anneal_queue_flag", "anneal_intensity_flag")


def anneal(folder: Path, *rounds: Round, accuracy: float = 0.95) -> AnnealSummary:
    """Walk three scripted rounds, with a log directory."""
    script = Script(rounds=rounds or (DULL, TRIPS, GOOD), accuracy=accuracy)
    orchestrator = PolicyTrainingOrchestrator(
        write_three_rounds(folder), home=folder / "home", strategies=script.strategies()
    )
    return orchestrator.run_anneal(log_dir=folder / "logs")


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> tuple[AnnealSummary, Path]:
    """A walk whose guards trip in the second of three rounds."""
    folder = tmp_path_factory.mktemp("anneal")
    return anneal(folder), folder


TOLD = [(None, False, False), (True, True, True), (False, False, False)]
"""Flags of loss, conflicts and intensity per round: no loss to compare the first with, then all trip, then none."""


def test_the_summary_tells_which_round_tripped(walked: tuple[AnnealSummary, Path]) -> None:
    """The second of three."""
    told = [stage for stage in legacy_payload(walked[0])["results"] if stage["mode"] == "ppo"]
    assert TOLD == [tuple(stage[flag] for flag in FLAGS) for stage in told]
    assert [1, 2, 3] == [stage["cycle"] for stage in told]


def test_the_closing_lines_of_the_log_tell_the_same(walked: tuple[AnnealSummary, Path]) -> None:
    """One line per round, after its guards; with the baseline the loss was compared with."""
    lines = [line.values for line in read_log(walked[1] / "logs" / "training_log.jsonl") if line.closing]
    assert TOLD == [tuple(line[flag] for flag in FLAGS) for line in lines]
    assert [None, 0.2, 0.2] == [line["anneal_loss_baseline"] for line in lines]
    assert [(0.95, 0.9, True)] * 3 == [
        (line["anneal_bc_accuracy"], line["anneal_bc_threshold"], line["anneal_bc_passed"]) for line in lines
    ]
    assert 3 == summarise(walked[1] / "logs" / "training_log.jsonl").rounds


def test_anneal_results_is_the_list_that_the_summary_holds(walked: tuple[AnnealSummary, Path]) -> None:
    """One file, one list, the same stages."""
    stored = json.loads((walked[1] / "logs" / "anneal_results.json").read_text())
    assert legacy_payload(walked[0])["results"] == stored
    assert ["bc", "ppo", "ppo", "ppo"] == [stage["mode"] for stage in stored]


def test_the_journal_holds_the_verdicts_behind_the_flags(walked: tuple[AnnealSummary, Path]) -> None:
    """FAIL where a flag is true, PASS where it is false, SKIPPED where it is null."""
    run = RunDirectory.at(Path(walked[0].path))
    names = ("loss", "conflicts", "intensity")
    verdicts = []
    for entry in read(run.journal, run.head, catalogue()).entries:
        if isinstance(entry.record, GuardsJudged) and entry.record.state == "evaluate":
            by_name = {report.guard: report.verdict for report in entry.record.reports}
            verdicts.append(tuple(by_name[name] for name in names))
    words = {None: Verdict.SKIPPED, True: Verdict.FAIL, False: Verdict.PASS}
    assert [tuple(words[flag] for flag in flags) for flags in TOLD] == verdicts


def test_the_promotion_snapshot_is_written_and_says_promoted(walked: tuple[AnnealSummary, Path]) -> None:
    """Two evaluations failed, the third passed and moved the alias."""
    stored = json.loads((walked[1] / "logs" / "promotion_snapshot.json").read_text())
    assert walked[0].promotion.model_dump() == stored
    assert "promoted" == stored["state"]
    assert ["fail", "fail", "pass", "promoted"] == [event["event"] for event in stored["history"]]
    assert (None, 1) == (stored["initial_release"], stored["pass_streak"])


@pytest.mark.parametrize(
    ("rounds", "accuracy", "expected"),
    [
        ((DULL, TRIPS, GOOD), 0.95, ("PASS", "done")),
        ((DULL, DULL, DULL, DULL), 0.95, ("FAIL", "hold")),
        ((GOOD,), 0.5, ("FAIL", "hold")),
    ],
)
def test_the_status_says_how_it_ended(
    rounds: tuple[Round, ...], accuracy: float, expected: tuple[str, str], tmp_path: Path
) -> None:
    """PASS: promoted. FAIL: the last weights were rolled back, or the clone was refused."""
    summary = anneal(tmp_path, *rounds, accuracy=accuracy)
    assert expected == (summary.status, summary.state)


def test_the_device_of_a_run_stands_in_its_own_schedule(tmp_path: Path) -> None:
    """`run(device=…)` takes the place of what bc and ppo say, and the run directory keeps it for resume and audit."""
    script = Script(rounds=(GOOD,), accuracy=0.95)
    facade = PolicyTrainingOrchestrator(
        write_three_rounds(tmp_path), home=tmp_path / "home", strategies=script.strategies()
    )
    summary = facade.run(device="auto")
    kept = stored_schedule(RunDirectory.find(tmp_path / "home", summary.run))
    told = {state.strategy: state.with_.get("device") for state in kept.states.values()}
    assert ("auto", "auto", None) == (told["bc"], told["ppo"], told["evaluate"])
    assert (summary.head, summary.state) == ((again := facade.resume(summary.run)).head, again.state)
