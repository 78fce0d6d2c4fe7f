"""The end of a run: what happened, once, and commands that work wherever they are pasted."""

import shlex
from pathlib import Path

import pytest

from townlet.cli import run_command

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
    next: [{to: done, when: [enough]APPROVAL}, {to: hold, why: too few}]
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home with a blank in its name, below the directory in which the command is given."""
    monkeypatch.chdir(tmp_path)
    return Path("my runs")


def run(home: Path, least: int, approval: str = "") -> int:
    """Run a schedule that only captures."""
    text = PLAYS if least == 1 else PLAYS.replace("capture.episodes", "capture.return_per_agent_day")
    Path("plays.yaml").write_text(text.replace("LEAST", str(least)).replace("APPROVAL", approval), encoding="utf-8")
    return run_command(["run", "plays.yaml", "--home", str(home)])


def printed_commands(text: str) -> list[list[str]]:
    """Return the words of every command that a text tells a person to type."""
    found = [line.split("townlet ", 1)[1].partition("   #")[0] for line in text.splitlines() if "townlet " in line]
    return [shlex.split(command) for command in found]


@pytest.mark.parametrize("which", ["retry", "accept-risk", "abort"])
def test_each_command_of_a_held_run_works_from_another_directory(
    which: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pasted as printed, the command and the resume after it find the run in its home."""
    assert 3 == run(home, 100)
    commands = {words[0]: words for words in printed_commands(capsys.readouterr().out)}
    assert {"retry", "accept-risk", "abort", "resume"} == set(commands)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert 0 == run_command(commands[which])
    assert commands["resume"] == printed_commands(capsys.readouterr().out)[-1]
    assert {"retry": 3, "accept-risk": 0, "abort": 7}[which] == run_command(commands["resume"])
    captured = capsys.readouterr()
    assert "changes nothing" not in captured.err
    for words in printed_commands(captured.out):
        if words[0] == "audit":
            assert 0 == run_command(words)
    assert not list(elsewhere.iterdir())


def test_the_next_command_of_a_run_that_is_done_works_from_another_directory(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It explains the run; resuming a run that had ended says so."""
    assert 0 == run(home, 1)
    (words,) = printed_commands(capsys.readouterr().out)
    monkeypatch.chdir(tmp_path.parent)
    assert 0 == run_command(words)
    assert 0 == run_command(["resume", *words[2:]])
    assert "had ended before" in capsys.readouterr().err


def test_a_run_outside_its_home_is_named_by_its_path(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A directory of its own is found again too."""
    text = PLAYS.replace("capture.episodes, at_least: LEAST", "capture.return_per_agent_day, at_least: 100")
    Path("plays.yaml").write_text(text.replace("APPROVAL", ""), encoding="utf-8")
    assert 3 == run_command(["run", "plays.yaml", "--home", str(home), "--directory", "a run"])
    commands = {words[0]: words for words in printed_commands(capsys.readouterr().out)}
    monkeypatch.chdir(tmp_path.parent)
    assert 0 == run_command(commands["abort"])
    assert 7 == run_command(commands["resume"])


def test_what_is_approved_is_shown(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The edge, every verdict and the hash of the report are printed above the confirmation, the verdicts by hold."""
    assert 3 == run(home, 1, ", approval: {expires: 1h}")
    held = capsys.readouterr().out
    assert "pass      enough: capture.episodes 4 is at least 1" in held
    assert "approve" in [words[0] for words in printed_commands(held)]
    assert 0 == run_command(["approve", "latest", "--home", str(home)])
    text = capsys.readouterr().out
    assert "capture asks to go on to done" in text
    assert "pass      enough: capture.episodes 4 is at least 1" in text
    assert "guard report " in text


def test_the_end_is_told_once(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The reason of the last edge and the outcome are not the same words twice."""
    assert 3 == run(home, 100)
    first = capsys.readouterr().out.splitlines()[0]
    assert "hold: too few" == first


def test_a_run_that_cannot_go_on_prints_the_command_that_continues_it(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Memory that is short in a visit leaves it open; pasted elsewhere, the command ends the run well."""
    from townlet.policy.training.strategies.capture import CaptureStrategy

    def exhaust(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(CaptureStrategy, "run", exhaust)
        assert 4 == run(home, 1)
    (words,) = printed_commands(" ".join(capsys.readouterr().err.split()))
    monkeypatch.chdir(tmp_path.parent)
    assert 0 == run_command(words)
