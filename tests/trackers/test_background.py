"""A tracker may be slow, hang, raise or fill the disk: all that is lost is counted, and nobody waits for it."""

import logging
from pathlib import Path
from time import monotonic

import pytest
from recorder import RUN, Hanging, Recorder, Refusing, move, point

from townlet.trackers import background
from townlet.trackers.background import BackgroundTracker


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_PAUSE", 0.01)


def ended(tracker: BackgroundTracker, state: str = "done") -> float:
    """End a tracker, and return the seconds for which that waited."""
    began = monotonic()
    tracker.end(state)
    tracker.wait()
    return monotonic() - began


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged as warnings."""
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_everything_arrives_once_and_in_order(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A tracker that keeps up is opened, gets every point and move, and is closed with the state; nothing is warned."""
    recorder = Recorder()
    tracker = BackgroundTracker("memory", recorder, RUN)
    for step in range(1000):
        tracker.log(point(step))
    tracker.move(move(1, tmp_path))
    ended(tracker)

    assert ([RUN], list(range(1000)), [1], ["done"]) == (
        recorder.runs, recorder.steps, [each.version for each in recorder.moves], recorder.ends
    )  # fmt: skip
    assert [] == warnings(caplog)


def test_points_that_wait_are_handed_over_together() -> None:
    """What came while the tracker was busy is one call, so that one with slow calls keeps up."""
    hanging = Hanging()
    tracker = BackgroundTracker("slow", hanging, RUN)
    tracker.log(point(0))
    assert hanging.called.wait(10)
    for step in range(1, 101):
        tracker.log(point(step))
    hanging.let_go.set()
    ended(tracker)

    assert [1, 100] == hanging.batches


def test_a_tracker_that_hangs_is_left_behind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of the run waits for a share of its time; one warning counts what was lost, the call's own points too."""
    monkeypatch.setattr(background, "_LAG", 0.0)
    hanging = Hanging()
    tracker = BackgroundTracker("stuck", hanging, RUN)
    tracker.log(point(0))
    assert hanging.called.wait(10)
    tracker.log(point(1))
    tracker.move(move(1, tmp_path))

    assert ended(tracker) < 1
    assert [
        "tracker stuck did not take 2 of 2 points and 1 move of an alias (it is too slow); the run is not affected"
    ] == warnings(caplog)
    hanging.let_go.set()


def test_a_call_that_returns_too_late_is_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracker that was left behind gets nothing more, not even `close`."""
    monkeypatch.setattr(background, "_LAG", 0.0)
    hanging = Hanging()
    tracker = BackgroundTracker("stuck", hanging, RUN)
    tracker.log(point(0))
    assert hanging.called.wait(10)
    tracker.log(point(1))
    ended(tracker)
    hanging.let_go.set()
    tracker._thread.join(10)

    assert ([0], []) == (hanging.steps, hanging.ends)


def test_the_oldest_points_are_dropped(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue that is full loses its oldest points and keeps the newest; the warning counts them."""
    monkeypatch.setattr(background, "_MOST_POINTS", 10)
    hanging = Hanging()
    tracker = BackgroundTracker("slow", hanging, RUN)
    tracker.log(point(0))
    assert hanging.called.wait(10)
    for step in range(1, 21):
        tracker.log(point(step))
    hanging.let_go.set()
    ended(tracker)

    assert [0, *range(11, 21)] == hanging.steps
    assert ["tracker slow did not take 10 of 21 points (it is too slow); the run is not affected"] == warnings(caplog)


@pytest.mark.parametrize("call", ["open", "log", "move"])
def test_what_raised_is_called_again(call: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Three errors delay the numbers and lose none; nothing is lost, so nothing is warned of."""
    refusing = Refusing(refuses=call, times=3)
    tracker = BackgroundTracker("flaky", refusing, RUN)
    for step in range(3):
        tracker.log(point(step))
    tracker.move(move(1, tmp_path))
    tracker._thread.join(0.5)
    ended(tracker)

    assert ([0, 1, 2], 1, ["done"]) == (refusing.steps, len(refusing.moves), refusing.ends)
    assert [] == warnings(caplog)


def test_a_disk_that_stays_full_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Every point is counted, and the first error is named."""
    tracker = BackgroundTracker("files", Refusing(), RUN)
    for step in range(7):
        tracker.log(point(step))
    ended(tracker)

    assert [
        "tracker files did not take 7 of 7 points (OSError: [Errno 28] No space left on device); "
        "the run is not affected"
    ] == warnings(caplog)


def test_a_move_that_is_refused_blocks_no_points(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Points overtake a move that the tracker does not take; the warning counts the move alone."""
    refusing = Refusing(refuses="move")
    tracker = BackgroundTracker("files", refusing, RUN)
    tracker.move(move(1, tmp_path))
    for step in range(7):
        tracker.log(point(step))
    ended(tracker)

    assert (list(range(7)), ["done"]) == (refusing.steps, refusing.ends)
    assert [
        "tracker files did not take 1 move of an alias (OSError: [Errno 28] No space left on device); "
        "the run is not affected"
    ] == warnings(caplog)


def test_the_end_of_a_short_run_waits_until_a_tracker_has_begun(caplog: pytest.LogCaptureFixture) -> None:
    """A library that takes seconds to import loses nothing of a rehearsal."""

    class Late(Recorder):
        def open(self, run: object) -> None:
            hold.let_go.wait(0.5)

    hold = Hanging()
    late = Late()
    tracker = BackgroundTracker("late", late, RUN)
    tracker.log(point(1))

    assert ended(tracker) > 0.1
    assert [1] == late.steps
    assert [] == warnings(caplog)
