"""`townlet watch` and `townlet report --follow`: real processes that look at a real run."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plays import PLAYS
from pseudo_terminal import in_terminal
from townlet.cli import run_command
from townlet.store.rundir import RunDirectory

pytestmark = pytest.mark.once

MAIN = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from townlet.cli import main; main()"
WATCH = [sys.executable, "-c", MAIN, "watch", "latest", "--home", "home"]
FOLLOW = [sys.executable, "-c", MAIN, "report", "latest", "--home", "home", "--follow", "--every", "1s"]
HELD = PLAYS.replace("capture.episodes", "capture.action_entropy")
REFRESH = 'http-equiv="refresh"'
PATIENCE = 60.0


def run_here(folder: Path, schedule: str) -> None:
    """Run a schedule in this process, to its end or a hold."""
    (folder / "plays.yaml").write_text(schedule, encoding="utf-8")
    run_command(["run", str(folder / "plays.yaml"), "--home", str(folder / "home"), "--quiet"])


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Return a process that works on a run for some seconds, once the run is there."""
    (tmp_path / "plays.yaml").write_text(PLAYS, encoding="utf-8")
    command = [sys.executable, str(Path(__file__).with_name("slow_town.py")), "0.03"]
    process = subprocess.Popen(
        [*command, "run", "plays.yaml", "--home", "home", "--quiet"], cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    until = time.monotonic() + PATIENCE
    while not list((tmp_path / "home" / "runs").glob("2*/metrics.jsonl")):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    yield process
    process.kill()
    process.wait()


@pytest.mark.long
def test_a_terminal_shows_the_run_of_another_process_to_its_end(
    tmp_path: Path, running: subprocess.Popen[bytes]
) -> None:
    """The machine with its state lit, the bar moving, the verdict, and what to type next; the run does not notice."""
    shown = in_terminal(WATCH, tmp_path, columns=100)

    assert 0 == running.wait(PATIENCE)
    assert 0 == shown.code
    assert "[capture ×1]" in shown.lines
    found = (re.search(r"capture  [━╌]{16}  (\d+)/(\d+)  0:\d\d left", line) for line in shown.lines)
    bars = {match[1] for match in found if match is not None}
    assert len(bars) > 1, shown.lines
    last = "\n".join(shown.screens[-1])
    assert "  pass      enough: capture.episodes 2 is at least 2\n  → done on enough\ndone: on enough\n" in last
    assert "next: townlet audit why" in last
    assert "[capture" not in last
    assert b"\x1b[7m" in shown.written or b"\x1b[1;7m" in shown.written


@pytest.mark.long
def test_a_pipe_gets_plain_lines(tmp_path: Path, running: subprocess.Popen[bytes]) -> None:
    """Lines of text on stdout, as `run` writes them, and nothing on stderr."""
    done = subprocess.run(WATCH, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)

    assert (0, "") == (done.returncode, done.stderr)
    assert re.match(r"plays seed 3, run \S+\ncapture\n  action_entropy ", done.stdout)
    assert "\x1b" not in done.stdout
    assert 0 == running.wait(PATIENCE)


@pytest.mark.long
def test_a_run_whose_process_was_killed_is_told(tmp_path: Path, running: subprocess.Popen[bytes]) -> None:
    """The watch ends, says how the run goes on, and a resumed run can be watched again."""

    def kill(_: object, screen: tuple[str, ...]) -> None:
        if "[capture ×1]" in screen:
            running.kill()

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
def test_ctrl_c_leaves_the_run_alone(tmp_path: Path, running: subprocess.Popen[bytes]) -> None:
    """The watch ends with 130 and says how to look again; the run goes on to its end."""

    def press(process: subprocess.Popen[bytes], screen: tuple[str, ...]) -> None:
        if "[capture ×1]" in screen:
            process.send_signal(signal.SIGINT)

    shown = in_terminal(WATCH, tmp_path, columns=300, on_screen=press)

    assert 130 == shown.code
    assert "SIGINT: you watch no more, and the run is not affected; look again with: townlet watch" in " ".join(
        shown.screens[-1]
    )
    assert running.poll() is None
    assert 0 == running.wait(PATIENCE)


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
    command = [sys.executable, str(Path(__file__).with_name("slow_town.py")), "0.01", "run", "plays.yaml"]

    shown = in_terminal([*command, "--home", "home"], tmp_path, columns=columns, environment=environment)

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
def test_the_page_follows_a_run_to_its_end(tmp_path: Path, running: subprocess.Popen[bytes]) -> None:
    """Whole at every moment, reloading while the run goes on and not at its end; it stays where it is."""
    pytest.importorskip("jinja2")
    page, pages = RunDirectory.find(tmp_path / "home", "latest").path / "report.html", list[str]()
    with subprocess.Popen(FOLLOW, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as follower:
        while follower.poll() is None:
            if page.exists() and (not pages or page.read_text() != pages[-1]):
                pages.append(page.read_text())
            time.sleep(0.05)
        out, err = follower.communicate()

    assert (0, 0) == (follower.returncode, running.wait(PATIENCE))
    assert all(each.startswith("<!doctype html>") and each.rstrip().endswith("</html>") for each in pages)
    assert len(pages) > 1
    assert all(REFRESH in each and "reloads itself every 1 s" in each for each in pages[:-1])
    stamps = [re.findall(r'data-written="([^"]+)"', each) for each in pages[:-1]]
    assert len(pages) - 1 == len({stamp for (stamp,) in stamps})
    assert REFRESH not in pages[-1]
    assert "Done: on enough" in pages[-1]
    assert f"{page.relative_to(tmp_path)} follows the run; open it once, it reloads itself every 1 s\n" == err
    assert out.startswith(f"wrote {page.relative_to(tmp_path)} (")


@pytest.mark.long
def test_a_page_that_follows_no_more_does_not_reload(tmp_path: Path, running: subprocess.Popen[bytes]) -> None:
    """Ctrl-C leaves the run alone, and a last page that stays as it is."""
    pytest.importorskip("jinja2")
    page = RunDirectory.find(tmp_path / "home", "latest").path / "report.html"
    with subprocess.Popen(FOLLOW, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as follower:
        while not page.exists():
            time.sleep(0.05)
        follower.send_signal(signal.SIGINT)
        assert 130 == follower.wait(PATIENCE)

    assert REFRESH not in page.read_text()
    assert running.poll() is None
    assert 0 == running.wait(PATIENCE)


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
