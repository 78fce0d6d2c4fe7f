"""A bundle: weights, what they mean, recorded observations with actions, and programs that act without Townlet."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from townlet.canonical import canonical_json, write_tensors
from townlet.dto.codec import Record
from townlet.dto.spaces import SpacePart
from townlet.errors import BadInputError
from townlet.policy.data.dataset import Dataset
from townlet.policy.distributions.acting import choose_greedily, masked
from townlet.policy.model.forward import forward, normalise
from townlet.policy.model.weights import BUNDLE_WEIGHTS, Weights

__all__ = ["PROBE_LEAST", "BundleSpec", "bundle_files", "fits", "layout", "recorded_decisions", "zip_bytes"]

PROBE_LEAST = 1_000
"""Recorded observations that a probe has at least."""
_PROBE_ROWS = 1_024
_PROGRAMS = ("act.py", "inputs.py", "act.mjs", "inputs.mjs")
_LARGEST = float(np.finfo(np.float32).max)
_DATE = (1980, 1, 1, 0, 0, 0)
"""Time of every file of an archive, the earliest that one can hold: equal bundles give equal bytes."""


@frozen(kw_only=True)
class BundleSpec(Record):
    """What `spec.json` holds beside the heads and the spaces."""

    environment: str = ""
    """Id and scenario, ``ID/SCENARIO``; empty where no run of the policy is known."""
    decisions_per_day: int | None = None
    """The environment's clock: decisions in one day, where it has days."""


def recorded_decisions(dataset: Dataset) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return observations [B, F] and masks [B, A] of living agents, evenly spread over the recording.

    BadInputError for a recording of fewer than `PROBE_LEAST` decisions.
    """
    alive = np.flatnonzero(dataset.alive)
    if len(alive) < PROBE_LEAST:
        raise BadInputError(
            f"the run recorded {len(alive):,} decisions of living agents; a probe has at least {PROBE_LEAST:,}: "
            "capture more episodes"
        )
    chosen = alive[np.linspace(0, len(alive) - 1, min(_PROBE_ROWS, len(alive))).astype(np.int64)]
    width, options = dataset.observations.shape[-1], dataset.action_mask.shape[-1]
    masks = dataset.action_mask.reshape(-1, options)[chosen] if options else np.zeros((len(chosen), 0), np.bool_)
    return dataset.observations.reshape(-1, width)[chosen], masks


def bundle_files(
    data: bytes,
    weights: Weights,
    spec: BundleSpec,
    probe: tuple[NDArray[np.float32], NDArray[np.bool_]],
    *,
    card: str,
    provenance: bytes | None,
    model: bytes | None = None,
) -> dict[str, bytes]:
    """Return the files of a bundle by name; equal arguments give equal bytes.

    `data` is the weights file, `weights` what it holds, `probe` the observations and masks that the bundle is verified
    on, `card` the model card, `provenance` an in-toto statement where the policy was promoted,
    `model` an ONNX graph.
    """
    own = Path(__file__).parent
    files = {
        "README.md": card.encode(),
        BUNDLE_WEIGHTS: data,
        "spec.json": canonical_json(layout(weights, spec)) + b"\n",
        **{name: (own / name).read_bytes() for name in _PROGRAMS},
        "probe.safetensors": _probe(weights, *probe),
    }
    more = {"provenance.json": provenance, "model.onnx": model}
    return files | {name: content for name, content in more.items() if content is not None}


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    """Return an archive of files; equal files give equal bytes."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as stream:
        for name, data in sorted(files.items()):
            info = zipfile.ZipInfo(name, _DATE)
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            stream.writestr(info, data)
    return archive.getvalue()


def layout(weights: Weights, spec: BundleSpec) -> Mapping[str, Any]:
    """Return what `spec.json` holds: what each input and each output is."""
    metadata, starts = weights.metadata, _starts(weights)
    row = (SpacePart(kind="box", shape=(len(metadata.features),)),)
    parts = row if metadata.spaces is None else metadata.spaces.observation
    return {
        "townlet_bundle": 1,
        "features": list(metadata.features),
        "layers": metadata.layers,
        "discrete": [
            {"name": head.name, "options": list(head.options), "start": start}
            for head, start in zip(weights.spec.discrete, starts, strict=True)
        ],
        "box": [
            {
                "name": head.name,
                "bounds": [
                    -_LARGEST if head.low is None else head.low,
                    _LARGEST if head.high is None else head.high,
                ],
                "centre": head.centre,
                "half": head.half,
                "integer": head.integer,
            }
            for head in weights.spec.box
        ],
        "observation": [part.model_dump() for part in parts],
        "action": None if metadata.spaces is None else [part.model_dump() for part in metadata.spaces.action],
        "environment": spec.model_dump() | {"signature": metadata.environment},
    }


def fits(stored: Mapping[str, Any], weights: Weights) -> bool:
    """Return whether what `spec.json` says of inputs and outputs is what the weights say."""
    expected = {name: value for name, value in layout(weights, BundleSpec()).items() if name != "environment"}
    return canonical_json(expected) == canonical_json({name: stored.get(name) for name in expected})


def _starts(weights: Weights) -> list[int]:
    """Return the environment's number of the first option of each discrete head; 0 where its spaces are unknown."""
    spaces = weights.metadata.spaces
    if spaces is None:
        return [0] * len(weights.spec.discrete)
    parts = [part for part in spaces.action if part.kind != "box"]
    return [start for part in parts for start in part.starts or (0,) * part.size]


def _probe(weights: Weights, observations: NDArray[np.float32], action_mask: NDArray[np.bool_]) -> bytes:
    """Return what the policy answers to recorded observations: features, masks, outputs and native actions [B, C]."""
    spec = weights.spec
    outputs = forward(weights.actor, normalise(observations, weights.mean, weights.scale))
    columns = choose_greedily(masked(outputs[:, : spec.logits], action_mask), outputs[:, spec.logits :], spec)
    actions = columns.astype(np.float64)
    heads = len(spec.discrete)
    actions[:, :heads] += np.array(_starts(weights), np.float64)
    actions[:, heads:] = spec.to_native(columns[:, heads:].astype(np.float32))
    tensors = {"features": observations, "action_mask": action_mask, "outputs": outputs, "actions": actions}
    return write_tensors(tensors, "townlet", {"rows": len(observations)})
