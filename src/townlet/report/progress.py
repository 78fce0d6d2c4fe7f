"""Live progress of a run: states, iterations, agent-steps per second, time left, and every verdict."""

from collections.abc import Mapping
from time import perf_counter
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from townlet.dto.guards import Verdict
from townlet.dto.journal import (
    EffectDone,
    Entry,
    GuardsJudged,
    RunClosed,
    RunCreated,
    TransitionTaken,
    VisitFinished,
    VisitStarted,
)

__all__ = ["Point", "RunProgress"]

_COLOURS: Mapping[Verdict, str] = {
    Verdict.PASS: "green",
    Verdict.FAIL: "red",
    Verdict.UNDECIDED: "yellow",
    Verdict.UNKNOWN: "bold magenta",
    Verdict.SKIPPED: "cyan",
}
_HEADLINE_METRICS = (
    "reward",
    "value_loss",
    "heldout_accuracy",
    "train_loss",
    "explained_variance",
    "watched_difference",
)


class Point(Protocol):
    """One iteration of a visit, as the metric stream reports it."""

    @property
    def state(self) -> str:
        """Name of the state."""

    @property
    def step(self) -> int:
        """Iteration, from 1."""

    @property
    def of(self) -> int:
        """Iterations in all; 0 if unknown."""

    @property
    def agent_steps(self) -> int:
        """Agent-steps of the visit so far."""

    @property
    def numbers(self) -> Mapping[str, float]:
        """Statistics of the iteration by name."""


class RunProgress:
    """Shows journal records and metrics: a live bar on a terminal, plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        """Write to `console`."""
        self.console = console
        self._bar = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f} {task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[numbers]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._started = perf_counter()

    def __enter__(self) -> "RunProgress":
        """Start the live bar."""
        self._bar.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Stop the live bar."""
        self._bar.stop()

    def watch(self, point: Point) -> None:
        """Show one iteration."""
        seconds = perf_counter() - self._started
        rate = f"{point.agent_steps / seconds:,.0f} agent-steps/s" if point.agent_steps and seconds > 0 else ""
        numbers = "  ".join(f"{name} {point.numbers[name]:.4g}" for name in _HEADLINE_METRICS if name in point.numbers)
        if self._task is None:
            self._task = self._bar.add_task(point.state, total=point.of or None, rate=rate, numbers=numbers)
        self._bar.update(self._task, completed=point.step, total=point.of or None, rate=rate, numbers=numbers)

    def listen(self, entry: Entry) -> None:
        """Show one journal record."""
        record = entry.record
        if isinstance(record, RunCreated):
            rehearsal = " (rehearsal: tiny numbers, nothing is promoted)" if record.rehearsal else ""
            self.console.print(f"[bold]{escape(record.name)}[/] seed {record.seed}, run {record.run}{rehearsal}")
        elif isinstance(record, VisitStarted):
            self._started = perf_counter()
            self._remove_task()
            number = f" (visit {record.visit})" if record.visit > 1 else ""
            attempt = f", attempt {record.attempt}" if record.attempt > 1 else ""
            self.console.print(f"[bold]{escape(record.state)}[/]{number}{attempt}")
        elif isinstance(record, VisitFinished):
            self._remove_task()
            self.console.print(f"  {escape(_headline(record))}  [dim]{perf_counter() - self._started:.1f} s[/]")
        elif isinstance(record, GuardsJudged):
            for report in record.reports:
                colour = _COLOURS[report.verdict]
                self.console.print(
                    f"  [{colour}]{report.verdict.value:<9}[/] {escape(report.guard)}: {escape(report.sentence)}"
                )
        elif isinstance(record, EffectDone):
            self.console.print(f"  {escape(record.alias)} now names version {record.version} ({record.target[:12]})")
        elif isinstance(record, TransitionTaken):
            self.console.print(f"  → [bold]{escape(record.target)}[/] [dim]{escape(record.why)}[/]")
        elif isinstance(record, RunClosed):
            self._remove_task()

    def _remove_task(self) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None


def _headline(record: VisitFinished) -> str:
    """Return the first six numbers of the result, as ``name value``."""
    numbers = {
        name: value
        for name, value in record.result.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name != "duration"
    }
    return "  ".join(f"{name} {value:,.4g}" for name, value in list(numbers.items())[:6])
