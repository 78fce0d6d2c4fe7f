"""The command line: results on stdout, one clear error message on stderr, the documented exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from townlet.cli import run_command
from townlet.dto.codec import structure
from townlet.dto.comparison import ComparisonResult
from townlet.dto.policy import AnnealSummary
from townlet.machine.schedule.forecast import Forecast

ROOT = Path(__file__).parents[1]
QUICKSTART = ROOT / "schedules" / "quickstart.yaml"

PLAYS = """\
schedule: townlet/v1
name: plays
seed: 3
environment: {id: town, scenario: queue_conflict, worlds: 8}
teacher: scripted
registry: {name: plays}
guards: {enough: {metric: capture.episodes, at_least: LEAST}}
initial: capture
states:
  capture:
    strategy: capture
    with: {episodes: 4, days: 1}
    next: [{to: done, when: [enough]}, {to: hold, why: too few}]
"""


def schedule(folder: Path, least: str = "2") -> Path:
    """Write a schedule that only captures, and return its path."""
    path = folder / "plays.yaml"
    path.write_text(PLAYS.replace("LEAST", least), encoding="utf-8")
    return path


def run(path: Path, home: Path, *more: str) -> int:
    """Run a schedule in a home and return the exit code."""
    return run_command(["run", str(path), "--home", str(home), *more])


@pytest.mark.torch
@pytest.mark.parametrize("where", ["flag", "schedule"])
def test_a_gpu_that_is_not_there_is_refused_before_the_run_exists(
    tmp_path: Path, where: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requested by `--device` or by a state: exit code 2, one sentence, and nothing is written."""
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    path, home = tmp_path / "tiny.yaml", tmp_path / "home"
    text = (ROOT / "tests" / "crash" / "tiny.yaml").read_text(encoding="utf-8")
    path.write_text(text.replace("{update_epochs", "{device: cuda, update_epochs") if where == "schedule" else text)
    flags = ["--device", "cuda"] if where == "flag" else []
    assert 2 == run(path, home, *flags)
    complaint = capsys.readouterr().err.strip()
    assert "state bc: device cuda was asked for, but torch sees no GPU here; choose cpu or auto" in complaint
    assert not home.exists()


def test_check_prints_what_a_run_can_cost_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The forecast comes back through the codec."""
    monkeypatch.chdir(tmp_path)
    assert 0 == run_command(["check", str(QUICKSTART), "--json"])
    forecast = structure(json.loads(capsys.readouterr().out), Forecast)
    assert {"capture", "bc", "ppo", "evaluate", "promote", "rollback"} == {state.state for state in forecast.states}
    assert [] == list(tmp_path.iterdir())


def test_ten_mistakes_are_reported_at_once_with_their_places(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, ten lines of file:line:column, nothing written."""
    path = ROOT / "tests" / "machine" / "data" / "ten_mistakes.yaml"
    assert 2 == run(path, tmp_path / "home")
    complaint = capsys.readouterr().err
    assert 10 == sum(line.removeprefix("error: ").startswith(str(path)) for line in complaint.splitlines())
    assert not (tmp_path / "home").exists()


def test_a_run_ends_with_its_head_and_its_seconds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit line is what a person keeps to find an edit later."""
    assert 0 == run(schedule(tmp_path), tmp_path / "home")
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0].startswith("done: ")
    assert any(line.startswith("head ") and len(line) == 69 for line in lines)
    assert lines[-1].endswith(" s")
    assert "enough: capture.episodes 4 is at least 2" in captured.err


def test_the_device_of_the_command_line_stands_in_the_runs_own_schedule(tmp_path: Path) -> None:
    """Resume and audit read it there; a schedule that trains nothing is not changed."""
    assert 0 == run(schedule(tmp_path), tmp_path / "home", "--device", "auto")
    (stored,) = (tmp_path / "home").glob("runs/*/schedule.yaml")
    assert "capture" in stored.read_text(encoding="utf-8")
    assert "device" not in stored.read_text(encoding="utf-8")


def test_json_is_one_document_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The summary comes back through the codec."""
    assert 0 == run(schedule(tmp_path), tmp_path / "home", "--json")
    summary = structure(json.loads(capsys.readouterr().out), AnnealSummary)
    assert ("done", 1) == (summary.state, len(summary.stages))


def test_a_held_run_exits_with_three(tmp_path: Path) -> None:
    """An operator must decide."""
    path = schedule(tmp_path, "100")
    path.write_text(path.read_text("utf-8").replace("capture.episodes", "capture.return_per_agent_day"), "utf-8")
    assert 3 == run(path, tmp_path / "home")


