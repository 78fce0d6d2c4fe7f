"""Files of a run for scripts: the training log while it goes on, results and samples when it ends."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from attrs import define, evolve, field, fields

from townlet.dto.codec import unstructure
from townlet.dto.journal import Entry, VisitFinished, VisitStarted
from townlet.dto.policy import AnnealSummary, CaptureResult, PPOTrainingResult, ReplayResult, TrainingResult
from townlet.dto.schedule import ScheduleSpec
from townlet.dto.train import TrainRequest
from townlet.dto.training_log import BaselineFields, TrainingLogEntry
from townlet.errors import BadInputError, OutputError, TownletError
from townlet.machine.catalogue import StrategyCatalogue
from townlet.machine.journal.result_codec import load_result
from townlet.policy.compat.rounds import Rounds
from townlet.policy.compat.training_log import EpochReader, closing_line
from townlet.policy.data.dataset import read_dataset
from townlet.policy.data.samples import trajectories_to_samples
from townlet.policy.data.trajectories import Trajectories, read_trajectories
from townlet.policy.ppo.iteration import PPOIteration
from townlet.store.blobs import BlobStore
from townlet.store.files import make_directory, write_atomic
from townlet.store.manifest import CAPTURE_MANIFEST, save_samples
from townlet.store.outputs import require_output_directory, require_output_file
from townlet.store.training_log import TrainingLogWriter

__all__ = ["CompatWriter", "captured_trajectories", "write_outputs"]

RESULTS, SNAPSHOT, LOG = "anneal_results.json", "promotion_snapshot.json", "training_log.jsonl"


@define
class CompatWriter:
    """Listens to the journal and the iterations of one run and writes the files of its request."""

    request: TrainRequest
    """Which files are wanted."""
    rounds: Rounds
    """Rounds after the records so far."""
    reader: EpochReader
    """Turns iterations into lines of the log."""
    writer: TrainingLogWriter | None
    """Writes the training log; None where the request names none."""
    baseline: BaselineFields | None = None
    """Metrics of the data set that was replayed."""
    last_epoch: TrainingLogEntry | None = None
    """Line of the last iteration, without a baseline; None before the first one of the present visit to ppo."""
    lost_lines: int = 0
    """Lines of the training log that could not be written."""
    problems: list[str] = field(factory=list)
    """What could not be written, and why."""

    @classmethod
    def open(cls, request: TrainRequest, schedule: ScheduleSpec, catalogue: StrategyCatalogue) -> "CompatWriter":
        """Return the writer of a request; BadInputError where a path cannot be written, or holds a capture already."""
        directory = request.rollout_save_dir
        for name in ("rollout_save_dir", "anneal_log_dir"):
            if (folder := getattr(request, name)) is not None:
                require_output_directory(Path(folder), request.flag(name))
        if directory is not None and (Path(directory) / CAPTURE_MANIFEST).exists():
            raise BadInputError(f"{directory}: holds a capture already; name another directory, or empty it first")
        path = request.ppo_log
        if path is None and request.anneal_log_dir is not None:
            path = str(Path(request.anneal_log_dir) / LOG)
            for output in (RESULTS, SNAPSHOT):
                require_output_file(Path(request.anneal_log_dir) / output, request.flag("anneal_log_dir"))
        if path is not None:
            require_output_file(Path(path), request.flag("ppo_log" if request.ppo_log else "anneal_log_dir"))
        frequency, max_entries = request.ppo_log_frequency, request.ppo_log_max_entries
        return cls(
            request,
            Rounds(schedule=schedule, catalogue=catalogue),
            EpochReader(after_replay=any(state.strategy == "replay" for state in schedule.states.values())),
            None if path is None else TrainingLogWriter(Path(path), frequency=frequency, max_entries=max_entries),
        )

    def on_iteration(self, iteration: PPOIteration) -> None:
        """Write one update epoch."""
        if self.writer is None and self.request.mode == "anneal":
            return  # nothing reads it: an anneal prints no epoch
        self.last_epoch = self.reader.entry(iteration)
        if self.writer is not None:
            baseline = self.baseline if self.last_epoch.stream.data_mode == "replay" else None
            stream = evolve(self.last_epoch.stream, cycle_id=self.rounds.count + 1)
            line = evolve(self.last_epoch, stream=stream, baseline=baseline)
            self._log(self.writer, lambda writer: writer.append(line))

    def on_record(self, entry: Entry) -> None:
        """Follow the journal; the closing line of a round is written once its guards are judged."""
        self.rounds = self.rounds.advance(entry)
        record = entry.record
        if isinstance(record, VisitStarted) and issubclass(self._result_class(record.state), PPOTrainingResult):
            self.last_epoch = None
        if isinstance(record, VisitFinished):
            result = load_result(record.result, self._result_class(record.state))
            if isinstance(result, ReplayResult):
                names = [attribute.name for attribute in fields(BaselineFields)]
                self.baseline = BaselineFields(**{name: result.baseline.get(name, 0.0) for name in names})
            if self.writer is not None:
                self._log(self.writer, TrainingLogWriter.close_visit)
        if self.rounds.last_closed is not None and self.writer is not None:
            last_closed = self.rounds.last_closed
            line = closing_line(last_closed.result, last_closed.anneal, self.last_epoch)
            self._log(self.writer, lambda writer: writer.append(line))

    def _log(self, writer: TrainingLogWriter, write: Callable[[TrainingLogWriter], None]) -> None:
        """Write to the training log; what cannot be written is counted, since a log is no part of the run."""
        try:
            write(writer)
        except (TownletError, OSError) as error:
            self.lost_lines += 1
            if self.lost_lines == 1:
                self.problems.append(str(error))

    def close(self, summary: AnnealSummary, blobs: BlobStore) -> None:
        """Write the results of an anneal and the samples of a capture; OutputError where anything was not written."""
        try:
            write_outputs(summary, blobs, self.request.anneal_log_dir, self.request.rollout_save_dir)
        except (TownletError, OSError) as error:
            self.problems.append(str(error))
        if not self.problems:
            return
        lost = f" ({self.lost_lines} lines of the training log; metrics.jsonl of the run has their numbers)"
        raise OutputError(
            f"the run ended well in {summary.path}, but not all files could be written: {'; '.join(self.problems)}"
            f"{lost if self.lost_lines else ''}",
            summary,
        )

    def _result_class(self, state: str) -> type[TrainingResult]:
        return self.rounds.catalogue.entries[self.rounds.schedule.states[state].strategy].result


def write_outputs(
    summary: AnnealSummary, blobs: BlobStore, log_dir: str | Path | None, save_dir: str | Path | None
) -> None:
    """Write results and promotion snapshot of a run to `log_dir`, what it captured as samples to `save_dir`."""
    if log_dir is not None:
        make_directory(Path(log_dir))
        _write(Path(log_dir) / RESULTS, [unstructure(stage) for stage in summary.rounds])
        _write(Path(log_dir) / SNAPSHOT, summary.promotion.model_dump())
    trajectories = None if save_dir is None else captured_trajectories(summary, blobs)
    if save_dir is not None and trajectories is not None:
        save_samples(Path(save_dir), trajectories_to_samples(trajectories))


def _write(path: Path, document: object) -> None:
    write_atomic(path, json.dumps(document, indent=2, sort_keys=True, allow_nan=False).encode() + b"\n")


def captured_trajectories(summary: AnnealSummary, blobs: BlobStore) -> Trajectories | None:
    """Return the trajectories of the run's last capture; None where nothing was captured."""
    captures = [stage.result for stage in summary.stages if isinstance(stage.result, CaptureResult)]
    digests = captures[-1].blobs if captures else {}
    if "experience" in digests:
        return read_trajectories(blobs.get(digests["experience"]), "captured play")
    if "dataset" not in digests:
        return None
    dataset = read_dataset(blobs.get(digests["dataset"]), "captured play")
    shape = dataset.alive.shape
    truncations = np.zeros(shape, np.bool_)
    truncations[-1:] = True
    # A script's decisions have neither probabilities nor value predictions.
    log_probs, predictions = np.zeros(shape, np.float32), np.zeros((shape[0] + 1, *shape[1:]), np.float32)
    return Trajectories(
        dataset=dataset, log_probs=log_probs, predictions=predictions, truncations=truncations, sums=np.zeros(0)
    )
