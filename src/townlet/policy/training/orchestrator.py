"""The façade: one object that takes a schedule and walks it, all of it or the part that a mode asks for."""

from pathlib import Path
from typing import TypeVar

from attrs import define

from townlet.dto.boundary import RolloutFrameDTO
from townlet.dto.policy import (
    AnnealSummary,
    BCTrainingResult,
    CaptureResult,
    PPOTrainingResult,
    ReplayResult,
    TrainingResult,
)
from townlet.dto.train import TrainRequest
from townlet.errors import HoldError, StrategyFailedError
from townlet.policy.compat.frames import frames_of
from townlet.policy.compat.records import captured_play
from townlet.policy.data.trajectories import Trajectories
from townlet.policy.training.runner import ScheduleRunner
from townlet.store.blobs import BlobStore

__all__ = ["PolicyTrainingOrchestrator"]

Result = TypeVar("Result", bound=TrainingResult)


@define
class PolicyTrainingOrchestrator(ScheduleRunner):
    """Takes a scripted policy to a learned one: every method delegates to a strategy and returns a frozen result.

    Methods named for one strategy walk a machine of that part of the schedule; HoldError or StrategyFailedError where
    it does not reach done.
    """

    def run_anneal(self, *, log_dir: Path | None = None) -> AnnealSummary:
        """Walk the whole machine; `log_dir` gets the results, the promotion snapshot and the training log."""
        return self.train(TrainRequest(mode="anneal", anneal_log_dir=_word(log_dir)))

    def run_bc_training(self, *, manifest: Path | None = None) -> BCTrainingResult:
        """Clone what is captured, or the accepted samples of a manifest."""
        return self._last(TrainRequest(mode="bc", bc_manifest=_word(manifest)), BCTrainingResult)

    def run_ppo(
        self, *, epochs: int | None = None, manifest: Path | None = None, log: Path | None = None
    ) -> PPOTrainingResult:
        """Fine-tune without a clone, on own rollouts or on the recorded play of a manifest."""
        request = TrainRequest(mode="ppo", epochs=epochs, replay_manifest=_word(manifest), ppo_log=_word(log))
        return self._last(request, PPOTrainingResult)

    def capture_rollout(self, *, ticks: int | None = None, save_dir: Path | None = None) -> CaptureResult:
        """Record the teacher; `transitions` and `trajectory` hold the play afterwards."""
        request = TrainRequest(mode="capture", rollout_ticks=ticks, rollout_save_dir=_word(save_dir))
        return self._last(request, CaptureResult)

    def run_replay(self, sample: Path, *, meta: Path | None = None) -> ReplayResult:
        """Summarise one sample."""
        request = TrainRequest(mode="replay", replay_sample=_word(sample), replay_meta=_word(meta))
        return self._last(request, ReplayResult)

    def run_replay_dataset(
        self, manifest: Path, *, batch_size: int | None = None, streaming: bool = False
    ) -> ReplayResult:
        """Summarise the samples of a manifest, batch by batch."""
        request = TrainRequest(
            mode="replay", replay_manifest=_word(manifest), replay_batch_size=batch_size, replay_streaming=streaming
        )
        return self._last(request, ReplayResult)

    @property
    def transitions(self) -> tuple[RolloutFrameDTO, ...]:
        """Every decision of every world that the last walk captured, world by world."""
        played = self._played()
        return () if played is None else frames_of(played)

    @property
    def trajectory(self) -> tuple[RolloutFrameDTO, ...]:
        """The decisions of the first world that the last walk captured, in order."""
        played = self._played()
        return () if played is None else frames_of(played, worlds=1)

    def _played(self) -> Trajectories | None:
        return None if self._last_walk is None else captured_play(self._last_walk, BlobStore(self.home / "blobs"))

    def _last(self, request: TrainRequest, kind: type[Result]) -> Result:
        summary = self.train(request)
        if summary.state != "done":
            raise (HoldError if summary.state == "hold" else StrategyFailedError)(f"{summary.reason} ({summary.path})")
        result = summary.stages[-1].result
        if not isinstance(result, kind):
            raise StrategyFailedError(f"the walk answered with {type(result).__name__}, expected {kind.__name__}")
        return result


def _word(path: Path | None) -> str | None:
    return None if path is None else str(path)
