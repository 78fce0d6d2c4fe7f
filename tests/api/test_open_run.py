"""`townlet.open_run`: what a run has written, as records and as columns, however the run stands."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from attrs import evolve

import townlet
from townlet.dto.evidence import EvidenceTable
from townlet.dto.journal import Entry, OperatorCommand, ProcessStarted, RunCreated, TransitionTaken, VisitStarted
from townlet.dto.policy import PPOTrainingResult
from townlet.errors import BadInputError
from townlet.machine.journal.chain import Journal
from townlet.policy.training.strategies.base import catalogue
from townlet.policy.training.telemetry import Telemetry
from townlet.store.rundir import RunDirectory

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a run of an earlier version that ended in a promotion."""
    return Path(shutil.copytree(GOLDEN, tmp_path / "home"))


@pytest.fixture
def cut(home: Path) -> Callable[[Callable[[Entry], bool]], "Journal"]:
    """Write the run's journal anew up to the first record that fits, as if the run were there now."""
    run = RunDirectory.find(home, "latest")
    entries = townlet.open_run(run.path).journal

    def cut(is_last: Callable[[Entry], bool]) -> Journal:
        run.journal.unlink()
        run.head.unlink()
        journal = Journal(run.journal, run.head, catalogue())
        for entry in entries:
            journal.append(entry.record)
            if is_last(entry):
                break
        return journal

    return cut


def test_records_have_types_and_the_visit_they_belong_to(home: Path) -> None:
    """Journal, visits, guards and evidence of a run of version 1."""
    run = townlet.open_run("latest", home=home)
    assert list(range(26)) == [entry.seq for entry in run.journal]
    assert ["capture", "bc", "ppo", "evaluate", "promote"] == [visit.state for visit in run.visits]
    assert ["bc", "ppo", "evaluate", "promote", "done"] == [visit.to for visit in run.visits]
    assert isinstance(run.visits[2].result, PPOTrainingResult)
    assert [("bc", "cloned"), ("ppo", "finite")] == [(each.state, each.report.guard) for each in run.guards[:2]]
    (evidence,) = run.evidence
    assert isinstance(evidence.table, EvidenceTable)
    assert (evidence.table.candidate, "done") == (run.state.candidate, run.state.state)


def test_every_table_is_columns_of_equal_length_that_pandas_takes(home: Path) -> None:
    """Numbers are float64 or int64, times are times, text is text, and nothing is a Python object."""
    run = townlet.open_run(home / "runs" / "20261122T142623-corridor-10628d")
    columns = run.columns
    tables = [columns.journal, columns.visits, columns.guards, columns.measurements, columns.evidence(1)]
    for table in tables:
        assert len({len(column) for column in table.values()}) == 1
        kinds = {column.dtype.kind for column in table.values() if isinstance(column, np.ndarray)}
        assert kinds <= {"i", "f", "b", "M"}
        texts = [cell for column in table.values() if isinstance(column, list) for cell in column]
        assert {str, type(None)} >= {type(cell) for cell in texts}
        assert len(pd.DataFrame(table)) == len(table["state"])
    guards = pd.DataFrame(columns.guards).set_index("guard")
    assert "pass" == guards.verdict["better"]
    assert 20 == guards.pairs["better"]
    assert np.isnan(guards.p_value["better"])  # the rule of that version had none
    assert guards["at"].is_monotonic_increasing


def test_evidence_becomes_paired_differences_in_one_line(home: Path) -> None:
    """Their mean is the difference that the guard judged."""
    run = townlet.open_run("latest", home=home)
    frame = pd.DataFrame(run.columns.evidence(1, state="evaluate"))
    wide = frame[frame.metric == "return_per_agent_day"].pivot(index="episode", columns="side", values="value")
    (better,) = [each.report for each in run.guards if each.report.guard == "better"]
    assert better.value == pytest.approx((wide.candidate - wide.champion).mean())
    assert len(frame) == len(pd.DataFrame(run.columns.evidence()))


def test_a_visit_without_evidence_is_named_with_those_that_have_some(home: Path) -> None:
    """And a state without iterations too."""
    run = townlet.open_run("latest", home=home)
    with pytest.raises(BadInputError, match=r"no evidence of evaluate visit 7; the run has that of: evaluate visit 1"):
        run.columns.evidence(7, state="evaluate")
    with pytest.raises(BadInputError, match="no iterations of 'ppo'; the run has those of no state"):
        run.columns.metrics("ppo")


def test_an_open_visit_is_there_without_a_result(cut: Callable[..., Journal], home: Path) -> None:
    """A run that is inside ppo has no result of it, no way on, and no number that stands for one."""
    cut(lambda entry: isinstance(entry.record, VisitStarted) and entry.record.state == "ppo")
    run = townlet.open_run("latest", home=home)
    assert (None, None, None) == (run.visits[-1].result, run.visits[-1].finished, run.visits[-1].to)
    last = pd.DataFrame(run.columns.visits).iloc[-1]
    assert "ppo" == last.state
    assert pd.isna(last.finished)
    assert np.isnan(last.duration)
    assert () == run.evidence
    assert 0 == len(pd.DataFrame(run.columns.measurements))


