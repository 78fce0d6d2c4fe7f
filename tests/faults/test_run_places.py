"""A run given as a path brings its home, and neither names of directories nor copies are taken for what a run is."""

import shutil
from pathlib import Path

import pytest

from townlet.cli import run_command
from townlet.errors import BadInputError
from townlet.machine.audit.gc import sweep
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.policy.training.strategies.base import catalogue
from townlet.store.rundir import RunDirectory

HOLDS = """\
schedule: townlet/v1
name: holds
seed: 3
environment: {id: town, scenario: queue_conflict, worlds: 4}
teacher: scripted
registry: {name: holds}
guards: {enough: {metric: capture.return_per_agent_day, at_least: 1000}}
initial: capture
states:
  capture:
    strategy: capture
    with: {episodes: 4, days: 1}
    next: [{to: done, when: [enough]}, {to: hold, why: too few}]
"""


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A held run, in a home that is not the one of the working directory."""
    (tmp_path / "here").mkdir()
    (tmp_path / "holds.yaml").write_text(HOLDS, encoding="utf-8")
    assert 3 == run_command(["run", str(tmp_path / "holds.yaml"), "--home", str(tmp_path / "there")])
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("TOWNLET_HOME", raising=False)
    return RunDirectory.find(tmp_path / "there", "latest").path


def content(folder: Path) -> dict[str, bytes]:
    """Return every file of a directory but locks."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_run_given_as_a_path_brings_its_home(held: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """verify, why, show, replay, retry and resume all find blobs and registry where the run was made."""
    for command in ("verify", "why", "show", "replay"):
        assert 0 == run_command(["audit", command, str(held)]), capsys.readouterr().err
    assert 0 == run_command(["retry", str(held), "--reason", "look again"])
    assert 3 == run_command(["resume", str(held)])
    assert 0 == run_command(["audit", "verify", str(held)]), capsys.readouterr().err
    assert not Path(".townlet").exists()


def test_the_variable_of_the_environment_is_a_default_too(held: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TOWNLET_HOME says where runs are looked for by id; a path is more precise."""
    monkeypatch.setenv("TOWNLET_HOME", "somewhere")
    assert 0 == run_command(["audit", "verify", str(held)])


@pytest.mark.parametrize(
    "words", [["resume"], ["retry"], ["abort"], ["hold"], ["approve"], ["reject"], ["audit", "verify"]]
)
def test_a_run_and_a_home_that_do_not_belong_together_are_refused(
    held: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, both homes are named, and not one byte is written anywhere."""
    before = content(held.parents[1])
    assert 2 == run_command([*words, str(held), "--home", "other"])
    complaint = capsys.readouterr().err
    assert f"belongs to the home {held.parents[1]}, not to other" in complaint.replace("\n", " ")
    assert before == content(held.parents[1])
    assert not Path("other").exists()


def test_python_refuses_another_home_before_it_writes(held: Path) -> None:
    """A façade has one home; the sentence says which one the run needs."""
    before = content(held)
    with pytest.raises(BadInputError, match=f"belongs to the home {held.parents[1]}"):
        PolicyTrainingOrchestrator(held / "schedule.yaml", home=Path("other")).resume(held)
    assert before == content(held)


def test_a_run_outside_its_home_names_it_and_follows_a_home_that_moved(tmp_path: Path, held: Path) -> None:
    """run.json and the home's note name each other; the note is enough where the home has another place now."""
    home, schedule = held.parents[1], tmp_path / "holds.yaml"
    outside = tmp_path / "outside"
    assert 3 == run_command(["run", str(schedule), "--home", str(home), "--directory", str(outside)])
    assert 0 == run_command(["audit", "verify", str(outside)])
    home.rename(tmp_path / "moved")
    assert 2 == run_command(["audit", "verify", str(outside)])
    assert 0 == run_command(["audit", "verify", str(outside), "--home", str(tmp_path / "moved")])
    assert 0 == run_command(["audit", "verify", str(tmp_path / "moved" / "runs" / held.name)])


def test_latest_is_the_run_created_last_wherever_it_is(tmp_path: Path, held: Path) -> None:
    """A directory with a name of its own, in the home or outside, is as late as its journal says."""
    home, schedule = held.parents[1], tmp_path / "holds.yaml"
    for directory in (home / "runs" / "aaa", tmp_path / "outside"):
        assert 3 == run_command(["run", str(schedule), "--home", str(home), "--directory", str(directory)])
        assert directory.resolve() == RunDirectory.find(home, "latest").path.resolve()
        run = RunDirectory.at(directory)
        assert directory.resolve() == RunDirectory.find(home, run.id).path.resolve()
    assert home / "runs" / "aaa" == RunDirectory.find(home, "aaa").path
    assert 3 == sweep(home, catalogue()).runs


def test_a_copy_is_announced_and_nothing_is_appended_to_it(held: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Latest and the id name the run itself; the copy can be read, and gc keeps what it needs."""
    home, copy = held.parents[1], held.parent / "zzz-copy"
    shutil.copytree(held, copy)
    assert held == RunDirectory.find(home, "latest").path == RunDirectory.find(home, held.name[:-1]).path
    assert 0 == run_command(["audit", "verify", str(copy)])
    assert f"is a copy of run {held.name}" in capsys.readouterr().err.replace("\n", " ")
    before = content(copy)
    for words in (["resume", str(copy)], ["retry", str(copy)], ["retry", "zzz-copy", "--home", str(home)]):
        assert 2 == run_command(words)
        assert f"a copy of run {held.name}" in capsys.readouterr().err.replace("\n", " ")
    assert before == content(copy)
    assert 2 == sweep(home, catalogue()).runs


def test_a_run_that_was_renamed_is_no_copy(held: Path) -> None:
    """Identity is what run.json says; the name of the directory is the user's."""
    renamed = held.rename(held.parent / "mine")
    assert renamed == RunDirectory.find(renamed.parents[1], held.name).path
    assert 3 == run_command(["resume", str(renamed)])


def test_a_backup_of_a_home_is_a_home(tmp_path: Path, held: Path) -> None:
    """Everything in it stands where it belongs, so nothing in it is a copy and nothing else is touched."""
    shutil.copytree(held.parents[1], tmp_path / "backup")
    before = content(held.parents[1])
    backup = tmp_path / "backup" / "runs" / held.name
    assert 0 == run_command(["retry", str(backup)])
    assert 3 == run_command(["resume", str(backup)])
    assert before == content(held.parents[1])
