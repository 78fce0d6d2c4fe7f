"""What a walk leaves behind for scripts: the training log while it goes on, results and samples when it ends."""

import json
from pathlib import Path

import numpy as np
from attrs import define, evolve, fields

from townlet.dto.codec import unstructure
from townlet.dto.journal import Entry, VisitFinished
from townlet.dto.policy import AnnealSummary, CaptureResult, ReplayResult
from townlet.dto.train import TrainRequest
from townlet.dto.training_log import BaselineFields, TrainingLogEntry
from townlet.errors import BadInputError
from townlet.machine.journal.result_codec import load_result
from townlet.policy.compat.rounds import Rounds
from townlet.policy.data.dataset import read_dataset
from townlet.policy.data.samples import trajectories_to_samples
from townlet.policy.data.trajectories import Trajectories, read_trajectories
from townlet.store.blobs import BlobStore
from townlet.store.files import make_directory, write_atomic
from townlet.store.manifest import CAPTURE_MANIFEST, save_samples
from townlet.store.training_log import TrainingLogWriter

__all__ = ["CompatWriter", "captured_play"]

RESULTS, SNAPSHOT, LOG = "anneal_results.json", "promotion_snapshot.json", "training_log.jsonl"


@define
class CompatWriter:
    """Listens to one walk and writes what its request asked for."""

    request: TrainRequest
    """Which files are wanted."""
    rounds: Rounds
    """What the journal has told so far."""
    writer: TrainingLogWriter | None
    """Writes the training log; none where nobody asked."""
    baseline: BaselineFields | None = None
    """Of the data set that was replayed."""

    @classmethod
    def of(cls, request: TrainRequest, rounds: Rounds) -> "CompatWriter":
        """Return the records of a request; BadInputError where a capture would be overwritten."""
        save = request.rollout_save_dir
        if save is not None and (Path(save) / CAPTURE_MANIFEST).exists():
            raise BadInputError(f"{save}: holds a capture already; name another directory, or empty it first")
        path = request.ppo_log
        if path is None and request.anneal_log_dir is not None:
            path = str(Path(request.anneal_log_dir) / LOG)
        if path is None:
            return cls(request, rounds, None)
        frequency, most = request.ppo_log_frequency, request.ppo_log_max_entries
        return cls(request, rounds, TrainingLogWriter(Path(path), frequency=frequency, max_entries=most))

    def log(self, entry: TrainingLogEntry) -> None:
        """Write one update epoch."""
        if self.writer is not None:
            baseline = self.baseline if entry.stream.data_mode == "replay" else None
            stream = evolve(entry.stream, cycle_id=self.rounds.count + 1)
            self.writer.append(evolve(entry, stream=stream, baseline=baseline))

    def listen(self, entry: Entry) -> None:
        """Follow the journal; the closing line of a round is written once its guards are judged."""
        self.rounds = self.rounds.advance(entry)
        record = entry.record
        if isinstance(record, VisitFinished):
            result = load_result(record.result, self.rounds.catalogue.entries[record.strategy].result)
            if isinstance(result, ReplayResult):
                known = {a.name: result.baseline.get(a.name, 0.0) for a in fields(BaselineFields)}
                self.baseline = BaselineFields(**known)
            if self.writer is not None:
                self.writer.close_visit()
        if self.rounds.closing is not None and self.writer is not None:
            self.writer.append(self.rounds.closing)

    def close(self, summary: AnnealSummary, blobs: BlobStore) -> None:
        """Write the results of an anneal and the samples of a capture."""
        if self.request.anneal_log_dir is not None:
            folder = Path(self.request.anneal_log_dir)
            make_directory(folder)
            _write(folder / RESULTS, [unstructure(told) for told in summary.rounds])
            _write(folder / SNAPSHOT, summary.promotion.model_dump())
        if self.request.rollout_save_dir is None:
            return
        play = captured_play(summary, blobs)
        if play is not None:
            save_samples(Path(self.request.rollout_save_dir), trajectories_to_samples(play))


def _write(path: Path, document: object) -> None:
    write_atomic(path, json.dumps(document, indent=2, sort_keys=True, allow_nan=False).encode() + b"\n")


def captured_play(summary: AnnealSummary, blobs: BlobStore) -> Trajectories | None:
    """Return the play of the walk's last capture; none where nothing was captured."""
    captured = [stage.result for stage in summary.stages if isinstance(stage.result, CaptureResult)]
    digests = captured[-1].blobs if captured else {}
    if "experience" in digests:
        return read_trajectories(blobs.get(digests["experience"]), "captured play")
    if "dataset" not in digests:
        return None
    play = read_dataset(blobs.get(digests["dataset"]), "captured play")
    shape = play.labels.shape
    cut = np.zeros(shape, np.bool_)
    cut[-1:] = True
    silent, expected = np.zeros(shape, np.float32), np.zeros((shape[0] + 1, *shape[1:]), np.float32)
    return Trajectories(dataset=play, log_probs=silent, predictions=expected, truncations=cut, sums=np.zeros(0))
