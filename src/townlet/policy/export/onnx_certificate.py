"""Compare an ONNX graph with the policy in numpy: onnxruntime computes both sides' observations in several batches."""

from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townlet.dto.onnx_certificate import OnnxCertificate
from townlet.env.libraries import needed
from townlet.errors import BadInputError
from townlet.policy.distributions.acting import choose_greedily, masked
from townlet.policy.export.onnx_graph import OPSET
from townlet.policy.model.forward import forward, normalise
from townlet.policy.model.weights import Weights

__all__ = ["BATCHES", "TOLERANCE", "certify"]

BATCHES = (1, 7, 4096)
"""Rows that are computed at once."""
TOLERANCE = 1e-5
"""Largest difference of an output, absolute for outputs up to 1 and relative above."""


def certify(
    model: bytes, weights: Weights, observations: NDArray[np.float32], action_mask: NDArray[np.bool_]
) -> OnnxCertificate:
    """Return how a graph compares on observations [B, F] and masks [B, A]; each is computed in every batch size.

    BadInputError where an output differs by more than `TOLERANCE`, where a number of an action does, or where an option
    differs although its logit is no tie. MissingLibraryError where onnxruntime is not installed.
    """
    with needed("onnxruntime", extra="onnx"):
        import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    spec = weights.spec
    outputs = forward(weights.actor, normalise(observations, weights.mean, weights.scale))
    logits, means = masked(outputs[:, : spec.logits], action_mask), outputs[:, spec.logits :]
    expected = choose_greedily(logits, means, spec)
    numbers = spec.to_native(expected[:, len(spec.discrete) :].astype(np.float32))
    largest = float(np.abs(outputs).max(initial=0.0))
    allowed, difference, ties = TOLERANCE * max(1.0, largest), 0.0, 0
    for batch in BATCHES:
        found = _run(session, weights, observations, action_mask, batch)
        legal = action_mask if spec.logits else np.zeros_like(logits, np.bool_)
        gaps = [np.abs(found["logits"] - logits)[legal]] if spec.discrete else []
        gaps += [np.abs(found["mean"] - means).ravel()] if spec.box else []
        difference = max([difference, *(float(gap.max(initial=0.0)) for gap in gaps)])
        if not difference <= allowed:
            raise _unlike(
                f"an output differs by {difference:.3g} in batches of {batch}; at most {allowed:.3g} is allowed"
            )
        if spec.discrete:
            ties += _ties(found["option"], expected, logits, spec, 2 * allowed)
        if spec.box and not np.allclose(found["number"], numbers, rtol=TOLERANCE, atol=allowed):
            raise _unlike(f"a number of an action differs in batches of {batch}")
    return OnnxCertificate(
        sha256=sha256(model).hexdigest(),
        opset=OPSET,
        runtime=onnxruntime.__version__,
        batches=BATCHES,
        rows=len(observations),
        difference=difference,
        largest=largest,
        ties=ties,
    )


def _run(
    session: Any, weights: Weights, observations: NDArray[np.float32], action_mask: NDArray[np.bool_], batch: int
) -> dict[str, NDArray[Any]]:
    """Return the outputs of all observations, computed so many rows at once; the last batch begins again from row 0."""
    rows = len(observations)
    names = [output.name for output in session.get_outputs() if output.name != "log_std"]
    found: list[list[NDArray[Any]]] = []
    for start in range(0, rows, batch):
        chosen = np.arange(start, start + batch) % rows
        inputs: dict[str, NDArray[Any]] = {"features": observations[chosen]}
        if weights.spec.discrete:
            inputs["action_mask"] = action_mask[chosen]
        found.append(session.run(names, inputs))
    parts = zip(*found, strict=True)
    return {name: np.concatenate(part)[:rows] for name, part in zip(names, parts, strict=True)}


def _ties(found: NDArray[np.int64], expected: NDArray[Any], logits: NDArray[np.float32], spec: Any, near: float) -> int:
    """Return how many options differ at a tie; BadInputError for one that differs and is none."""
    ties = 0
    for column, z in enumerate(spec.segments(logits)):
        rows = np.flatnonzero(found[:, column] != expected[:, column])
        gaps = z[rows, expected[rows, column].astype(np.int64)] - z[rows, found[rows, column]]
        if (gaps > near).any():
            raise _unlike(f"{int((gaps > near).sum())} of {len(found)} options differ, and their logits are no ties")
        ties += len(rows)
    return ties


def _unlike(reason: str) -> BadInputError:
    return BadInputError(f"the ONNX graph does not act as the policy: {reason}; report this with the policy's digest")
