"""`townlet evaluate` takes every name that a person has at hand, and knows where that policy is at home."""

import json
from pathlib import Path

import pytest

from townlet.cli import run_command

TINY = Path(__file__).parent / "crash" / "tiny.yaml"
pytestmark = []


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with one run that promoted in a registry of its own."""
    folder = tmp_path_factory.mktemp("evaluate")
    assert 0 == run_command(["run", str(TINY), "--home", str(folder / "home")])
    return folder / "home"


def evaluated(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    """Return the comparison that a command prints."""
    capsys.readouterr()
    assert 0 == run_command(["evaluate", *words, "--episodes", "2", "--json"]), capsys.readouterr().err
    return dict(json.loads(capsys.readouterr().out))


def test_a_run_an_alias_a_digest_and_latest_name_the_same_policy(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Environment, scenario and length are those of its run; the run's own registry is searched too."""
    (run,) = (home / "runs").iterdir()
    assert 0 == run_command(["registry", "list", "--run", "latest", "--home", str(home), "--json"])
    (version,) = json.loads(capsys.readouterr().out)
    words = ["latest", run.name, str(run), f"{version['name']}@champion", version["weights"][:8], version["weights"]]
    results = [evaluated(capsys, word, "--home", str(home)) for word in words]
    assert {version["weights"]} == {result["candidate"] for result in results}
    assert {"queue_conflict"} == {result["scenario"] for result in results}
    assert 1 == len({result["days"] for result in results})


def test_an_empty_registry_says_where_registries_of_runs_are(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command to type is complete."""
    assert 0 == run_command(["registry", "list", "--home", str(home)])
    text = capsys.readouterr().out
    assert "no policy is registered" in text
    line = text.splitlines()[-1].strip()
    assert 0 == run_command(line.split()[1:])
    assert "versions" in capsys.readouterr().out


def test_a_policy_of_another_environment_is_refused_with_its_own(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says where it was trained, as the flags to type."""
    assert 2 == run_command(["evaluate", "latest", "--home", str(home), "--scenario", "city"])
    error = capsys.readouterr().err
    assert "evaluate it where it was trained: --environment town --scenario" in error


@pytest.mark.parametrize("seed", ["-1", "9" * 400, str(2**63)])
def test_a_seed_out_of_range_is_refused(seed: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, no traceback."""
    assert 2 == run_command(["evaluate", "teacher:random", "--seed", seed])
    assert "expected a whole number from 0 to 2**63 - 1" in capsys.readouterr().err
