"""Readable links of a home: they follow every alias and the youngest run, and nothing depends on them."""

import json
import os
import shutil
from pathlib import Path

import pytest
from homes import Town, twice_promoted

from plays import PLAYS
from townlet.cli import run_command
from townlet.store.links import link_policies
from townlet.store.rundir import RunDirectory


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder whose home has two promotions, made once."""
    folder = tmp_path_factory.mktemp("source")
    twice_promoted(folder)
    return folder


@pytest.fixture
def town(source: Path, tmp_path: Path) -> Town:
    """Return a copy of that home, its links with it."""
    folder = tmp_path / "moved"
    shutil.copytree(source, folder, symlinks=True)
    return Town(folder / twice_home(source))


def twice_home(source: Path) -> str:
    """Return the name of the home in a folder."""
    return next(path.parent.name for path in source.rglob("registry.sqlite"))


def link(town: Town) -> Path:
    """Return the link to the weights in force."""
    return town.home / "policies" / "given@champion.safetensors"


def digest(path: Path) -> str:
    """Return the digest that a link leads to."""
    return path.resolve(strict=True).name


def test_a_link_follows_its_alias(town: Town) -> None:
    """Promotion, rollback and rebuild move it; it is relative, so that a home that was moved keeps it."""
    assert town.champion == digest(link(town))
    assert not link(town).readlink().is_absolute()
    before = town.champion
    home = ("--home", str(town.home))
    assert 0 == run_command(["registry", "rollback", "given", "--reason", "a look", *home])
    assert before != town.champion == digest(link(town))
    shutil.rmtree(town.home / "policies")
    assert 0 == run_command(["registry", "rebuild", *home])
    assert town.champion == digest(link(town))
    assert 0 == run_command(["gc", *home])
    assert link(town).read_bytes() == town.blobs.get(town.champion)


def test_runs_says_whose_weights_are_in_force(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """The alias stands beside the run that it came from, and moves back with a rollback."""
    home = ("--home", str(town.home))

    def in_force() -> list[list[str]]:
        capsys.readouterr()
        assert 0 == run_command(["runs", "--json", *home])
        return [run["in_force"] for run in json.loads(capsys.readouterr().out)]

    assert [["given@champion"], []] == in_force()
    assert 0 == run_command(["registry", "rollback", "given", "--reason", "a look", *home])
    assert [[], ["given@champion"]] == in_force()
    assert 0 == run_command(["runs", *home])
    assert "given@champion" in capsys.readouterr().out


def test_last_leads_to_the_youngest_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands take it as the run's directory; a rehearsal does not move it, a run elsewhere does."""
    home, path = tmp_path / "home", tmp_path / "plays.yaml"
    path.write_text(PLAYS, encoding="utf-8")
    last = home / "last"
    for words in ((), ("--rehearse",), ("--directory", str(tmp_path / "elsewhere"))):
        assert 0 == run_command(["run", str(path), *words, "--home", str(home)])
        assert last.resolve() == RunDirectory.find(home, "latest").path.resolve()
        capsys.readouterr()
        assert 0 == run_command(["audit", "verify", str(last), "--home", str(home)])
        assert "" == capsys.readouterr().err
    assert [] == list(home.rglob("*.tmp"))


def test_what_a_person_put_in_place_of_a_link_stays(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    """A file of that name is not replaced: one warning, and the alias moves all the same."""
    link(town).unlink()
    link(town).write_text("mine", encoding="utf-8")
    before = town.champion
    town.registry.rollback("given", "champion", actor="me", reason="a look")
    link_policies(town.home, town.registry)
    assert before != town.champion
    assert "mine" == link(town).read_text("utf-8")
    assert "nothing depends on it" in caplog.text


def test_a_directory_that_leads_elsewhere_is_not_written_into(
    town: Town, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`policies` as a link out of the home: nothing is written there, and the warning says why."""
    shutil.rmtree(town.home / "policies")
    (tmp_path / "other").mkdir()
    (town.home / "policies").symlink_to(tmp_path / "other")
    link_policies(town.home, town.registry)
    assert [] == list((tmp_path / "other").iterdir())
    assert "leads outside" in caplog.text


def test_a_file_system_without_links_is_no_news(
    town: Town, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the system refuses every link, the home has none and nobody is warned."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    shutil.rmtree(town.home / "policies")
    monkeypatch.setattr(os, "symlink", refuse)
    link_policies(town.home, town.registry)
    assert [] == list((town.home / "policies").iterdir())
    assert "" == caplog.text
