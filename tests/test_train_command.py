"""`townlet train` and `townlet logs`: existing flags, one JSON document on stdout, the page that explains them."""

import json
import subprocess
import sys
from pathlib import Path
from time import time
from typing import cast

import attrs
import pytest

from townlet.cli import run_command, run_training
from townlet.commands.train import reference
from townlet.dto.journal import OperatorCommand
from townlet.dto.train import MODES, TrainRequest
from townlet.machine.engine.inbox import send
from townlet.store.rundir import RunDirectory

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "train.md"
TRAINS = """\
schedule: townlet/v1
name: trains
seed: 3
environment: {id: town, scenario: queue_conflict, worlds: 4}
teacher: scripted
registry: {name: trains, scope: run}
guards: {cloned: {metric: bc.heldout_accuracy, at_least: LEAST}}
initial: capture
states:
  capture: {strategy: capture, with: {episodes: 4, days: 1}, next: [{to: bc}]}
  bc:
    strategy: bc
    with: {update_epochs: 1, value_epochs: 0, hidden_sizes: [8]}
    next: [{to: ppo, when: [cloned]}, {to: hold, why: the clone is too weak}]
  ppo: {strategy: ppo, with: {agent_steps: 1, num_steps: 16, days: 1}, next: [{to: done}]}
"""
FLAGS = """
--mode --replay-sample --replay-meta --replay-manifest --capture-dir --replay-batch-size --replay-shuffle --replay-seed
--replay-drop-last --replay-streaming --bc-manifest --anneal-log-dir --anneal-exit-on-failure --train-ppo
--rollout-save-dir --rollout-ticks --rollout-auto-seed-agents --epochs --ppo-log --ppo-log-frequency
--ppo-log-max-entries --device --ppo-learning-rate --ppo-clip-param --ppo-value-loss-coef --ppo-entropy-coef
--ppo-num-epochs --ppo-mini-batch-size --ppo-num-mini-batches --ppo-gae-lambda --ppo-gamma --ppo-max-grad-norm
--ppo-value-clip --ppo-normalize-advantages --ppo-no-normalize-advantages
"""


def train(folder: Path, *words: str, least: str = "0.01") -> int:
    """Train on a small town and return the exit code."""
    path = folder / "trains.yaml"
    path.write_text(TRAINS.replace("LEAST", least), encoding="utf-8")
    return run_command(["train", str(path), "--home", str(folder / "home"), *words])


def test_every_flag_of_earlier_releases_is_there() -> None:
    """One table: the record that the command line is made from."""
    assert set(FLAGS.split()) == {TrainRequest.flag(field.name) for field in attrs.fields(TrainRequest)}
    assert {"replay", "rollout", "mixed", "bc", "anneal"} < set(MODES)


def test_the_reference_page_is_made_from_the_table() -> None:
    """docs/reference/train.md is generated; where this fails, run this file."""
    assert reference() == PAGE.read_text(encoding="utf-8")


def test_the_console_script_is_the_same_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """`run_training` is `townlet train`."""
    monkeypatch.setattr(sys, "argv", ["run_training", "absent.yaml"])
    with pytest.raises(SystemExit) as left:
        run_training()
    assert 2 == left.value.code


def test_captured_play_is_saved_and_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without torch: capture, then summaries of what it saved."""
    saved = tmp_path / "saved"
    assert 0 == train(tmp_path, "--mode", "capture", "--rollout-ticks", "60", "--rollout-save-dir", str(saved))
    captured = json.loads(capsys.readouterr().out)
    assert captured["timesteps"] > 0
    manifest = saved / "rollout_sample_manifest.json"
    assert 0 == train(tmp_path, "--mode", "replay", "--replay-manifest", str(manifest), "--replay-batch-size", "4")
    told = json.loads(capsys.readouterr().out)
    assert 4 == told["summaries"][0]["batch_size"]
    assert told["baseline"]["sample_count"] == len(json.loads(manifest.read_text())["samples"])
    assert told["baseline"]["reward_sum"] == pytest.approx(captured["reward_sum"], rel=1e-4)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--mode", "replay"], "needs a data set"),
        (["--mode", "replay", "--capture-dir", "a", "--replay-manifest", "b"], "--capture-dir and --replay-manifest"),
        (["--mode", "paint"], "paint"),
        (["--mode", "replay", "--replay-manifest", "none.json"], "none.json: cannot be read"),
        (["--mode", "capture", "--rollout-ticks", "0"], "--rollout-ticks is 0"),
        (["--epochs", "many"], "many"),
    ],
)
def test_bad_flags_exit_with_two(
    words: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One complaint on stderr, nothing on stdout, nothing written."""
    assert 2 == train(tmp_path, *words)
    captured = capsys.readouterr()
    assert complaint in " ".join(captured.err.split())
    assert "" == captured.out
    assert not (tmp_path / "home").exists()


