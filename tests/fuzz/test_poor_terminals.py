"""Every command in a locale or on a terminal that cannot show everything: the same exit code, nothing swallowed."""

import json
import os
import pty
import shutil
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path

import pytest
from attrs import frozen
from test_commands import COMMANDS, SCHEDULE, line

from townlet.cli import run_command

pytestmark = pytest.mark.long

SCRIPT = Path(__file__).parent / "one_process.py"
FOLDER = "größe → 大"
"""Name of the working directory: no encoding below shows all of it but UTF-8."""
WORDS = SCHEDULE.replace("to: done,", "to: done, why: genügend → 大,").replace("too few", "zu wenige → 少")
OUTSIDE = f"policies: {{given: {{file: gewichte ü.safetensors, sha256: {'ab' * 32}}}}}\nguards:"
MANIFEST = "train plays.yaml --mode replay --home home --replay-manifest samples.json"
MORE = [
    ["check", "missing ü.yaml"],
    ["check", "outside.yaml"],
    ["run", "plays.yaml", "--home", "home", "--directory", "elsewhere"],
    ["audit", "verify", "elsewhere", "--home", "home"],
    MANIFEST.split(),
    ["run", "plays.yaml", "--home", "home", "--directory", "läuft"],
    ["run", "plays.yaml", "--home", "heim ü"],
    ["hold", "latest", "--home", "home", "--reason", "größer → 大", "--actor", "Jörg"],
    ["evaluate", "teacher:ü", "--scenario", "queue_conflict", "--home", "home"],
    ["logs", "validate", "ü.jsonl"],
    ["train", "plays.yaml", "--mode", "capture", "--home", "home", "--rollout-save-dir", "spiel ü"],
    ["train", "plays.yaml", "--mode", "replay", "--home", "home", "--capture-dir", "spiel ü"],
    ["--help"],
    ["run", "--help"],
    ["no such command"],
]
"""Lines with words, and of files with names, that not every encoding has."""
RICH, POOR = {"PYTHONUTF8": "1"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}
"""Environments of a process: with and without UTF-8."""


@frozen
class End:
    """How a command ended."""

    code: int
    text: bytes
    """What stdout and stderr were given, line feeds as in a pipe."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a schedule and a home with a run that is done."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "plays.yaml").write_text(WORDS, encoding="utf-8")
    (folder / "samples.json").write_text('["gespielt ü.npz"]', encoding="utf-8")
    (folder / "outside.yaml").write_text(WORDS.replace("guards:", OUTSIDE), encoding="utf-8")
    assert 0 == run_command(["run", str(folder / "plays.yaml"), "--home", str(folder / "home")])
    return folder


def ends(source: Path, folder: Path, environment: Mapping[str, str], *, terminal: bool = False) -> dict[str, End]:
    """Run every command in one process in a copy of `source`, its output in a pipe or on a terminal of 0 columns."""
    place, request = folder / FOLDER, folder / "request.json"
    shutil.copytree(source, place)
    commands = [line(words, "", "") for words in COMMANDS if words[0] != "bench"] + MORE
    request.write_text(json.dumps(commands), encoding="ascii")
    reader, writer = pty.openpty() if terminal else os.pipe()
    if terminal:
        termios.tcsetwinsize(writer, (0, 0))
    with request.open("rb") as stdin:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT)],
            cwd=place,
            stdin=stdin,
            stdout=writer,
            stderr=writer,
            env={**os.environ, **environment},
        )
    os.close(writer)
    output, ended = _read(reader).replace(b"\r\n", b"\n"), {}
    assert 0 == process.wait(), output
    for words in commands:
        text, _, output = output.partition(b"\n\0")
        end, _, output = output.partition(b"\n")
        code, _, error = end.decode().partition(" ")
        assert "" == error, (words, error)
        ended[" ".join(words)] = End(int(code), text)
    return ended


def _read(descriptor: int) -> bytes:
    """Return all that comes until the other side is closed; a terminal says that with an error."""
    pieces = []
    try:
        while piece := os.read(descriptor, 65536):
            pieces.append(piece)
    except OSError:
        pass
    os.close(descriptor)
    return b"".join(pieces)


def assert_told(ended: Mapping[str, End], usual: Mapping[str, End]) -> None:
    """Assert that each command ended as usual, that what failed was told, and that nothing was left out."""
    assert {words: usual[words].code for words in ended} == {words: end.code for words, end in ended.items()}
    for words, end in ended.items():
        assert b"Traceback" not in end.text, words
        assert b"internal error" not in end.text, words
        assert (b"error: " in usual[words].text) == (b"error: " in end.text.replace(b"\x1b[0m", b"")), words
        assert bool(usual[words].text.strip()) == bool(end.text.strip()), words


@pytest.fixture(scope="module")
def usual(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, End]:
    """Return how every command ends with UTF-8 and a pipe."""
    return ends(source, tmp_path_factory.mktemp("usual"), RICH)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_every_command_ends_as_usual_with_another_encoding(
    source: Path, usual: Mapping[str, End], tmp_path: Path, encoding: str
) -> None:
    """What the encoding lacks becomes escapes."""
    ended = ends(source, tmp_path, {"PYTHONIOENCODING": encoding})
    assert_told(ended, usual)
    assert [] == [words for words, end in ended.items() if end.text.decode(encoding) == ""]


def test_every_command_works_in_a_locale_without_utf_8(source: Path, usual: Mapping[str, End], tmp_path: Path) -> None:
    """What a schedule or a manifest names is looked for, whatever the working directory is called.

    A word of the command line that is not ASCII is refused in a sentence.
    """
    ended = ends(source, tmp_path, POOR)
    for words in [words for words in ended if not words.isascii()]:
        end = ended.pop(words)
        assert 2 == end.code, words
        assert b"is not UTF-8; rename the file, or fix the locale" in end.text, words
    assert b"No such file or directory" in ended["check outside.yaml"].text
    assert b"is missing" in ended[MANIFEST].text
    assert_told(ended, usual)


@pytest.mark.parametrize("columns", ["0", "1", None])
def test_every_command_speaks_on_a_terminal_without_columns(
    source: Path, usual: Mapping[str, End], tmp_path: Path, columns: str | None
) -> None:
    """Its size is 0 × 0, as where nobody set one; COLUMNS says the same, or 1, or nothing."""
    environment = RICH if columns is None else {**RICH, "COLUMNS": columns}
    assert_told(ends(source, tmp_path, environment, terminal=True), usual)


@pytest.mark.parametrize(("first", "second"), [(POOR, RICH), (RICH, POOR)])
def test_a_run_of_one_locale_is_the_same_in_another(
    source: Path, tmp_path: Path, first: Mapping[str, str], second: Mapping[str, str]
) -> None:
    """Its home, its folder and the note of where it stands name the same files."""
    place = tmp_path / FOLDER
    shutil.copytree(source, place)
    for environment, words in (
        (first, "run plays.yaml --home home --directory there"),
        (second, "resume there --home home"),
        (second, "audit verify there"),
        (second, "gc --home home"),
    ):
        process = subprocess.run(
            [sys.executable, "-m", "townlet", *words.split()],
            cwd=place,
            env={**os.environ, **environment},
            capture_output=True,
            check=False,
        )
        assert 0 == process.returncode, (words, process.stderr)
