"""Files that a user names are checked before a run begins, and what is lost at its end can be written again."""

import json
import shlex
import shutil
from pathlib import Path

import pytest

from townlet.cli import run_command
from townlet.dto.train import TrainRequest
from townlet.policy.compat import records
from townlet.policy.compat.records import CompatWriter
from townlet.store.rundir import RunDirectory
from townlet.store.training_log import TrainingLogWriter

PLAYS = """\
schedule: townlet/v1
name: plays
seed: 3
environment: {id: town, scenario: queue_conflict, worlds: 8}
teacher: scripted
registry: {name: plays}
initial: capture
states:
  capture:
    strategy: capture
    with: {episodes: 4, days: 1}
    next: [{to: done}]
"""
OPTIONS = {"--ppo-log": "rollout", "--anneal-log-dir": "anneal", "--rollout-save-dir": "capture"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home beside a schedule, in the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("plays.yaml").write_text(PLAYS, encoding="utf-8")
    Path("file").write_bytes(b"")
    return Path("home")


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("place", ["file/below", "/proc/self/new/below", "/dev/null/x"])
def test_a_path_that_takes_nothing_is_refused_before_the_run_exists(
    option: str, place: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A parent that is a file, or a file system that takes no files: one sentence, and no run."""
    schedule = "quickstart" if option == "--ppo-log" else "plays.yaml"
    words = ["train", schedule, "--home", str(home), "--mode", OPTIONS[option], option, place]
    assert 2 == run_command(words)
    error = capsys.readouterr().err
    assert f"{option} {place}" in error
    assert "nothing was begun" in error
    assert not home.exists()


def test_a_directory_is_no_log_and_a_log_directory_no_file(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each kind of output is checked for what it is."""
    Path("logs/anneal_results.json").mkdir(parents=True)
    for mode, option, place in (("rollout", "--ppo-log", "logs"), ("anneal", "--anneal-log-dir", "logs")):
        assert 2 == run_command(["train", "quickstart", "--home", str(home), "--mode", mode, option, place])
        assert "is a directory" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--anneal-log-dir", "--rollout-save-dir"])
def test_what_is_lost_at_the_end_is_written_again_by_the_printed_command(
    option: str,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The run is done, its document is printed, the code is 4; pasted elsewhere, the command writes the files."""
    write = records.write_outputs

    def with_a_file_in_the_way(*args: object) -> None:
        Path("out").write_bytes(b"in the way")
        write(*args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(records, "write_outputs", with_a_file_in_the_way)
        words = ["train", "plays.yaml", "--home", str(home), "--mode", OPTIONS[option], option, "out"]
        assert 4 == run_command(words)
    captured = capsys.readouterr()
    assert json.loads(captured.out)
    assert "the run ended well" in captured.err
    Path("out").unlink()
    monkeypatch.chdir(tmp_path.parent)
    command = shlex.split(" ".join(captured.err.split()).split("write them again with: townlet ")[1])
    assert 0 == run_command(command)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    expected = "anneal_results.json" if option == "--anneal-log-dir" else "rollout_sample_manifest.json"
    assert expected in names


def test_a_training_log_that_fails_on_the_way_ends_no_run(tmp_path: Path) -> None:
    """Its lines are counted, and the loss is said when the run has ended."""
    writer = TrainingLogWriter(tmp_path / "logs" / "log.jsonl")
    compat = CompatWriter(TrainRequest(), rounds=None, reader=None, writer=writer)  # type: ignore[arg-type]
    (tmp_path / "logs").write_bytes(b"in the way")
    for _ in range(3):
        compat._log(writer, lambda each: each._write(None))  # type: ignore[arg-type]
    assert 3 == compat.lost_lines
    assert 1 == len(compat.problems)


def test_only_a_run_that_has_ended_is_written_out(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing named, or a held run: the command says what to do."""
    text = PLAYS.replace("next: [{to: done}]", "next: [{to: hold, why: wait}]")
    Path("plays.yaml").write_text(text, encoding="utf-8")
    assert 3 == run_command(["run", "plays.yaml", "--home", str(home)])
    assert 2 == run_command(["logs", "write", "latest", "--home", str(home)])
    assert "--anneal-log-dir" in capsys.readouterr().err
    assert 2 == run_command(["logs", "write", "latest", "--home", str(home), "--rollout-save-dir", "out"])
    assert "the run has not ended" in capsys.readouterr().err
    shutil.rmtree(RunDirectory.find(home, "latest").path)
