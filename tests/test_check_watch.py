"""`townlet check --watch`: a check for every save, however an editor saves."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Queue

import pytest

from plays import PLAYS
from townlet.cli import run_command

DOOR = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from townlet.cli import main; main()"
PATIENCE = 60.0


@pytest.fixture
def schedule(tmp_path: Path) -> Path:
    """Return a sound schedule."""
    path = tmp_path / "plays.yaml"
    path.write_text(PLAYS, encoding="utf-8")
    return path


@pytest.fixture
def watcher(schedule: Path) -> Iterator[subprocess.Popen[str]]:
    """Return a process that watches it."""
    command = [sys.executable, "-u", "-c", DOOR, "check", str(schedule), "--watch"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def test_every_save_is_checked_until_ctrl_c(schedule: Path, watcher: subprocess.Popen[str]) -> None:
    """A save in place, a rename over the file, a file that is gone for a moment; mistakes are told, none ends it."""
    assert watcher.stderr is not None
    lines: Queue[str] = Queue()
    stream = watcher.stderr
    threading.Thread(target=lambda: [lines.put(line) for line in stream], daemon=True).start()

    def checked() -> str:
        """Return what the next check said on stderr."""
        said = []
        while not said or not said[-1].startswith("waiting for the next save"):
            said.append(lines.get(timeout=PATIENCE))
        return "".join(said)

    assert "error" not in checked()
    schedule.write_text(PLAYS.replace("days: 1", "dayz: 1"), encoding="utf-8")
    assert "unknown key 'dayz'; did you mean 'days'?" in checked()
    other = schedule.with_name(".plays.yaml.swp")
    other.write_text(PLAYS, encoding="utf-8")
    other.replace(schedule)
    assert "error" not in checked()
    schedule.unlink()
    time.sleep(0.5)
    schedule.write_text(PLAYS.replace("seed: 3", "seed: three"), encoding="utf-8")
    assert "found 'three'" in checked()
    watcher.send_signal(signal.SIGINT)
    assert 130 == watcher.wait(PATIENCE)
    assert "" == "".join(lines.get() for _ in range(lines.qsize())).strip()


def test_what_cannot_be_watched_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there, and an environment."""
    assert 2 == run_command(["check", str(tmp_path / "no.yaml"), "--watch"])
    assert "cannot read schedule" in capsys.readouterr().err
    assert 2 == run_command(["check", "--env", "town", "--watch"])
    assert "about a schedule" in capsys.readouterr().err
