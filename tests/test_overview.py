"""The help of all commands: groups, exit codes, options of strategies, completion; and the page made from it."""

import subprocess
import sys
from pathlib import Path

import pytest

from townlet import errors
from townlet.cli import app, run_command
from townlet.commands.overview import reference
from townlet.dto.fields import field_docs
from townlet.machine.schedule.option_list import strategy_options
from townlet.policy.training.strategies.base import catalogue

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "commands.md"


def test_the_page_of_commands_is_made_from_the_program() -> None:
    """docs/reference/commands.md is generated; where this fails, run this file."""
    assert reference(app) == PAGE.read_text(encoding="utf-8")


def test_every_command_stands_in_one_group() -> None:
    """A command without a group would be missing on the page."""
    page = reference(app)
    assert [] == [name for name in app if not name.startswith("-") and page.count(f"| `townlet {name}` |") != 1]


def test_every_exit_code_of_an_error_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """One table: the help prints it, and every error's code is in it."""
    families = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, Exception)]
    assert {family.exit_code for family in families} <= set(errors.EXIT_CODES)  # type: ignore[attr-defined]
    assert 0 == run_command(["--help"])
    shown = capsys.readouterr().out
    for code, meaning in errors.EXIT_CODES.items():
        assert f"{code:>3}  {meaning}" in shown


def test_the_module_is_the_program() -> None:
    """`python -m townlet` answers as `townlet` does, where its script is not on the path."""
    command = [sys.executable, "-m", "townlet", "strategies", "nothing"]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (2, "") == (process.returncode, process.stdout)
    assert process.stderr.startswith("error: unknown strategy 'nothing'; expected one of: bc, capture")


@pytest.mark.parametrize("name", list(catalogue().entries))
def test_a_strategy_lists_the_options_that_it_declares(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every field of its spec, with the sentence that stands under it, and those of records within it."""
    spec = catalogue().entries[name].spec
    options = {option.name: option for option in strategy_options(spec)}
    for field, sentence in field_docs(spec).items():
        assert " ".join(sentence.split()) == options[field.rstrip("_")].meaning
    assert 0 == run_command(["strategies", name, "--wide"])
    shown = capsys.readouterr().out
    assert [] == [option for option in options if option not in shown]


def test_options_name_type_default_and_need() -> None:
    """As a schedule writes them."""
    options = {option.name: option for option in strategy_options(catalogue().entries["ppo"].spec)}
    assert ("whole number", "48") == (options["num_steps"].type, options["num_steps"].default)
    assert ("number or none", "none") == (options["gamma"].type, options["gamma"].default)
    assert ("whole number", None) == (options["watch.every"].type, options["watch.every"].default)
    assert ("list of blocks", "as below") == (options["ramps"].type, options["ramps"].default)
    assert "[[0.0, 1.0]]" == options["ramps[].actor"].default


def test_bash_completes_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a real bash, with the script as it is printed."""
    assert 0 == run_command(["completion", "bash"])
    script = tmp_path / "completion.sh"
    script.write_text(capsys.readouterr().out, encoding="utf-8")
    lines = f'source {script}; COMP_WORDS=(townlet run); COMP_CWORD=1; _townlet; echo "${{COMPREPLY[@]}}"'
    process = subprocess.run(["bash", "--norc", "-c", lines], capture_output=True, text=True, check=True)
    assert ["run", "runs"] == sorted(process.stdout.split())


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_scripts_for_other_shells_name_the_commands(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """They are made from the same program."""
    assert 0 == run_command(["completion", shell])
    shown = capsys.readouterr().out
    assert "accept-risk" in shown
    assert "townlet" in shown


if __name__ == "__main__":
    PAGE.write_text(reference(app), encoding="utf-8")
