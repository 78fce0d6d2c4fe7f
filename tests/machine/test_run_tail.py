"""Following a run: what is new at each look, while another process writes, cuts and rewinds."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from townlet.dto.journal import RunClosed
from townlet.errors import BadInputError, JournalBrokenError
from townlet.machine.audit.run_follow import follow_run
from townlet.machine.audit.run_tail import RunTail
from townlet.policy.training.strategies.base import catalogue
from townlet.store.rundir import RunDirectory

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"
HOLDER = """\
import sys
from pathlib import Path
from townlet.store.rundir import RunDirectory
with RunDirectory.at(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """Return a finished run of an earlier version, which has no stream of metrics."""
    return RunDirectory.find(shutil.copytree(GOLDEN, tmp_path / "home"), "latest")


def tail_of(run: RunDirectory) -> RunTail:
    """Return what follows a run."""
    return RunTail(run=run, catalogue=catalogue())


def line(step: int, **numbers: float) -> bytes:
    """Return a line of the metric stream."""
    return json.dumps({"state": "ppo", "visit": 1, "step": step, "agent_steps": step, **numbers}).encode() + b"\n"


def test_the_first_look_is_everything_and_the_next_is_nothing(run: RunDirectory) -> None:
    """Nothing is changed by looking."""
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    tail = tail_of(run)

    first, second = tail.poll(), tail.poll()

    assert isinstance(first.entries[-1].record, RunClosed)
    assert bool(first) is True
    assert bool(second) is False
    assert before == {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}


def test_points_come_once_and_a_torn_line_when_it_is_whole(run: RunDirectory) -> None:
    """The stream is appended to while it is read; a line that nobody can read is left out."""
    tail = tail_of(run)
    run.metrics.write_bytes(line(1) + line(2)[:20])
    assert [1] == [point.step for point in tail.poll().points]
    run.metrics.write_bytes(line(1) + line(2) + b"{]\n" + line(3, of=9))
    points = tail.poll().points
    assert [(2, 0), (3, 9)] == [(point.step, point.of) for point in points]
    assert () == tail.poll().points


@pytest.mark.parametrize("again", [[1], [1, 2, 4, 5], [7, 8, 9]])
def test_a_stream_that_was_rewound_is_read_from_its_beginning(run: RunDirectory, again: list[int]) -> None:
    """Shorter than before, as long or longer: what was read last is not where it was."""
    tail = tail_of(run)
    run.metrics.write_bytes(b"".join(map(line, (1, 2, 3))))
    assert [1, 2, 3] == [point.step for point in tail.poll().points]
    other = run.metrics.with_suffix(".new")
    other.write_bytes(b"".join(map(line, again)))
    other.replace(run.metrics)

    assert again == [point.step for point in tail.poll().points]


def test_a_stream_that_is_gone_is_no_error(run: RunDirectory) -> None:
    """It is derived data."""
    tail = tail_of(run)
    run.metrics.write_bytes(line(1))
    tail.poll()
    run.metrics.unlink()
    assert () == tail.poll().points
    run.metrics.write_bytes(line(1))
    assert len(tail.poll().points) <= 1


def test_a_stream_that_cannot_be_read_is_no_error(run: RunDirectory) -> None:
    """A directory in its place: the journal is followed all the same."""
    run.metrics.mkdir()
    update = tail_of(run).poll()
    assert (True, ()) == (bool(update.entries), update.points)


def test_a_run_that_was_removed_or_replaced_is_told(run: RunDirectory) -> None:
    """Two runs are never shown as one."""
    tail = tail_of(run)
    tail.poll()
    shutil.rmtree(run.path)
    with pytest.raises(BadInputError, match="the run was removed, or another took its place"):
        tail.poll()


def test_an_edited_journal_is_refused(run: RunDirectory) -> None:
    """The chain is verified at every look."""
    tail = tail_of(run)
    tail.poll()
    run.journal.write_bytes(run.journal.read_bytes().replace(b"corridor", b"korridor"))
    with pytest.raises(JournalBrokenError, match="record 0 is not valid"):
        tail.poll()


def test_a_run_that_has_ended_is_followed_for_one_look(run: RunDirectory) -> None:
    """Nobody waits for what is over."""
    waits: list[float] = []

    assert 1 == len(list(follow_run(tail_of(run), waits.append)))
    assert [] == waits


def test_a_run_is_followed_as_long_as_a_process_works_on_it(run: RunDirectory) -> None:
    """The lock says it; three looks without one, in which nothing is written, end it."""
    tail = tail_of(run)
    tail.poll()  # what comes now is a run that says nothing more, and has not ended
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert "held\n" == holder.stdout.readline()
    looks = 0

    def wait(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 5:
            holder.kill()
            holder.wait()

    assert 5 + 3 == len(list(follow_run(tail, wait)))
    holder.communicate()
