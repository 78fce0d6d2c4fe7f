"""`townlet watch` and `townlet report --follow`: real processes that look at a real run."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define

from plays import PLAYS
from pseudo_terminal import in_terminal
from townlet.cli import run_command
from townlet.store.rundir import RunDirectory
from waiting_town import ALL, allow

MAIN = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from townlet.cli import main; main()"
WATCH = [sys.executable, "-c", MAIN, "watch", "latest", "--home", "home"]
FOLLOW = [sys.executable, "-c", MAIN, "report", "latest", "--home", "home", "--follow", "--every", "1s"]
HELD = PLAYS.replace("capture.episodes", "capture.action_entropy")
REFRESH = 'http-equiv="refresh"'
PATIENCE = 120.0
PER_REPORT = 48
"""Decisions from one report of capture to the next."""
WAITING = [sys.executable, str(Path(__file__).with_name("waiting_town.py"))]
ROW = re.compile(r"capture  [━╌]{16}  (\d+)/240")
"""The row of the visit, once it reported."""


def run_here(folder: Path, schedule: str) -> None:
    """Run a schedule in this process, to its end or a hold."""
    (folder / "plays.yaml").write_text(schedule, encoding="utf-8")
    run_command(["run", str(folder / "plays.yaml"), "--home", str(folder / "home"), "--quiet"])


@define
class Running:
    """A process that works on a run, and plays no more decisions than a test allows."""

    folder: Path
    """Where it runs: its home is below."""
    process: subprocess.Popen[bytes]
    """The process."""
    decisions: int = 0
    """Decisions that it may play."""

    @classmethod
    def begin(cls, folder: Path) -> "Running":
        """Begin a run that waits before its first decision."""
        (folder / "plays.yaml").write_text(PLAYS, encoding="utf-8")
        allow(folder / "allowed", 0)
        process = subprocess.Popen(
            [*WAITING, "allowed", "run", "plays.yaml", "--home", "home", "--quiet"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        return cls(folder, process)

    def report_once_more(self) -> None:
        """Let it play until it reports its next iteration."""
        self.decisions += PER_REPORT
        allow(self.folder / "allowed", self.decisions)

    def finish(self) -> None:
        """Let it play to its end."""
        allow(self.folder / "allowed", ALL)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """Return a run that has reported once, and waits."""
    run = Running.begin(tmp_path)
    run.report_once_more()
    wait_for(lambda: bool(list((tmp_path / "home" / "runs").glob("2*/metrics.jsonl"))), run.process)
    yield run
    run.process.kill()
    run.process.wait()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    """Wait until a condition holds; fail where the process ends before, or nothing happens for long."""
    until = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.long
def test_a_terminal_shows_the_run_of_another_process_to_its_end(tmp_path: Path, running: Running) -> None:
    """The machine with its state lit, the bar moving, the verdict, and what to type next; the run does not notice."""
    seen: set[str] = set()

    def go_on(_: object, screen: tuple[str, ...]) -> None:
        bars = {match[1] for line in screen if (match := ROW.search(line))}
        if bars - seen:
            seen.update(bars)
            running.report_once_more() if len(seen) < 3 else running.finish()

    shown = in_terminal(WATCH, tmp_path, columns=100, on_screen=go_on)

    assert 0 == running.process.wait(PATIENCE)
    assert 0 == shown.code
    assert "[capture ×1]" in shown.lines
    assert {"48", "96", "144"} <= seen
    assert any(re.search(r"96/240  \d+:\d\d left", line) for line in shown.lines), shown.lines
    last = "\n".join(shown.screens[-1])
    assert "  pass      enough: capture.episodes 2 is at least 2\n  → done on enough\ndone: on enough\n" in last
    assert "next: townlet audit why" in last
    assert "[capture" not in last
    assert b"\x1b[7m" in shown.written or b"\x1b[1;7m" in shown.written


@pytest.mark.long
def test_a_pipe_gets_plain_lines(tmp_path: Path, running: Running) -> None:
    """Lines of text on stdout, as `run` writes them, and nothing on stderr."""
    with subprocess.Popen(WATCH, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout is not None
        first = watcher.stdout.readline()  # it watches while the run goes on
        running.finish()
        out, err = watcher.communicate(timeout=PATIENCE)

    assert (0, "") == (watcher.returncode, err)
    assert re.match(r"plays seed 3, run \S+\n$", first)
    assert out.startswith("capture\n")
    assert "\n  action_entropy " in out
    assert "\x1b" not in out
    assert 0 == running.process.wait(PATIENCE)


@pytest.mark.long
def test_a_watch_that_waits_shows_the_next_run_from_its_beginning(tmp_path: Path) -> None:
    """There is no run when it begins to wait, and it says so; `latest` is the run that somebody starts then."""
    runs: list[Running] = []

    def start(_: object, screen: tuple[str, ...]) -> None:
        if not runs and any("waiting for one, Ctrl-C ends the wait" in line for line in screen):
            runs.append(Running.begin(tmp_path))
        if "[capture ×1]" in screen:
            runs[0].finish()

    shown = in_terminal([*WATCH, "--wait"], tmp_path, columns=300, on_screen=start)

    assert (0, 0) == (shown.code, runs[0].process.wait(PATIENCE))
    assert "no process works on latest in home; waiting for one, Ctrl-C ends the wait" in shown.lines
    assert "done: on enough" in shown.screens[-1]


@pytest.mark.long
def test_a_run_whose_process_was_killed_is_told(tmp_path: Path, running: Running) -> None:
    """The watch ends, says how the run goes on, and a resumed run can be watched again."""

    def kill(_: object, screen: tuple[str, ...]) -> None:
        if "[capture ×1]" in screen:
            running.process.kill()

    shown = in_terminal(WATCH, tmp_path, columns=300, on_screen=kill)

    last = " ".join(shown.screens[-1])
    assert 3 == shown.code
    assert "capture, visit 1: no process works on the run any more; it was killed, or its machine went down" in last
    assert "nothing is lost, go on with: townlet resume 2" in last
    assert 0 == run_command(["resume", "latest", "--home", str(tmp_path / "home"), "--quiet"])
    again = in_terminal(WATCH, tmp_path)
    assert 0 == again.code
    assert "capture, attempt 2" in again.screens[-1]


@pytest.mark.long
def test_ctrl_c_leaves_the_run_alone(tmp_path: Path, running: Running) -> None:
    """The watch ends with 130 and says how to look again; the run goes on to its end."""

    def press(process: subprocess.Popen[bytes], screen: tuple[str, ...]) -> None:
        if "[capture ×1]" in screen:
            process.send_signal(signal.SIGINT)

    shown = in_terminal(WATCH, tmp_path, columns=300, on_screen=press)

    assert 130 == shown.code
    assert "SIGINT: you watch no more, and the run is not affected; look again with: townlet watch" in " ".join(
        shown.screens[-1]
    )
    assert running.process.poll() is None
    running.finish()
    assert 0 == running.process.wait(PATIENCE)


@pytest.mark.long
@pytest.mark.parametrize(
    ("columns", "environment", "has_rows"),
    [(40, {"NO_COLOR": ""}, True), (80, {"NO_COLOR": "1"}, True), (80, {"TERM": "dumb"}, False)],
    ids=["narrow", "NO_COLOR", "dumb"],
)
def test_a_run_is_shown_on_every_terminal(
    tmp_path: Path, columns: int, environment: dict[str, str], has_rows: bool
) -> None:
    """`run` itself: forty columns, no colour, and a terminal that can only write lines; no row is ever torn."""
    (tmp_path / "plays.yaml").write_text(PLAYS, encoding="utf-8")
    allow(tmp_path / "allowed", 0)

    def go_on(_: object, screen: tuple[str, ...]) -> None:
        if ("[capture ×1]" if has_rows else "capture") in screen:
            allow(tmp_path / "allowed", ALL)

    shown = in_terminal(
        [*WAITING, "allowed", "run", "plays.yaml", "--home", "home"],
        tmp_path,
        columns=columns,
        environment=environment,
        on_screen=go_on,
    )

    assert 0 == shown.code
    assert has_rows is ("[capture ×1]" in shown.lines)
    assert not re.search(rb"\x1b\[(\d+;)*3[0-7]m", shown.written) or not environment["NO_COLOR"]
    last = "\n".join(shown.screens[-1])
    assert "  → done on enough" in last
    assert "[capture" not in last
    if not has_rows:
        assert b"\x1b" not in shown.written.removesuffix(b"\x1b[0m")  # colorama, at the end of the process


def test_a_held_run_says_what_it_waits_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It ends at once, with the exit code of a hold, and the commands that lead on."""
    run_here(tmp_path, HELD)
    capsys.readouterr()

    assert 3 == run_command(["watch", "latest", "--home", str(tmp_path / "home")])

    shown = capsys.readouterr().out
    assert "is not at least 2\n  → hold too few\nhold: too few\n" in shown
    assert "townlet retry" in shown


