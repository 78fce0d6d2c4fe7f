"""Runs with values in place of the schedule's own: journal, resume, audit and replication know them."""

import json
from pathlib import Path

import pytest

import townlet
from plays import PLAYS
from townlet.cli import run_command
from townlet.dto.journal import VisitFinished
from townlet.machine.audit.snapshot import load_run
from townlet.policy.training.strategies.base import catalogue
from townlet.store.blobs import BlobStore
from townlet.store.rundir import RunDirectory

SET = ("--set", "states.capture.with.episodes=3", "--set", "budget.disk=1GiB")


@pytest.fixture
def schedule(tmp_path: Path) -> Path:
    """Return a schedule with a comment that only captures."""
    path = tmp_path / "plays.yaml"
    path.write_text(PLAYS + "# the end\n", encoding="utf-8")
    return path


def changes(directory: RunDirectory, home: Path) -> list[str]:
    """Return what a run's journal says was given in place of the schedule's own."""
    created = load_run(directory, BlobStore(home / "blobs"), catalogue()).state.created
    assert created is not None
    return [str(change) for change in created.changes]


def test_a_run_keeps_its_overrides(schedule: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The run's copy has the values and the comments; the journal has the difference; audit finds all in order."""
    home = tmp_path / "home"
    words = ("--home", str(home))
    assert 0 == run_command(["run", str(schedule), *SET, *words, "--json"])
    assert 3 == json.loads(capsys.readouterr().out)["stages"][0]["result"]["episodes"]
    run = RunDirectory.find(home, "latest")
    text = run.schedule.read_text("utf-8")
    assert "episodes: 3, days: 1" in text
    assert "# the end" in text
    assert ["states.capture.with.episodes=3 (before: 2)", "budget.disk=1GiB (before: not there)"] == changes(run, home)
    assert 0 == run_command(["audit", "verify", "latest", *words])
    assert 0 == run_command(["audit", "replay", "latest", *words])
    capsys.readouterr()
    assert 0 == run_command(["audit", "why", "latest", *words])
    assert capsys.readouterr().out.startswith("set states.capture.with.episodes=3 (before: 2)\n")
    assert 0 == run_command(["audit", "show", "latest", *words])
    assert "with states.capture.with.episodes=3 (before: 2)" in capsys.readouterr().out.splitlines()[0]


def test_an_overridden_run_resumes(schedule: Path, tmp_path: Path) -> None:
    """The file that it was made of was not edited, and is none of its business afterwards."""
    home = tmp_path / "home"
    with pytest.raises(townlet.StoppedError):
        townlet.run(schedule, home=home, overrides={"states.capture.with.episodes": 3}, stopping=lambda: True)
    schedule.write_text("something else\n", encoding="utf-8")
    assert 0 == run_command(["resume", "latest", "--home", str(home)])
    run = RunDirectory.find(home, "latest")
    snapshot = load_run(run, BlobStore(home / "blobs"), catalogue())
    assert "done" == snapshot.state.state
    assert 3 == next(e.record.result["episodes"] for e in snapshot.entries if isinstance(e.record, VisitFinished))


def test_the_same_words_are_the_same_replication(
    schedule: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs of the overridden schedule are found again by the same words, and by no others."""
    home = tmp_path / "home"
    words = ["replicate", str(schedule), "--seeds", "1", "--home", str(home), "--json"]
    for given in (SET, SET, ()):
        assert 0 == run_command([*words, *given])
        assert 1 == json.loads(capsys.readouterr().out)["ended"]
    assert 2 == len(RunDirectory.every(home))


def test_overrides_from_python(schedule: Path, tmp_path: Path) -> None:
    """`townlet.run` and `townlet.anneal` take a dictionary of paths; a wrong one is refused by its name."""
    home = tmp_path / "home"
    result = townlet.run(schedule, home=home, overrides={"states.capture.with.episodes": 3})
    assert 3 == result.stages[0].result.episodes  # type: ignore[attr-defined]
    townlet.anneal(schedule, teacher="random", home=home, overrides={"states.capture.with.episodes": 4})
    assert ["states.capture.with.episodes=4 (before: 2)"] == changes(RunDirectory.find(home, "latest"), home)
    with pytest.raises(townlet.TownletError, match=r"overrides\['states.captur.with.days'\]: unknown state 'captur'"):
        townlet.run(schedule, home=home, overrides={"states.captur.with.days": 3})
