"""Compare an ONNX graph with the policy in numpy: both compute the same observations, in batches of several sizes."""

from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townlet.dto.actions import ActionSpec
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
"""Largest difference of an output, as a share of the largest output of its row, or of 1 where that is larger."""


def certify(
    model: bytes, weights: Weights, observations: NDArray[np.float32], action_mask: NDArray[np.bool_]
) -> OnnxCertificate:
    """Return how a graph compares on observations [B, F] and masks [B, A]; each is computed in every batch size.

    BadInputError where an output differs by more than `TOLERANCE`, and where the graph's options and numbers are not,
    bit by bit, those that its own outputs stand for. Both together leave no option that differs but a tie: two logits
    nearer than twice the tolerance. MissingLibraryError where onnx or onnxruntime is not installed.
    """
    with needed("onnx", "onnxruntime", extra="onnx"):
        import onnx
        import onnxruntime

    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    spec = weights.spec
    with np.errstate(all="ignore"):  # numbers too large to act with are found below
        outputs = forward(weights.actor, normalise(observations, weights.mean, weights.scale))
    legal = np.concatenate((action_mask, np.ones((len(outputs), len(spec.box)), np.bool_)), axis=1)
    expected, sizes = masked(outputs, legal), np.abs(np.where(legal, outputs, 0)).max(axis=1, keepdims=True)
    largest_gaps, shares, ties = list[float](), list[float](), 0
    for batch in BATCHES:
        rows = np.arange(-(-len(observations) // batch) * batch) % len(observations)
        found, actions = _run(session, spec, observations[rows], action_mask[rows], batch)
        with np.errstate(invalid="ignore"):
            gaps = np.abs(found - expected[rows])
        largest_gaps.append(float(gaps.max()))
        shares.append(float((gaps / np.maximum(1, sizes[rows])).max()))
        if not shares[-1] <= TOLERANCE:  # also where it is not a number
            raise _unlike(
                f"an output differs by {largest_gaps[-1]:.3g}, a share of {shares[-1]:.3g} of its row's largest output "
                f"or of 1, in batches of {batch}; at most {TOLERANCE:g} is allowed"
            )
        others = int((actions != _greedy(spec, found)).any(axis=1).sum())
        if others:
            raise _unlike(f"it makes another action of its own outputs in {others} of {len(rows)} rows")
        ties += int((_choices(spec, actions) != _choices(spec, _greedy(spec, expected[rows]))).any(axis=1).sum())
    return OnnxCertificate(
        sha256=sha256(model).hexdigest(),
        opset=OPSET,
        runtime=onnxruntime.__version__,
        batches=BATCHES,
        rows=len(observations),
        difference=max(largest_gaps),
        share=max(shares),
        largest=float(sizes.max()),
        ties=ties,
    )


def _run(
    session: Any, spec: ActionSpec, observations: NDArray[np.float32], action_mask: NDArray[np.bool_], batch: int
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return masked logits and means [B, A + D], options and native numbers [B, C], so many rows computed at once."""
    found, actions = list[NDArray[np.float32]](), list[NDArray[np.float64]]()
    names = [output.name for output in session.get_outputs()]
    for start in range(0, len(observations), batch):
        inputs: dict[str, NDArray[Any]] = {"features": observations[start : start + batch]}
        if spec.discrete:
            inputs["action_mask"] = action_mask[start : start + batch]
        results = dict(zip(names, session.run(names, inputs), strict=True))
        found.append(np.concatenate([results[name] for name in ("logits", "mean") if name in results], axis=1))
        columns = [results[name].astype(np.float64) for name in ("option", "number") if name in results]
        actions.append(np.concatenate(columns, axis=1))
    return np.concatenate(found), np.concatenate(actions)


def _greedy(spec: ActionSpec, outputs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return options and native numbers [B, C] of masked logits and means [B, A + D]."""
    columns = choose_greedily(outputs[:, : spec.logits], outputs[:, spec.logits :], spec).astype(np.float64)
    if spec.box:
        columns[:, len(spec.discrete) :] = spec.to_native(outputs[:, spec.logits :])
    return columns


def _choices(spec: ActionSpec, actions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the columns of options and of whole numbers."""
    return actions[:, np.array([*(True for _ in spec.discrete), *(head.integer for head in spec.box)])]


def _unlike(reason: str) -> BadInputError:
    return BadInputError(f"the ONNX graph does not act as the policy: {reason}; report this with the policy's digest")
