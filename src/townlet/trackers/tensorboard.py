"""TensorBoard: a folder of event files for each run, under ``HOME/tensorboard`` where no other place is named."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from townlet.dto.tracking import AliasMove, TrackedPoint, TrackedRun
from townlet.env.libraries import needed

with needed("tensorboard", "google", extra="tensorboard"):
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

__all__ = ["TensorBoardTracker"]


class TensorBoardTracker:
    """Writes scalars; look at them with ``tensorboard --logdir FOLDER``."""

    keeps_aliases = False

    def __init__(self, *, home: Path, folder: str = "") -> None:
        """Write below `folder`."""
        self._folder = Path(folder) if folder else home / "tensorboard"
        self._writer: Any = None
        self._is_continued = False

    def open(self, run: TrackedRun) -> None:
        """Begin an event file in the folder of the run."""
        self._writer = EventFileWriter(str(self._folder / run.id))
        self._is_continued = run.continued
        if not run.continued:
            parameters = {name: _number_or_text(value) for name, value in run.parameters.items()}
            self._write(0.0, 0, hparams_pb(parameters, trial_id=run.id, start_time_secs=0))
            self._writer.flush()

    def log(self, points: Sequence[TrackedPoint]) -> None:
        """Write each number as a scalar, and each return of an episode as one of ``rollout/ep_rew``."""
        for point in points:
            if self._is_continued:
                # TensorBoard then forgets what an earlier process wrote from this step on: it comes again.
                restart = Event(wall_time=point.at, step=point.step, session_log=SessionLog(status=SessionLog.START))
                self._writer.add_event(restart)
                self._is_continued = False
            self._write(point.at, point.step, _scalars(point.numbers.items()))
            for value in point.returns:
                self._write(point.at, point.step, _scalars([("rollout/ep_rew", value)]))
        self._writer.flush()

    def move(self, move: AliasMove) -> None:
        """Keep nothing: TensorBoard knows no versions."""

    def close(self, state: str) -> None:
        """Close the file."""
        self._writer.close()

    def _write(self, at: float, step: int, summary: Any) -> None:
        self._writer.add_event(Event(wall_time=at, step=step, summary=summary))


def _scalars(numbers: Any) -> Any:
    return Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in numbers])


def _number_or_text(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value
