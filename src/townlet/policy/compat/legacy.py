"""Every dict shape that existing scripts read, from one function."""

import json
from functools import singledispatch
from typing import Any, TypeVar

from townlet.dto.policy import (
    AnnealSummary,
    BCTrainingResult,
    CaptureResult,
    PPOTrainingResult,
    ReplayResult,
    TrainingResult,
)
from townlet.dto.samples import ReplayBatchSummary
from townlet.dto.train import Mode
from townlet.dto.training_log import TrainingLogEntry
from townlet.errors import HoldError, StrategyFailedError
from townlet.store.training_log import to_line

__all__ = ["last_result", "legacy_document", "legacy_payload"]

Result = TypeVar("Result", bound=TrainingResult)


def last_result(summary: AnnealSummary, cls: type[Result]) -> Result:
    """Return the last result of a run, which is of `cls`.

    HoldError where the run holds, StrategyFailedError where it ended otherwise than with done.
    """
    if summary.state != "done":
        raise (HoldError if summary.state == "hold" else StrategyFailedError)(f"{summary.reason} ({summary.path})")
    result = summary.stages[-1].result
    if not isinstance(result, cls):
        raise StrategyFailedError(f"the run ended with {type(result).__name__}, expected {cls.__name__}")
    return result


def legacy_payload(
    result: TrainingResult | ReplayBatchSummary, last_epoch: TrainingLogEntry | None = None
) -> dict[str, Any]:
    """Return a result in the shape that scripts of earlier releases read.

    Anneal: status, promotion, results. bc: mode, manifest, loss, accuracy. ppo: the log keys of `last_epoch`, where
    there is one. Replay: summaries per batch and the baseline. Capture: its metrics. Any other result: its own shape.
    """
    if isinstance(result, PPOTrainingResult) and last_epoch is not None:
        payload: dict[str, Any] = json.loads(to_line(last_epoch))
        return payload
    return _payload(result)


@singledispatch
def _payload(result: TrainingResult | ReplayBatchSummary) -> dict[str, Any]:
    return result.model_dump()


@_payload.register
def _(result: AnnealSummary) -> dict[str, Any]:
    return {
        "status": result.status,
        "promotion": result.promotion.model_dump(),
        "results": [stage.model_dump() for stage in result.rounds],
    }


@_payload.register
def _(result: BCTrainingResult) -> dict[str, Any]:
    return {
        "mode": "bc",
        "manifest": result.manifest or result.dataset,
        "loss": result.train_loss,
        "accuracy": result.heldout_accuracy,
    }


@_payload.register
def _(result: ReplayBatchSummary) -> dict[str, Any]:
    conflict = {f"conflict.{name}": value for name, value in result.conflict.model_dump().items()}
    return {"batch": result.batch, "batch_size": result.batch_size, "feature_dim": result.feature_dim} | conflict


@_payload.register
def _(result: ReplayResult) -> dict[str, Any]:
    summaries = [legacy_payload(batch) for batch in result.batches]
    return {"mode": "replay", "manifest": result.manifest, "summaries": summaries, "baseline": dict(result.baseline)}


@_payload.register
def _(result: CaptureResult) -> dict[str, Any]:
    counts = {f"action_{name}_count": count for name, count in result.action_counts.items()}
    return ({} if result.recorded is None else result.recorded.model_dump()) | counts


def legacy_document(summary: AnnealSummary, mode: Mode, last_epoch: TrainingLogEntry | None = None) -> dict[str, Any]:
    """Return what ``townlet train --mode MODE`` prints: the summary of an anneal, else the last result of the run.

    A last result of ppo is printed as `last_epoch`. Where a data set was replayed before something else, its summaries
    come first and the rest under ``ppo``.
    """
    if mode == "anneal":
        return legacy_payload(summary)
    results = [stage.result for stage in summary.stages]
    replayed = next((result for result in results if isinstance(result, ReplayResult)), None)
    last = results[-1]
    if replayed is None or last is replayed:
        return legacy_payload(last, last_epoch)
    return legacy_payload(replayed) | {"ppo": legacy_payload(last, last_epoch)}
