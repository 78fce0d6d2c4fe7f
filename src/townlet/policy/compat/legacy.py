"""Every dict shape that existing scripts read, from one function."""

import json
from functools import singledispatch
from typing import Any

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
from townlet.store.training_log import to_line

__all__ = ["legacy_document", "legacy_payload"]


@singledispatch
def legacy_payload(result: TrainingResult | ReplayBatchSummary) -> dict[str, Any]:
    """Return a result in the shape that scripts of earlier releases read.

    Anneal: status, promotion, results. bc: mode, manifest, loss, accuracy. ppo: the last epoch's log keys. Replay:
    summaries per batch and the baseline. Capture: its metrics. Any other result: its own shape.
    """
    return result.model_dump()


@legacy_payload.register
def _(result: AnnealSummary) -> dict[str, Any]:
    return {
        "status": result.status,
        "promotion": result.promotion.model_dump(),
        "results": [told.model_dump() for told in result.rounds],
    }


@legacy_payload.register
def _(result: BCTrainingResult) -> dict[str, Any]:
    return {
        "mode": "bc",
        "manifest": result.manifest or result.dataset,
        "loss": result.train_loss,
        "accuracy": result.heldout_accuracy,
    }


@legacy_payload.register
def _(result: PPOTrainingResult) -> dict[str, Any]:
    if result.last_epoch is None:
        return result.model_dump()
    found: dict[str, Any] = json.loads(to_line(result.last_epoch))
    return found


@legacy_payload.register
def _(result: ReplayBatchSummary) -> dict[str, Any]:
    conflict = {f"conflict.{name}": value for name, value in result.conflict.model_dump().items()}
    return {"batch": result.batch, "batch_size": result.batch_size, "feature_dim": result.feature_dim} | conflict


@legacy_payload.register
def _(result: ReplayResult) -> dict[str, Any]:
    summaries = [legacy_payload(batch) for batch in result.batches]
    return {"mode": "replay", "manifest": result.manifest, "summaries": summaries, "baseline": dict(result.baseline)}


@legacy_payload.register
def _(result: CaptureResult) -> dict[str, Any]:
    counts = {f"action_{name}_count": count for name, count in result.action_counts.items()}
    return ({} if result.recorded is None else result.recorded.model_dump()) | counts


def legacy_document(summary: AnnealSummary, mode: Mode) -> dict[str, Any]:
    """Return what ``townlet train --mode MODE`` prints: the summary of an anneal, else the last result of the walk.

    Where a data set was replayed before something else, its summaries come first and the rest under ``ppo``.
    """
    if mode == "anneal":
        return legacy_payload(summary)
    results = [stage.result for stage in summary.stages]
    replayed = next((result for result in results if isinstance(result, ReplayResult)), None)
    last = results[-1]
    if replayed is None or last is replayed:
        return legacy_payload(last)
    return legacy_payload(replayed) | {"ppo": legacy_payload(last)}
