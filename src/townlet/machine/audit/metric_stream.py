"""Read the metric stream of a run: what each iteration reported, as columns."""

import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from townlet.dto.codec import did_you_mean
from townlet.dto.run_data import VisitPoint
from townlet.errors import BadInputError, TownletError
from townlet.store.files import read_bytes, resource_errors

__all__ = ["metric_columns", "parse_point", "read_metric_stream"]

_FIELDS = ("state", "visit", "step", "agent_steps")
"""Fields of a line that are no measured numbers."""
_LOG = logging.getLogger("townlet")


def parse_point(line: bytes) -> VisitPoint | None:
    """Return the point of one line of a stream; None for a line that is torn or that nobody can read."""
    try:
        fields = json.loads(line if line.endswith(b"\n") else b"")
        own = {name: fields.pop(name) for name in _FIELDS} | {"of": fields.pop("of", 0)}
        numbers = {name: math.nan if value is None else value for name, value in fields.items()}
        return VisitPoint(**own, numbers=numbers)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, TownletError):
        return None


def read_metric_stream(path: Path) -> tuple[VisitPoint, ...]:
    """Return the points of a stream in the order in which they were reported; none where there is no file.

    The last line may be torn, since a run may be writing it. Other lines that nobody can read, which a full disk may
    leave, are left out, and a warning counts them.
    """
    with resource_errors("read this file", path):
        lines = read_bytes(path).splitlines(keepends=True) if path.is_file() else []
    points = [parse_point(line) for line in lines]
    lost = [number for number, point in enumerate(points, 1) if point is None and lines[number - 1].endswith(b"\n")]
    if lost:
        _LOG.warning("%s: line %d cannot be read, %d in all; they are left out", path, lost[0], len(lost))
    return tuple(point for point in points if point is not None)


def metric_columns(points: Sequence[VisitPoint], state: str) -> dict[str, NDArray[np.float64]]:
    """Return the points of one state as columns of equal length: visit, step, agent_steps, value_loss, ….

    A number that an iteration lacks is NaN. BadInputError, with those there are, for a state without iterations.
    """
    own = [point for point in points if point.state == state]
    if not own:
        states = tuple(dict.fromkeys(point.state for point in points))
        known, hint = ", ".join(states) or "no state", did_you_mean(state, states) if states else ""
        raise BadInputError(f"no iterations of {state!r}{hint}; the run has those of {known}")
    rows = [
        {"visit": point.visit, "step": point.step, "agent_steps": point.agent_steps, **point.numbers} for point in own
    ]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: np.array([row.get(name, math.nan) for row in rows], np.float64) for name in names}