@pytest.mark.slow
def test_a_rollout_writes_a_log_that_validates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two epochs, the first on what was captured; a closing line; the document is the last epoch."""
    log = tmp_path / "x.jsonl"
    words = ["--mode", "rollout", "--rollout-ticks", "60", "--ppo-log", str(log), "--epochs", "2"]
    assert 0 == train(tmp_path, *words)
    assert 2 == json.loads(capsys.readouterr().out)["epoch"]
    assert 0 == run_command(["logs", "validate", str(log)])
    assert "valid: 3 lines in 1 files, generations: 3 of 1.2" in capsys.readouterr().out
    assert 0 == run_command(["logs", "summary", str(log)])
    assert "2 epochs, 1 rounds" in capsys.readouterr().out
    first = json.loads(log.read_text().splitlines()[0])
    assert first["conflict.rivalry_max_max_avg"] >= first["conflict.rivalry_max_mean_avg"] >= 0


@pytest.mark.slow
@pytest.mark.parametrize(("least", "status", "modes"), [("0.01", "HOLD", ["bc", "ppo"]), ("1.0", "FAIL", ["bc"])])
def test_an_anneal_that_promotes_nothing_exits_as_it_was_asked(
    least: str, status: str, modes: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 once the status is printed; with --anneal-exit-on-failure 1 unless it is PASS."""
    logs = tmp_path / "logs"
    assert 0 == train(tmp_path, "--mode", "anneal", "--anneal-log-dir", str(logs), least=least)
    document = json.loads(capsys.readouterr().out)
    assert {"status", "promotion", "results"} == set(document)
    assert (status, modes) == (document["status"], [told["mode"] for told in document["results"]])
    assert json.loads((logs / "anneal_results.json").read_text()) == document["results"]
    assert 1 == train(tmp_path, "--mode", "anneal", "--anneal-exit-on-failure", least=least)


@pytest.mark.parametrize(("command", "code"), [("hold", 3), ("abort", 7)])
def test_a_mode_exits_with_the_code_of_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, code: int
) -> None:
    """Held and aborted are not failed: the order of an operator that arrives at once ends a run of a mode likewise."""
    begin = RunDirectory.create.__func__  # type: ignore[attr-defined]

    def create(cls: type[RunDirectory], *words: object, **more: object) -> RunDirectory:
        run = begin(cls, *words, **more)
        send(run.inbox, OperatorCommand(command=command, actor="ops", reason="lunch", arguments={}, sent=time()))
        return cast("RunDirectory", run)

    monkeypatch.setattr(RunDirectory, "create", classmethod(create))
    assert code == train(tmp_path, "--mode", "capture")
    told = capsys.readouterr()
    assert "" == told.out
    assert f"{'aborted' if command == 'abort' else 'hold'}: {command} by ops: lunch" in told.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_a_full_disk_under_stdout_does_not_change_the_exit_code(tmp_path: Path) -> None:
    """The run is done; where its summary is, is said."""
    path = tmp_path / "trains.yaml"
    path.write_text(TRAINS.replace("LEAST", "0.01"), encoding="utf-8")
    words = [sys.executable, "-m", "townlet", "train", str(path), "--mode", "capture", "--home", str(tmp_path / "home")]
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert 0 == process.returncode, process.stderr
    assert "No space left on device; the run is not affected, its summary is in " in process.stderr


def test_a_broken_log_exits_with_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line is named."""
    (tmp_path / "x.jsonl").write_text("{}\n")
    assert 2 == run_command(["logs", "validate", str(tmp_path / "x.jsonl")])
    assert "x.jsonl:1: epoch" in capsys.readouterr().err


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