def test_looking_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Not one byte and not one time of the home; a damaged journal is refused with its own exit code."""
    run_here(tmp_path, PLAYS)
    home = tmp_path / "home"

    def content() -> dict[Path, tuple[bytes, int]]:
        return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in home.rglob("*") if path.is_file()}

    before = content()
    assert 0 == run_command(["watch", "latest", "--home", str(home)])
    assert before == content()
    journal = RunDirectory.find(home, "latest").journal
    journal.write_bytes(journal.read_bytes().replace(b"plays", b"ploys"))
    assert 5 == run_command(["watch", "latest", "--home", str(home)])
    assert "record 0 is not valid" in capsys.readouterr().err


@pytest.mark.long
def test_the_page_follows_a_run_to_its_end(tmp_path: Path, running: Running) -> None:
    """Whole at every moment, reloading while the run goes on and not at its end; it stays where it is."""
    pytest.importorskip("jinja2")
    page, pages = RunDirectory.find(tmp_path / "home", "latest").path / "report.html", list[str]()
    with subprocess.Popen(FOLLOW, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as follower:
        while follower.poll() is None:
            if page.exists() and (text := page.read_text()) not in pages[-1:]:
                pages.append(text)
                running.report_once_more() if len(pages) < 2 else running.finish()
            time.sleep(0.05)
        out, err = follower.communicate()
    if page.read_text() != pages[-1]:
        pages.append(page.read_text())

    assert (0, 0) == (follower.returncode, running.process.wait(PATIENCE))
    assert all(each.startswith("<!doctype html>") and each.rstrip().endswith("</html>") for each in pages)
    assert len(pages) > 2
    assert all(REFRESH in each and "reloads itself every 1 s" in each for each in pages[:-1])
    stamps = [re.findall(r'data-written="([^"]+)"', each) for each in pages[:-1]]
    assert len(pages) - 1 == len({stamp for (stamp,) in stamps})
    assert REFRESH not in pages[-1]
    assert "Done: on enough" in pages[-1]
    assert f"{page.relative_to(tmp_path)} follows the run; open it once, it reloads itself every 1 s\n" == err
    assert out.startswith(f"wrote {page.relative_to(tmp_path)} (")


@pytest.mark.long
def test_a_page_that_follows_no_more_does_not_reload(tmp_path: Path, running: Running) -> None:
    """Ctrl-C leaves the run alone, and a last page that stays as it is."""
    pytest.importorskip("jinja2")
    page = RunDirectory.find(tmp_path / "home", "latest").path / "report.html"
    with subprocess.Popen(FOLLOW, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as follower:
        wait_for(page.exists, follower)
        follower.send_signal(signal.SIGINT)
        assert 130 == follower.wait(PATIENCE)

    assert REFRESH not in page.read_text()
    assert running.process.poll() is None
    running.finish()
    assert 0 == running.process.wait(PATIENCE)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--every", "5s"), "--every says how often --follow writes the page; add --follow, or leave it out"),
        (("--follow", "--every", "5"), "expected a duration with its unit"),
        (("--follow", "--every", "10ms"), "--every is 10ms; expected at least 1s"),
        (("--follow", "--format", "md"), "--follow keeps an HTML page current, found the format md"),
        (("--follow", "--out", "page.png"), "--follow keeps an HTML page current, found the format png"),
    ],
)
def test_what_cannot_be_followed_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    """Before a run is looked for."""
    assert 2 == run_command(["report", "latest", *words, "--home", str(tmp_path)])
    assert sentence in capsys.readouterr().err