def test_a_visit_that_held_and_goes_on_is_one_visit(cut: Callable[..., Journal], home: Path) -> None:
    """It led to hold until a retry took it up again."""
    journal = cut(lambda entry: isinstance(entry.record, VisitStarted) and entry.record.state == "ppo")
    started = journal.entries[-1].record
    assert isinstance(started, VisitStarted)
    journal.append(TransitionTaken(source="ppo", target="hold", edge=None, why="the disk is full", keeps_visit=True))
    held = townlet.open_run("latest", home=home).visits[-1]
    assert ("ppo", 1, "hold", "the disk is full") == (held.state, held.attempts, held.to, held.why)
    journal.append(TransitionTaken(source="hold", target="ppo", edge=None, why="retry by somebody"))
    journal.append(evolve(started, attempt=2))
    *_, clone, again = townlet.open_run("latest", home=home).visits
    assert ("bc", "ppo", 2, None, "") == (clone.state, again.state, again.attempts, again.to, again.why)


def test_a_rehearsal_says_so(home: Path, cut: Callable[..., Journal]) -> None:
    """Its numbers mean nothing."""
    assert not townlet.open_run("latest", home=home).is_rehearsal
    run = RunDirectory.find(home, "latest")
    created = cut(lambda _: True).entries[0].record
    run.journal.unlink()
    run.head.unlink()
    assert isinstance(created, RunCreated)
    Journal(run.journal, run.head, catalogue()).append(evolve(created, rehearsal=True))
    assert townlet.open_run(run.path).is_rehearsal


def test_a_torn_last_line_is_no_record(home: Path) -> None:
    """A process died, or writes just now; nothing is repaired."""
    path = RunDirectory.find(home, "latest").journal
    with path.open("ab") as stream:
        stream.write(b'{"at":"2026')
    before = path.read_bytes()
    run = townlet.open_run("latest", home=home)
    assert 26 == len(run.journal)
    assert not run.snapshot.is_clean
    assert before == path.read_bytes()


def test_a_damaged_record_is_an_error_that_names_it(home: Path) -> None:
    """No part of such a journal is offered."""
    path = RunDirectory.find(home, "latest").journal
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:17], lines[17].replace(b'"pass"', b'"fail"'), *lines[18:]]))
    with pytest.raises(townlet.JournalBrokenError, match="record 17 is not valid: its hash does not match its content"):
        townlet.open_run("latest", home=home)


def test_it_can_be_opened_while_it_is_written(cut: Callable[..., Journal], home: Path) -> None:
    """Whatever was appended between two reads, the journal holds, and grows."""
    journal = cut(lambda entry: isinstance(entry.record, ProcessStarted))
    written = threading.Event()

    def write() -> None:
        for number in range(60):
            journal.append(OperatorCommand(command="hold", actor="somebody", id=f"{number}"))
        written.set()

    writer = threading.Thread(target=write)
    writer.start()
    lengths = []
    while not written.is_set():
        lengths.append(len(townlet.open_run("latest", home=home).journal))
    writer.join()
    assert sorted(lengths) == lengths
    assert 62 == len(townlet.open_run("latest", home=home).journal)


def test_a_copy_without_its_home_still_tells_what_its_journal_tells(home: Path, tmp_path: Path) -> None:
    """Only evidence is in the home, and the error says where that was."""
    away = Path(shutil.copytree(RunDirectory.find(home, "latest").path, tmp_path / "mailed"))
    shutil.rmtree(home)
    run = townlet.open_run(away, home=tmp_path / "nothing")
    assert (5, 5) == (len(run.visits), len(run.guards))
    with pytest.raises(BadInputError, match="the home of this run"):
        _ = run.evidence


def test_unreadable_points_are_left_out_and_counted(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A full disk tears a line in the middle of the stream, a killed process the last one."""
    path = RunDirectory.find(home, "latest").metrics
    stream = Telemetry(path=path, state="ppo", visit=1)
    stream.emit(1, {"value_loss": 0.5}, agent_steps=10)
    with path.open("a") as file:
        file.write('{"state": "pp{}\n')
    stream.emit(2, {"value_loss": float("nan"), "approx_kl": 0.25}, agent_steps=20)
    with path.open("a") as file:
        file.write('{"state": "pp')
    columns = townlet.open_run("latest", home=home).columns.metrics("ppo")
    expected = {"visit": [1, 1], "step": [1, 2], "agent_steps": [10, 20], "value_loss": [0.5, None]}
    expected["approx_kl"] = [None, 0.25]
    for name, column in expected.items():
        np.testing.assert_array_equal(np.array(column, np.float64), columns[name])
    assert [f"{path}: line 2 cannot be read, 1 in all; they are left out"] == caplog.messages


def test_reading_needs_neither_torch_nor_numba(home: Path) -> None:
    """A script that only reads numbers starts fast."""
    code = (
        "import sys, townlet; run = townlet.open_run('latest', home=sys.argv[1]); "
        "run.columns.evidence(1); run.columns.guards; print([m for m in ('torch', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(home)], capture_output=True, text=True, check=True)
    assert "[]\n" == done.stdout


@pytest.mark.parametrize("word", ["nobody", "", 3])
def test_an_unknown_run_is_refused_in_a_sentence(home: Path, word: object) -> None:
    """As on the command line."""
    with pytest.raises(BadInputError):
        townlet.open_run(word, home=home)  # type: ignore[arg-type]
