"""`import townlet` offers what a user needs: lazily, typed, and without torch."""

import subprocess
import sys
from pathlib import Path

import pytest

import townlet
from townlet.cli import run_command

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "docs" / "examples" / "own_teacher.py"


def python(code: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run code in a fresh interpreter."""
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", townlet.__all__)
def test_every_public_name_resolves(name: str) -> None:
    """Each name of `__all__` is an attribute, is listed by dir(), and has a docstring where it is not text."""
    value = getattr(townlet, name)

    assert name in dir(townlet)
    assert isinstance(value, str) or value.__doc__


def test_the_table_of_modules_and_the_public_names_agree() -> None:
    """Only the version is no import."""
    assert {*townlet.__all__} == {*townlet._MODULES, "__version__"}


def test_all_public_names_load_without_torch(tmp_path: Path) -> None:
    """`from townlet import *` imports every public name; torch stays out."""
    done = python("import sys; from townlet import *; assert anneal and run; print('torch' in sys.modules)", tmp_path)

    assert ("False\n", "") == (done.stdout, done.stderr)


def test_an_unknown_name_is_an_attribute_error_with_a_suggestion(tmp_path: Path) -> None:
    """A typing error in a script or a shell names the nearest public name."""
    done = python("import townlet; townlet.aneal", tmp_path)

    assert "AttributeError: module 'townlet' has no attribute 'aneal'. Did you mean: 'anneal'?" in done.stderr


def test_submodules_are_still_imported_by_name() -> None:
    """The lazy names leave `from townlet import ports` as it is."""
    from townlet import ports

    assert ports.Teacher is townlet.Teacher


def test_run_refuses_an_unknown_schedule_in_one_sentence(tmp_path: Path) -> None:
    """The nearest shipped name is suggested, and nothing is written."""
    with pytest.raises(townlet.BadInputError, match=r"unknown schedule 'quikstart'.*did you mean 'quickstart'"):
        townlet.run("quikstart", home=tmp_path / "home")

    assert [] == list(tmp_path.iterdir())


def test_run_runs_a_schedule_file_and_returns_its_summary(tmp_path: Path) -> None:
    """A path as text is enough, and the seed may come from the call alone; audit, registry and gc read such a run."""
    path = tmp_path / "capture.yaml"
    path.write_text(
        "schedule: townlet/v1\nname: capture\nenvironment: {id: town, scenario: queue_conflict, worlds: 4}\n"
        "teacher: scripted\nregistry: {name: capture}\ninitial: capture\n"
        "states: {capture: {strategy: capture, with: {episodes: 4, days: 1}, next: [{to: done}]}}\n"
    )
    summary = townlet.run(str(path), home=tmp_path / "home", seed=5)

    assert ("done", 1) == (summary.state, len(summary.stages))
    assert Path(summary.path).is_dir()
    for words in (["audit", "replay", "latest"], ["registry", "list", "--run", "latest"], ["gc"]):
        assert 0 == run_command([*words, "--home", str(tmp_path / "home")])


@pytest.mark.slow
def test_a_user_program_passes_mypy_strict(tmp_path: Path) -> None:
    """The example is accepted, and a mistake in it is not: the package's types reach its users."""
    pytest.importorskip("mypy")
    mistake = tmp_path / "mistake.py"
    mistake.write_text(f"{EXAMPLE.read_text(encoding='utf-8')}\n\ntownlet.aneal(3)\ntownlet.run(3)\n", encoding="utf-8")

    def mypy(file: Path) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "mypy", "--config-file=", "--strict", str(file)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert "Success" in mypy(EXAMPLE).stdout
    output = mypy(mistake).stdout
    assert 'Module has no attribute "aneal"' in output
    assert 'Argument 1 to "run" has incompatible type "int"' in output


@pytest.mark.slow
def test_the_user_program_ends_in_hold_as_it_says(tmp_path: Path) -> None:
    """The guard refuses a teacher that always does the same."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.stdout.endswith("hold: the teacher does one thing only\n"), done.stderr
