"""The README tells the truth about the directory and about the commands."""

import re
from configparser import ConfigParser
from fnmatch import fnmatch
from pathlib import Path

from pages import blocks
from places import ROOT

README = ROOT / "README.md"
IGNORED = [line.strip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").split()]
DEFAULT = ["lint", "types", "py311", "py311-torch", "docs", "quickstart"]


def _told() -> dict[Path, set[str]]:
    """Return the directories that the README's tree opens, each with the names it lists."""
    told: dict[Path, set[str]] = {}
    above: list[Path] = [ROOT]
    for line in blocks(README, "text")[0].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        parent = above[depth]
        for part in line.split()[0].strip("/").split("/"):
            told.setdefault(parent, set()).add(part)
            parent /= part
        above[depth + 1 :] = [parent]
    return told


def _found(directory: Path) -> set[str]:
    """Return what a reader sees in a directory: no hidden names but .ci, nothing git ignores, no package marker."""
    return {
        path.name
        for path in directory.iterdir()
        if (not path.name.startswith(".") or path.name == ".ci")
        and path.name != "__init__.py"
        and not any(fnmatch(path.name, pattern) for pattern in IGNORED)
    }


def _tox() -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.read(ROOT / "tox.ini", encoding="utf-8")
    return parser


def test_the_tree_is_the_directory() -> None:
    """Every directory that the tree opens holds exactly the names it lists."""
    told = _told()

    assert told == {directory: _found(directory) for directory in told}


def test_the_first_command_is_what_the_quickstart_environment_runs() -> None:
    """The quickstart environment runs the schedule that the README's first command ends with, with the same command."""
    command = blocks(README, "sh")[0].strip().splitlines()[-1]
    executed = _tox()["testenv:quickstart"]["commands"].replace("{tox_root}{/}", "").replace("{/}", "/").strip()

    assert "townlet run schedules/quickstart.yaml" == command == executed


def test_the_first_command_obeys_the_constraints() -> None:
    """The README installs under the same file as every tox environment."""
    assert "python -m pip install -c constraints.txt '.[torch]'" in blocks(README, "sh")[0]
    assert "{tox_root}{/}constraints.txt" in _tox()["testenv"]["set_env"]
    assert re.search(r"^torch==2\.13\.0$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_second_command_is_what_continuous_integration_runs() -> None:
    """.ci/run is executable and ends with the README's test command, word for word."""
    script = ROOT / ".ci" / "run"

    assert blocks(README, "sh")[1].strip() == script.read_text(encoding="utf-8").strip().splitlines()[-1]
    assert script.stat().st_mode & 0o111


def test_the_default_environments_are_the_promised_ones() -> None:
    """`tox` alone runs all of them; py313, soak and the benchmarks have to be named."""
    tox = _tox()

    assert DEFAULT == [name.strip() for name in tox["tox"]["env_list"].split(",")]
    assert {*DEFAULT, "py313", "bench", "compare", "soak", "learning", "gaming"} == {
        name.removeprefix("testenv:") for name in tox if name.startswith("testenv:")
    }


def test_the_status_table_uses_three_words() -> None:
    """A part is there, partly there or not there yet, and nothing is promised in other words."""
    table = README.read_text(encoding="utf-8").split("| part | status |")[1].split("\n\n")[0]
    words = [row.split("|")[2].strip() for row in table.strip().splitlines()[1:]]

    assert len(words) > 5
    assert {"there", "partly", "not yet"} >= set(words)
