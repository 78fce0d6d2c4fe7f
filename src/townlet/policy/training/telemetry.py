"""The metric stream: one JSON line per iteration in the run directory, and a listener for whoever watches."""

import json
import math
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from attrs import evolve, field, frozen

from townlet.machine.audit.metric_stream import parse_point
from townlet.policy.ppo.iteration import PPOIteration
from townlet.policy.training.observers import ObserverFailures
from townlet.store.files import open_append, read_bytes, write_atomic

__all__ = ["MetricPoint", "Telemetry"]


@frozen(kw_only=True)
class MetricPoint:
    """What one iteration of a visit reported."""

    state: str
    """Where."""
    visit: int
    """Which visit."""
    step: int
    """Iteration, epoch or look, from 1."""
    of: int
    """How many there will be at the most; 0 where unknown."""
    agent_steps: int
    """Agent-steps of this visit so far."""
    numbers: Mapping[str, float]
    """What was measured."""
    returns: tuple[float, ...] = ()
    """Return of each whole training episode of the policy's own that ended in the iteration; no file has them."""


def _nobody(point: object) -> None:
    """Listen to nothing."""


@frozen(kw_only=True)
class Telemetry:
    """Where a strategy reports its iterations; the stream is derived data and may be truncated."""

    path: Path | None = None
    """File of JSON lines; none writes nothing."""
    listen: Callable[[MetricPoint], None] = field(default=_nobody)
    """Called with every point."""
    report: Callable[[PPOIteration], None] = field(default=_nobody)
    """Called with every iteration of ppo, before its point."""
    state: str = ""
    """State whose visit reports."""
    visit: int = 0
    """Which visit reports."""
    failures: ObserverFailures = field(factory=ObserverFailures)
    """Counts what could not be written or shown: no error of this class ends a visit."""

    def for_visit(self, state: str, visit: int) -> "Telemetry":
        """Return the same stream for one visit."""
        return evolve(self, state=state, visit=visit)

    def rewind(self, points: int) -> None:
        """Drop what the visit reported after its first `points` points: another attempt reports it again.

        Lines that are torn or that nobody can read are dropped too.
        """
        if self.path is None or not self.path.is_file():
            return
        with self._caught():
            kept, mine = [], 0
            for line in read_bytes(self.path).splitlines(keepends=True):
                point = parse_point(line)
                if point is None:
                    continue
                own = (point.state, point.visit) == (self.state, self.visit)
                mine += own
                if not own or mine <= points:
                    kept.append(line)
            write_atomic(self.path, b"".join(kept))

    def emit(
        self,
        step: int,
        numbers: Mapping[str, float],
        *,
        of: int = 0,
        agent_steps: int = 0,
        returns: tuple[float, ...] = (),
    ) -> None:
        """Report one iteration; numbers that are not finite are written as null, and no error is raised."""
        point = MetricPoint(
            state=self.state,
            visit=self.visit,
            step=step,
            of=of,
            agent_steps=agent_steps,
            numbers=dict(numbers),
            returns=returns,
        )
        if self.path is not None:
            line = {"state": self.state, "visit": self.visit, "step": step, "agent_steps": agent_steps}
            line |= {"of": of} if of else {}
            line |= {name: number if math.isfinite(number) else None for name, number in numbers.items()}
            with self._caught(), os.fdopen(open_append(self.path), "a", encoding="utf-8") as stream:
                stream.write(json.dumps(line, allow_nan=False) + "\n")
        self.listen(point)

    def _caught(self) -> AbstractContextManager[None]:
        return self.failures.caught(f"writing {self.path}")