def test_the_audit_is_clean_until_a_byte_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Verifying answers 0, then 5 with the sequence number."""
    home = tmp_path / "home"
    run(schedule(tmp_path), home)
    assert 0 == run_command(["audit", "verify", "latest", "--home", str(home)])
    (journal,) = home.glob("runs/*/journal.jsonl")
    data = bytearray(journal.read_bytes())
    place = data.index(b'"seed":3') + len(b'"seed":')
    data[place : place + 1] = b"4"
    journal.write_bytes(bytes(data))
    assert 5 == run_command(["audit", "verify", "latest", "--home", str(home)])
    assert "record 0" in capsys.readouterr().err


def test_why_prints_the_operands_of_each_guard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Value, limit and verdict, from the journal alone."""
    home = tmp_path / "home"
    run(schedule(tmp_path), home)
    assert 0 == run_command(["audit", "why", "latest", "--exact", "--home", str(home)])
    assert "value 4.0, limit 2.0" in capsys.readouterr().out
    assert 0 == run_command(["audit", "show", "latest", "--home", str(home)])
    assert "visit_finished" in capsys.readouterr().out


def test_two_policies_are_compared_without_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    """A policy against itself differs nowhere."""
    words = [
        "--against",
        "teacher:scripted",
        "--scenario",
        "queue_conflict",
        "--episodes",
        "4",
        "--days",
        "1",
        "--json",
    ]
    assert 0 == run_command(["evaluate", "teacher:scripted", *words])
    result = structure(json.loads(capsys.readouterr().out), ComparisonResult)
    assert {0.0} == {row.difference for row in result.metrics if row.difference is not None}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["run", "absent.yaml"], "cannot read schedule 'absent.yaml'"),
        (["run", "HERE", "--seed", "-1"], "seed"),
        (["run", "HERE", "--directory", "HOME"], "exists already"),
        (["audit", "verify", "latest"], "there is no run yet"),
        (["audit", "verify", "20260101"], "neither a run directory nor the beginning of a run id"),
        (["evaluate", "teacher:nobody"], "unknown teacher 'nobody'"),
        (["evaluate", "teacher:random", "--scenario", "big_town"], "unknown scenario 'big_town'"),
        (["evaluate", "teacher:random", "--episodes", "-3"], "cannot compare over -3 episodes"),
        (["evaluate", "nothing.safetensors"], "is no policy"),
        (["evaluate", "town@champion"], "has no alias"),
        (["evaluate", "HERE"], "not a safetensors file"),
        (["paint"], 'Unknown command "paint"'),
        (["run"], "requires an argument"),
        (["run", "quikstart"], "did you mean 'quickstart'?"),
        (["check", "quikstart"], "unknown schedule 'quikstart'"),
        (["train", "quikstart"], "unknown schedule 'quikstart'"),
    ],
)
def test_bad_input_gets_one_complaint_and_leaves_nothing(
    words: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2, no traceback, no home directory."""
    monkeypatch.chdir(tmp_path)
    path = schedule(tmp_path)
    (tmp_path / "taken").mkdir()
    places = {"HERE": str(path), "HOME": str(tmp_path / "taken")}
    assert 2 == run_command([places.get(word, word) for word in words])
    error = capsys.readouterr().err
    assert complaint in " ".join(error.split())
    assert "Traceback" not in error
    assert not list(tmp_path.glob(".townlet/runs/*"))


def test_training_on_the_processor_needs_no_torch(tmp_path: Path) -> None:
    """A rehearsal clones, learns, evaluates and ends; torch never enters the process, installed or not."""
    code = (
        "import sys; from townlet.cli import run_command; "
        "code = run_command(['run', sys.argv[1], '--rehearse', '--home', sys.argv[2]]); "
        "print(code, 'torch' in sys.modules)"
    )
    words = [sys.executable, "-c", code, str(QUICKSTART), str(tmp_path / "home")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "0 False" == done.stdout.splitlines()[-1]


def test_a_rehearsal_visits_all_states_and_promotes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tiny numbers, seconds; exit line and journal say rehearsal."""
    assert 0 == run(QUICKSTART, tmp_path, "--rehearse", "--json")
    summary = structure(json.loads(capsys.readouterr().out), AnnealSummary)
    assert summary.rehearsal
    assert {"capture", "bc", "ppo", "evaluate", "promote"} <= {stage.state for stage in summary.stages}
    assert summary.champion_moved is False
    assert 0 == run_command(["registry", "history", "--run", "latest-rehearsal", "--home", str(tmp_path), "--json"])
    assert [] == json.loads(capsys.readouterr().out)


def test_ctrl_c_leaves_a_durable_journal(tmp_path: Path) -> None:
    """A real SIGINT to a real process: exit code 130, and the audit of what was written is clean."""
    path = tmp_path / "long.yaml"
    path.write_text(PLAYS.replace("LEAST", "2").replace("episodes: 4, days: 1", "episodes: 64, days: 30"))
    home = tmp_path / "home"
    # A shell makes its background jobs ignore SIGINT, and the tests may be one of them.
    default = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{default}; from townlet.cli import main; main()"
    command = [sys.executable, "-c", code, "run", str(path), "--home", str(home)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "capture" not in (line := process.stderr.readline()):
            assert line, "the run ended before its first state"
        process.send_signal(2)
        assert 130 == process.wait(timeout=60)
    assert 0 == run_command(["audit", "verify", "latest", "--home", str(home)])
