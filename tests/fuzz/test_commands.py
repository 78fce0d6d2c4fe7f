"""Hostile values through every parameter of every command; the commands and parameters are read from the app itself."""

import os
import signal
import typing
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, UnionType

import pytest
from cyclopts import App, Argument

from plays import PLAYS as SCHEDULE
from townlet.cli import app, run_command

SHARE = 1 if "TOWNLET_FUZZ" in os.environ else 5
"""Continuous integration tries every fifth value of a parameter, each parameter another fifth; TOWNLET_FUZZ=1 all."""
LIMIT = 60
"""Seconds that a command may take before it is said to hang."""
TEXTS = (
    "",
    " ",
    "x" * 300,
    "d/" * 300 + "x",
    "x" * 5000,
    "nothing.yaml",
    "/dev/null/below",
    "FOLDER",
    "LOOP",
    "PIPE",
    "NOISE",
    "../" * 30 + "etc/passwd",
    "a\0b",
    "\udcff",
    "\x1b]0;owned\x07",
    "[/b] [torch]",
    "--",
    "-1",
    "@",
    "town@champion",
    "teacher:",
    "latest",
    "٣",
    "*",
)
NUMBERS = (
    "",
    "-1",
    "0",
    "1",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "1.5",
    "9" * 400,
    str(2**63),
    str(2**64),
    "true",
    "٣",
    "\0",
)
PROCESS_ENDS = {0, 2, 3, 4, 5, 6, 7}
"""Exit codes of outcomes; 1 is a bug."""


def commands(tree: App, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], App]]:
    """Yield every command that can be called, with the words that call it."""
    for name in tree:
        if not name.startswith("-"):
            yield from commands(tree[name], (*path, name))
            if tree[name].default_command is not None:
                yield (*path, name), tree[name]


def parameters(command: App) -> list[Argument]:
    """Return what a command takes, the fields of records included."""
    return [argument for argument in command.assemble_argument_collection() if argument.parse and argument.name != "*"]


COMMANDS = {words: command for words, command in commands(app) if words != ("demo",)}
"""All but the one that trains for a minute whatever it is given; what it takes are parameters of `run`."""
CASES = [(words, argument.name) for words, command in COMMANDS.items() for argument in parameters(command)]


def is_number(hint: object) -> bool:
    """Return whether a parameter is a number, or one that may be left out."""
    parts = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, UnionType) else (hint,)
    return int in parts or float in parts


class HangsError(BaseException):
    """A command took too long; a BaseException, so that nothing on the way takes it for a failure."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a schedule, a home with a run, and files that are none."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "plays.yaml").write_text(SCHEDULE, encoding="utf-8")
    (folder / "FOLDER").mkdir()
    (folder / "LOOP").symlink_to("LOOP")
    (folder / "NOISE").write_bytes(bytes(range(256)))
    os.mkfifo(folder / "PIPE")
    assert 0 == run_command(["run", str(folder / "plays.yaml"), "--home", str(folder / "home")])
    return folder


@pytest.fixture(autouse=True)
def _stops_what_hangs() -> Iterator[None]:
    def hang(_: int, __: FrameType | None) -> None:
        raise HangsError

    before = signal.signal(signal.SIGALRM, hang)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def line(words: tuple[str, ...], name: str, value: str) -> list[str]:
    """Return a command line on which only one value is hostile."""
    usual = {
        "--run": "latest",
        "--schedule": "plays.yaml",
        "--home": "home",
        "--policy": "teacher:random",
        "--destination": "copied",
        "--log": "home/log.jsonl",
        "--which": "capture",
        "--name": "plays",
        "--reason": "because",
        "--edge": "0",
        "--seeds": "1",
        "--episodes": "2",
        "--days": "1",
        "--scenario": "queue_conflict",
        "--mode": "capture",
        "--shell": "bash",
    }
    tokens = [*words]
    for argument in parameters(COMMANDS[words]):
        if argument.name == name:
            tokens.append(f"{name}={value}")
        elif argument.hint is bool:
            continue  # a flag takes no value
        elif argument.name in usual and (argument.required or argument.name not in ("--run", "--reason", "--which")):
            tokens.append(f"{argument.name}={usual[argument.name]}")
    return tokens


def values(words: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Return the hostile values of a parameter."""
    hint = next(argument.hint for argument in parameters(COMMANDS[words]) if argument.name == name)
    hostile = NUMBERS if is_number(hint) else TEXTS
    return hostile[CASES.index((words, name)) % SHARE :: SHARE]


@pytest.mark.parametrize(
    ("words", "name"), CASES, ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_no_value_of_a_parameter_ends_in_a_traceback(
    words: tuple[str, ...],
    name: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every value is taken, or refused in a message with the code of a family of errors; nothing raw is printed."""
    monkeypatch.chdir(place)
    monkeypatch.setattr("townlet.store.files._PIPE_SECONDS", 0.1)
    faults = []
    for value in values(words, name):
        tokens = line(words, name, value)
        signal.alarm(LIMIT)
        try:
            code = run_command(tokens)
        except (Exception, HangsError, SystemExit) as error:  # noqa: BLE001 - any of them is what is looked for
            faults.append((tokens, f"{type(error).__name__}: {error}"[:300]))
            continue
        finally:
            signal.alarm(0)
        captured = capsys.readouterr()
        if code not in PROCESS_ENDS:
            faults.append((tokens, f"exit code {code}"))
        if code == 2 and not any(text.startswith("error: ") for text in captured.err.splitlines()):
            faults.append((tokens, f"no message: {captured.err[:200]!r}"))
        if {"\x1b", "\x07"} & set(captured.out + captured.err) or "internal error" in captured.err:
            faults.append((tokens, f"printed raw: {captured.err[:200]!r}"))
    assert [] == faults


def test_every_command_is_tried() -> None:
    """The app is walked to its leaves: no command and no parameter is left out by accident."""
    assert {"run", "check", "evaluate", "resume", "gc"} <= {words[-1] for words in COMMANDS}
    assert len(CASES) >= 100
