"""TensorBoard's own reader finds what was written."""

from pathlib import Path

import pytest
from recorder import RUN, point

pytest.importorskip("tensorboard")

from attrs import evolve
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from townlet.trackers.tensorboard import TensorBoardTracker

TAG = "train/value_loss"


def scalars(folder: Path, tag: str) -> list[tuple[int, float, float]]:
    """Return step, time and value of each scalar, as TensorBoard shows them."""
    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    reader.Reload()
    return [(each.step, each.wall_time, each.value) for each in reader.Scalars(tag)]


def test_numbers_come_back_with_step_and_time(tmp_path: Path) -> None:
    """Each number is a scalar, each return of an episode one of its own; all is on disk before the file is closed."""
    tracker = TensorBoardTracker(home=tmp_path)
    tracker.open(RUN)
    tracker.log([point(100, returns=(1.5, 2.5)), point(200)])

    folder = tmp_path / "tensorboard" / RUN.id
    assert [(100, 1.0e9 + 100, 0.5), (200, 1.0e9 + 200, 0.5)] == scalars(folder, TAG)
    assert [(100, 1.0e9 + 100, 1.5), (100, 1.0e9 + 100, 2.5)] == scalars(folder, "rollout/ep_rew")
    tracker.close("done")


def test_a_run_that_goes_on_replaces_what_comes_again(tmp_path: Path) -> None:
    """From the checkpoint on, the numbers of the second process stand in place of those of the first."""
    first = TensorBoardTracker(home=tmp_path, folder=str(tmp_path / "board"))
    first.open(RUN)
    first.log([point(100), point(200), point(300)])
    first.close("stopped")
    second = TensorBoardTracker(home=tmp_path, folder=str(tmp_path / "board"))
    second.open(evolve(RUN, continued=True))
    second.log([point(200, train__value_loss=0.25), point(300, train__value_loss=0.125)])
    second.close("done")

    found = [(step, value) for step, _, value in scalars(tmp_path / "board" / RUN.id, TAG)]
    assert [(100, 0.5), (200, 0.25), (300, 0.125)] == found


def test_the_schedule_is_there_as_hyperparameters(tmp_path: Path) -> None:
    """The tab of hyperparameters compares runs by them."""
    tracker = TensorBoardTracker(home=tmp_path)
    tracker.open(RUN)
    tracker.close("done")
    reader = EventAccumulator(str(tmp_path / "tensorboard" / RUN.id))
    reader.Reload()

    content = reader.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert b"states.ppo.with.gamma" in content
