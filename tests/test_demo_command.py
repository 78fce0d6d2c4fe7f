"""`townlet demo`: a promotion in about a minute, a sentence for each step, and what to do next."""

from pathlib import Path

import pytest

from townlet.cli import run_command
from townlet.commands import demo
from townlet.machine.schedule.overrides import parse_overrides
from townlet.machine.schedule.shipped import find_schedule
from townlet.policy.training.launch import ScheduleSource
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator


def test_the_demo_is_the_shipped_quickstart_made_shorter() -> None:
    """Its overrides fit the schedule, and each of its states has a sentence."""
    config = ScheduleSource.overriding(find_schedule(demo.SCHEDULE), parse_overrides(demo.OVERRIDES))
    assert set(PolicyTrainingOrchestrator(config).plan().schedule.states) == set(demo.SENTENCES)


@pytest.mark.long
def test_the_demo_promotes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """It ends with the network in force; the commands that it prints can be pasted."""
    monkeypatch.chdir(tmp_path)  # one of them writes a bundle where it is typed
    assert 0 == run_command(["demo", "--home", str(tmp_path / "home"), "--quiet"])
    shown = capsys.readouterr()
    assert "in force: quickstart@champion is version 1" in shown.out
    for state in ("capture", "bc", "ppo", "evaluate", "promote"):
        assert demo.SENTENCES[state] in shown.err
    *_, home_commands = shown.out.partition("what to do next")
    for line in home_commands.splitlines():
        if "--home" in line:
            assert 0 == run_command(line.partition(": townlet ")[2].split())
