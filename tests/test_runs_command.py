"""`townlet runs` lists every run of a home; a rehearsal is never `latest`."""

import json
import shutil
from pathlib import Path

import pytest

from plays import PLAYS
from townlet.cli import run_command
from townlet.store.rundir import RunDirectory


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home with a run and, after it, a rehearsal of the same schedule."""
    path = tmp_path / "plays.yaml"
    path.write_text(PLAYS, encoding="utf-8")
    assert 0 == run_command(["run", str(path), "--home", str(tmp_path / "home")])
    assert 0 == run_command(["run", str(path), "--home", str(tmp_path / "home"), "--rehearse"])
    return tmp_path / "home"


def _listed(home: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    capsys.readouterr()
    assert 0 == run_command(["runs", "--home", str(home), "--json"])
    return list(json.loads(capsys.readouterr().out))


def test_runs_are_listed_the_youngest_first(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Id, schedule, state, result, age and size; a rehearsal says that it is one."""
    rehearsal, run = _listed(home, capsys)
    assert ("plays", "done", True, False) == (
        rehearsal["schedule"], rehearsal["state"], rehearsal["is_rehearsal"], rehearsal["is_open"],
    )  # fmt: skip
    assert (False, None) == (run["is_rehearsal"], run["copy_of"])
    assert isinstance(run["size"], int)
    assert run["size"] > 1000

    assert 0 == run_command(["runs", "--home", str(home)])
    title, headings, *rows = capsys.readouterr().out.splitlines()
    assert "runs" in title
    assert ["id", "schedule", "state", "result", "in", "force", "age", "size"] == headings.split()
    assert [rehearsal["id"], run["id"]] == [row.split()[0] for row in rows]
    assert ["(rehearsal)" in row for row in rows] == [True, False]


def test_a_rehearsal_is_latest_only_where_it_is_asked_for(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`latest` is the youngest run that is no rehearsal, `latest-rehearsal` the youngest that is one."""
    rehearsal, run = _listed(home, capsys)
    assert run["id"] == RunDirectory.find(home, "latest").id
    assert rehearsal["id"] == RunDirectory.find(home, "latest-rehearsal").id
    assert 0 == run_command(["audit", "verify", "latest-rehearsal", "--home", str(home)])

    shutil.rmtree(str(run["path"]))
    capsys.readouterr()
    assert 2 == run_command(["audit", "verify", "latest", "--home", str(home)])
    assert "only rehearsals (latest-rehearsal names the youngest)" in capsys.readouterr().err


def test_a_copy_and_damaged_runs_are_listed_as_such(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A copy names the run; an edited journal, a lost run.json and a lost run are named, not hidden."""
    rehearsal, run = (Path(str(each["path"])) for each in _listed(home, capsys))
    shutil.copytree(run, home / "runs" / "a-copy")
    (home / "runs" / "unnamed").mkdir()
    (home / "elsewhere").mkdir()
    (home / "elsewhere" / "gone").write_text("/nowhere/gone\n", encoding="utf-8")
    journal = rehearsal / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"capture"', b'"rapture"', 1))

    listed = {Path(str(each["path"])).name: each for each in _listed(home, capsys)}
    assert {rehearsal.name, run.name, "a-copy", "unnamed", "gone"} == set(listed)
    assert str(run) == listed["a-copy"]["copy_of"]
    assert {"damaged"} == {listed[name]["state"] for name in (rehearsal.name, "unnamed", "gone")}
    assert "is not valid" in str(listed[rehearsal.name]["result"])
    assert "it has no run.json" in str(listed["unnamed"]["result"])
    assert "not at /nowhere/gone any more" in str(listed["gone"]["result"])
    assert 0 == run_command(["runs", "--home", str(home), "--wide"])
    assert "(a copy, in " in capsys.readouterr().out


def test_a_home_without_runs_says_how_to_start_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty list is no error."""
    assert 0 == run_command(["runs", "--home", str(tmp_path)])
    assert "there is no run yet; start one with: townlet run SCHEDULE" in capsys.readouterr().out
