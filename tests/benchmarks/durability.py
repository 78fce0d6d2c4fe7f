"""How much of a run goes into being durable: `python tests/benchmarks/durability.py [SCHEDULE]`.

The schedule is walked in this process with a clock around every append to the journal and every checkpoint: taking it
(copies out of torch, the file's bytes), storing it and journalling it. Blobs that are results (data sets, weights,
evidence) are no part of it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from attrs import define, field

from townlet.machine.journal.chain import Journal
from townlet.policy.training.checkpoint import VisitCheckpoints
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator

QUICKSTART = Path(__file__).parents[2] / "schedules" / "quickstart.yaml"


@define
class Timer:
    """Seconds within calls; a call inside another counts for the inner one alone."""

    seconds: dict[str, float] = field(factory=dict)
    calls: dict[str, int] = field(factory=dict)
    _open: list[float] = field(factory=list)

    def around(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return a call that is timed under a name."""

        def timed(*words: Any, **named: Any) -> Any:
            started = perf_counter()
            self._open.append(0.0)
            try:
                return call(*words, **named)
            finally:
                spent = perf_counter() - started
                inner = self._open.pop()
                if self._open:
                    self._open[-1] += spent
                self.seconds[name] = self.seconds.get(name, 0.0) + spent - inner
                self.calls[name] = self.calls.get(name, 0) + 1

        return timed


@contextmanager
def timing() -> Iterator[Timer]:
    """Time journal and checkpoints of everything that is walked meanwhile."""
    timer, append, turn, keep = Timer(), Journal.append, VisitCheckpoints.turn, VisitCheckpoints.keep
    Journal.append = timer.around("journal", append)  # type: ignore[method-assign]
    VisitCheckpoints.turn = timer.around("checkpoint", turn)  # type: ignore[method-assign]
    VisitCheckpoints.keep = timer.around("checkpoint", keep)  # type: ignore[method-assign]
    try:
        yield timer
    finally:
        Journal.append, VisitCheckpoints.turn, VisitCheckpoints.keep = append, turn, keep  # type: ignore[method-assign]


def main(schedule: Path) -> None:
    """Walk a schedule once and say where the seconds went."""
    with TemporaryDirectory() as home, timing() as timer:
        started = perf_counter()
        summary = PolicyTrainingOrchestrator(schedule, home=Path(home)).run()
        wall = perf_counter() - started
    lines = [f"{schedule.stem}: {summary.state}, {wall:.1f} s"]
    for name, seconds in sorted(timer.seconds.items()):
        lines.append(f"{name:<10} {timer.calls[name]:>5} calls {seconds:8.3f} s  {seconds / wall:7.3%}")
    total = sum(timer.seconds.values())
    lines.append(f"{'together':<10} {'':>11} {total:8.3f} s  {total / wall:7.3%}")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else QUICKSTART)
