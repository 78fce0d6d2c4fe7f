"""The README agrees with the directory, the commands and the shipped quickstart."""

import re
from configparser import ConfigParser
from fnmatch import fnmatch
from pathlib import Path

from pages import blocks
from places import ROOT

from townlet.machine.schedule.diagram import mermaid
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator

README = ROOT / "README.md"
IGNORED = [line.strip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").split()]
DEFAULT = ["lint", "types", "py311", "py311-torch", "docs", "quickstart"]


def _listed() -> dict[Path, set[str]]:
    """Return the directories that the README's tree opens, each with the names it lists."""
    listed: dict[Path, set[str]] = {}
    parents: list[Path] = [ROOT]
    for line in blocks(README, "text")[0].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        parent = parents[depth]
        for part in line.split()[0].strip("/").split("/"):
            listed.setdefault(parent, set()).add(part)
            parent /= part
        parents[depth + 1 :] = [parent]
    return listed


def _visible(directory: Path) -> set[str]:
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
    listed = _listed()

    assert listed == {directory: _visible(directory) for directory in listed}


def test_the_first_command_is_what_the_quickstart_environment_runs() -> None:
    """The quickstart environment runs the schedule that the README's first command ends with, with the same command."""
    command = blocks(README, "sh")[0].strip().splitlines()[-1]
    executed = _tox()["testenv:quickstart"]["commands"].replace("{tox_root}{/}", "").replace("{/}", "/").strip()

    assert "townlet run schedules/quickstart.yaml" == command == executed


def test_the_first_command_obeys_the_constraints() -> None:
    """The README installs under the same file as every tox environment."""
    assert "python -m pip install -c constraints.txt .\n" in blocks(README, "sh")[0]
    assert "{tox_root}{/}constraints.txt" in _tox()["testenv"]["set_env"]
    assert re.search(r"^torch==2\.13\.0$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_second_command_is_what_continuous_integration_runs() -> None:
    """.ci/run is executable and ends with the README's test command, word for word."""
    script = ROOT / ".ci" / "run"

    assert blocks(README, "sh")[1].strip() == script.read_text(encoding="utf-8").strip().splitlines()[-1]
    assert script.stat().st_mode & 0o111


def test_the_default_environments_are_the_promised_ones() -> None:
    """`tox` alone runs all of them; py313, docs, soak, wheel and the benchmarks are run by name."""
    tox = _tox()

    assert DEFAULT == [name.strip() for name in tox["tox"]["env_list"].split(",")]
    assert {
        *DEFAULT,
        "py313",
        "bench",
        "browser",
        "clients",
        "compare",
        "soak",
        "learning",
        "links",
        "floors",
        "gaming",
        "long",
        "trackers",
        "wheel",
    } == {name.removeprefix("testenv:") for name in tox if name.startswith("testenv:")}


def test_the_table_of_missing_parts_uses_two_words() -> None:
    """A part is partly there or not there yet; what is there needs no row."""
    table = README.read_text(encoding="utf-8").split("| part | status |")[1].split("\n\n")[0]
    words = [row.split("|")[2].strip() for row in table.strip().splitlines()[1:]]

    assert words
    assert {"partly", "not yet"} >= set(words)


def test_the_picture_is_the_machine_of_the_quickstart() -> None:
    """The diagram is what `townlet graph quickstart` prints."""
    plan = PolicyTrainingOrchestrator(ROOT / "schedules" / "quickstart.yaml").plan()

    assert [mermaid(plan.schedule)] == blocks(README, "mermaid")


def test_the_output_of_a_run_names_real_states_and_guards() -> None:
    """Every state and guard in the shortened output stands in the quickstart, and every state but rollback is shown."""
    schedule = PolicyTrainingOrchestrator(ROOT / "schedules" / "quickstart.yaml").plan().schedule
    output = blocks(README, "console")[0]
    guards = set(re.findall(r"^  (?:pass|fail|skipped|undecided|unknown) +(\w+):", output, re.MULTILINE))
    states = set(re.findall(r"^([a-z]+)$", output, re.MULTILINE))

    assert states == {*schedule.states} - {"rollback"}
    assert guards == {*schedule.guards} - {"rollbacks_left"}
