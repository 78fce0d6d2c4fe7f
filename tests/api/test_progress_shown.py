"""Where progress is shown: by default in a terminal and in a notebook, and nowhere else unless it is asked for."""

import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from broken_corridors import TakesAnything
from corridor import CorridorProvider
from programs import HEAD, program, write_plays

import townlet
from townlet.report.progress.run_progress import RunProgress
from townlet.report.terminal import Terminal

SLOW = """
import time
class Slow(Walker):
    def act(self, observations):
        time.sleep(0.06)
        return super().act(observations)
teacher = Slow("lazy")
"""
ANNEAL = "townlet.anneal('plays.yaml', environment=environment, home='home'{})\n"


@frozen(kw_only=True)
class Point:
    """An iteration of ppo."""

    state: str = "ppo"
    visit: int = 1
    step: int = 4
    of: int = 90
    agent_steps: int = 98_304
    numbers: Mapping[str, float] = {"reward": 0.003343, "value_loss": 0.4, "explained_variance": 0.71}


def screen(written: str) -> list[str]:
    """Return what a notebook shows of a text: after a carriage return, characters take the place of others."""
    lines = []
    for line in written.split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part) :]
        lines.append(shown.rstrip())
    return lines


def test_a_script_in_a_pipe_is_quiet(tmp_path: Path) -> None:
    """A library does not write where nobody asked it to."""
    write_plays(tmp_path)
    done = program(tmp_path, ANNEAL.format(""))
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def test_a_script_in_a_pipe_shows_progress_where_it_is_asked_to(tmp_path: Path) -> None:
    """The lines are those of the command line, on stderr."""
    write_plays(tmp_path)
    done = program(tmp_path, ANNEAL.format(", progress=True"))
    assert "" == done.stdout
    assert re.match(r"plays seed 3, run \S+\nenvironment corridor/plain: keeps 14 of 14 promises", done.stderr)
    assert "  → done always\n" in done.stderr


def test_a_terminal_shows_one_live_line(tmp_path: Path) -> None:
    """A real pseudo-terminal; `progress=False` shows nothing there."""
    write_plays(tmp_path)
    for arguments, is_shown in ((", teacher=teacher", True), (", progress=False", False)):
        (tmp_path / "program.py").write_text(HEAD + SLOW + ANNEAL.format(arguments), encoding="utf-8")
        ours, theirs = pty.openpty()
        with subprocess.Popen([sys.executable, "program.py"], cwd=tmp_path, stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            written = b""
            while True:
                try:
                    piece = os.read(ours, 4096)
                except OSError:  # the other side is closed
                    break
                if not piece:
                    break
                written += piece
        os.close(ours)
        text = written.decode()
        assert 0 == process.returncode, text
        assert ("capture  for 0:0" in text) is is_shown
        assert bool(text) is is_shown


def test_a_reservation_is_logged_where_nothing_is_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What the command line warns of goes to the logger `townlet`."""
    townlet.anneal(write_plays(tmp_path), environment=CorridorProvider(TakesAnything), home=tmp_path / "home")
    assert any("refusals (broken)" in record.getMessage() for record in caplog.records)


def test_a_rewritten_line_covers_the_one_before() -> None:
    """A notebook knows no more than the carriage return: a shorter line leaves no rest of a longer one."""
    console = Terminal(file=io.StringIO(), width=160, highlight=False, force_terminal=False)
    progress = RunProgress(console, rewrites=True)
    assert isinstance(console.file, io.StringIO)
    progress.watch(Point())
    progress._rewrite()
    assert "value_loss" in screen(console.file.getvalue())[-1]
    progress.watch(Point(numbers={}))
    progress._rewrite()
    assert "value_loss" not in screen(console.file.getvalue())[-1]
    assert "4/90" in screen(console.file.getvalue())[-1]
    progress._clear()
    console.print("done")
    assert ["done", ""] == screen(console.file.getvalue())
    assert "\x1b" not in console.file.getvalue()


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Any]:
    """Return a real kernel that works in the folder of the test, with its client."""
    pytest.importorskip("ipykernel")
    manager = pytest.importorskip("jupyter_client").KernelManager()
    manager.start_kernel(cwd=str(tmp_path), extra_arguments=["--HistoryManager.enabled=False"])
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def cell(client: Any, code: str, on_text: Callable[[str], None] = len) -> tuple[str, dict[str, str]]:
    """Execute a cell; return its status, and what it wrote by stream or kind. `on_text` gets stdout so far."""
    outputs: dict[str, str] = {}

    def collect(message: dict[str, Any]) -> None:
        content, kind = message["content"], message["msg_type"]
        if kind == "stream":
            outputs[content["name"]] = outputs.get(content["name"], "") + content["text"]
            on_text(outputs.get("stdout", ""))
        elif kind in ("execute_result", "display_data"):
            outputs[kind] = content["data"]["text/plain"]
        elif kind == "error":
            outputs[kind] = f"{content['ename']}: {content['evalue']}"

    reply = client.execute_interactive(code, output_hook=collect, timeout=120)
    return reply["content"]["status"], outputs


def test_a_notebook_shows_a_line_that_is_rewritten(tmp_path: Path, kernel: Any) -> None:
    """A real kernel: plain text on stdout, no widgets, nothing in red; the cell's value is the summary's screen."""
    write_plays(tmp_path)
    status, outputs = cell(kernel[1], HEAD + SLOW + ANNEAL.format(", teacher=teacher"))
    assert "ok" == status, outputs
    assert {"stdout", "execute_result"} == {*outputs}
    assert "\r" in outputs["stdout"]
    assert "capture  for 0:0" in outputs["stdout"]
    assert "\x1b" not in outputs["stdout"]
    shown = screen(outputs["stdout"])
    assert re.fullmatch(r"plays seed 3, run \S+", shown[0])
    assert not any("for 0:0" in line for line in shown), "the live line is gone at the end"
    assert "done: always" in outputs["execute_result"]
    assert "next, in a shell: townlet audit why" in outputs["execute_result"]


def test_the_stop_button_of_a_notebook_stops_at_a_safe_point(tmp_path: Path, kernel: Any) -> None:
    """The cell ends in KeyboardInterrupt with the call that goes on, and the next cell makes it."""
    manager, client = kernel
    write_plays(tmp_path)
    pressed: list[str] = []

    def press(text: str) -> None:
        if "capture  for" in text and not pressed:
            pressed.append(text)
            manager.interrupt_kernel()

    status, outputs = cell(client, HEAD + SLOW + ANNEAL.format(", teacher=teacher"), press)
    assert "error" == status
    call = re.search(r"KeyboardInterrupt: .*go on with: (townlet\.resume\('[\w-]+', home='[^']+')\)", outputs["error"])
    assert call is not None, outputs
    status, outputs = cell(client, f"{call.group(1)}, environment=environment, teacher=Walker('lazy'))")
    assert "ok" == status, outputs
    assert "done: always" in outputs["execute_result"]
