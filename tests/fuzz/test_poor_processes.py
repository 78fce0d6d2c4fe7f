"""Every command in a process that lacks what a process usually has: one sentence, and no run is closed for it."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_commands import COMMANDS, SCHEDULE, line

from townlet.cli import run_command
from townlet.store.rundir import RunDirectory

pytestmark = pytest.mark.long

SCRIPT = Path(__file__).parent / "poor_process.py"
AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
INSTALLED = Path(sysconfig.get_path("purelib"))
IS_OPEN = all(folder.stat().st_mode & 0o005 == 0o005 for folder in (INSTALLED, *INSTALLED.parents))
"""Whether another user may read what is installed here; tox closes its environments to all but their owner."""
LACKS = ("home", "missing home", "temporary directory", "working directory")
REFUSED = ("init", "push", "export")
"""Commands that are refused for their words already."""
NEEDS_NOTHING = ("schedules", "strategies", "schema", "evaluate", "card", "completion")
"""Commands that read none of the files that become unreadable."""


@pytest.fixture
def place() -> Iterator[Path]:
    """Return a directory that every user can reach, with a schedule and a home with a run that is done."""
    folder = Path(tempfile.mkdtemp(prefix="poor-"))
    folder.chmod(0o755)
    (folder / "place").mkdir()
    (folder / "place" / "plays.yaml").write_text(SCHEDULE, encoding="utf-8")
    command = ["run", str(folder / "place" / "plays.yaml"), "--home", str(folder / "place" / "home")]
    assert 0 == run_command(command)
    yield folder / "place"
    shutil.rmtree(folder)


def commands(place: Path) -> list[list[str]]:
    """Return a line for every command, with absolute paths."""
    lines = [line(words, "", "") for words in COMMANDS if words[0] != "bench"]  # which reads and writes no file
    paths = {"=plays.yaml": f"={place / 'plays.yaml'}", "=home": f"={place / 'home'}"}
    for tokens in lines:
        if tokens[0] == "play":  # else it writes where it is called
            tokens += [f"--out={place / 'played.html'}", "--force"]
        for position, token in enumerate(tokens):
            for short, whole in paths.items():
                tokens[position] = tokens[position].replace(short, whole) if short in token else tokens[position]
    return lines


def end(place: Path, lack: str) -> list[tuple[list[str], int, str, str]]:
    """Return how every command ends in a process that lacks something; none of them may end in a traceback."""
    warm = place.with_name("warm")
    shutil.copytree(place, warm)
    request = {"place": str(place), "before": commands(warm), "after": commands(place)}
    process = subprocess.run(
        [sys.executable, str(SCRIPT), lack], input=json.dumps(request), capture_output=True, text=True, check=False
    )
    assert 0 == process.returncode, process.stderr
    ended = [tuple(each) for each in json.loads(process.stdout)]
    assert len(request["after"]) == len(ended)
    assert [] == [each for each in ended if each[1] not in (0, 2, 4) or "Traceback" in each[3]]
    assert [] == [each for each in ended if each[1] and "error: " not in each[3]]
    return ended


@AS_ROOT
def test_without_permission_every_command_says_which_path_it_may_not_use(place: Path) -> None:
    """What cannot be read is never taken for what is not there: no command answers as if the home were empty."""
    for words, code, _, said in end(place, "permission"):
        if words[0] in (*NEEDS_NOTHING, *REFUSED) or words[:2] in (["registry", "show"], ["logs", "write"], ["sign"]):
            continue  # the last three are refused for their words too
        assert code in (2, 4), words
        assert "Permission denied" in said, words
        assert str(place) in said, words
        assert 1 == len(said.splitlines()), said


@AS_ROOT
@pytest.mark.skipif(not IS_OPEN, reason="another user cannot read where Townlet is installed")
def test_a_user_without_a_name_works_as_any_other(place: Path) -> None:
    """Its runs end, and nothing asks the user database; a run that is there already is not closed as failed."""
    ended = end(place, "user")
    done = {tuple(words[: 2 if words[0] in ("audit", "registry") else 1]) for words, code, *_ in ended if code == 0}
    assert {("run",), ("train",), ("evaluate",), ("resume",), ("runs",), ("gc",), ("audit", "verify")} <= done
    for run in RunDirectory.every(place / "home"):
        assert b'"failed"' not in run.journal.read_bytes()


@pytest.mark.parametrize("lack", LACKS)
def test_what_a_process_lacks_does_not_change_what_a_command_does(place: Path, lack: str) -> None:
    """With absolute paths, nothing needs HOME, a directory for temporary files, or the working directory."""
    usual = {" ".join(words[:2]): code for words, code, *_ in end(place, "nothing")}
    shutil.rmtree(place.with_name("warm"))
    assert usual == {" ".join(words[:2]): code for words, code, *_ in end(place, lack)}
    for run in RunDirectory.every(place / "home"):
        assert b'"failed"' not in run.journal.read_bytes()


@pytest.mark.parametrize("words", ["runs", "gc", "run plays.yaml", "registry list", "resume latest"])
def test_a_removed_working_directory_is_no_traceback(tmp_path: Path, words: str) -> None:
    """In a shell that stands where nothing is any more, with the default home."""
    folder = tmp_path / "gone"
    folder.mkdir()
    command = f"{sys.executable} -m townlet {words}"
    process = subprocess.run(
        ["bash", "-c", f"cd {folder} && rmdir {folder} && exec {command}"], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in process.stderr
    assert process.returncode in (0, 2, 4), process.stderr
    assert process.stderr.startswith("error: ") or process.returncode == 0
    assert 1 == len((process.stderr or process.stdout).splitlines())
