"""Live progress of a run: states, iterations, agent-steps per second, time left, and every verdict."""

from collections.abc import Iterator, Mapping
from math import isfinite, nan
from threading import Event, Lock, Thread
from time import perf_counter
from types import TracebackType
from typing import Protocol

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.live import Live
from rich.text import Text

from townlet.dto.guards import Verdict
from townlet.dto.journal import (
    EffectDone,
    Entry,
    EnvironmentChecked,
    GuardsJudged,
    RunClosed,
    RunCreated,
    TransitionTaken,
    VisitFinished,
    VisitStarted,
)
from townlet.escapes import one_line
from townlet.numerals import duration, number
from townlet.report.terminal import styled, warn
from townlet.report.verdicts import verdict_sentence

__all__ = ["Point", "RunProgress"]

_VERDICT_STYLES: Mapping[Verdict, str] = {Verdict.UNDECIDED: "yellow", Verdict.UNKNOWN: "bold yellow"}
"""A verdict is no news by itself: `clearly_worse` that fails is good. One that is missing can hold the run."""
_TARGET_STYLES: Mapping[str, str] = {"hold": "bold yellow", "failed": "bold red", "aborted": "bold red"}
_HEADLINE_METRICS = (
    "reward",
    "value_loss",
    "heldout_accuracy",
    "heldout_r2",
    "train_loss",
    "explained_variance",
    "watched_difference",
)
_GAP = "  "
_SECONDS_PER_LINE = 10.0
"""Between two lines about the same visit where nobody watches a terminal."""


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
    """Shows journal records and metrics: on a terminal one live line, elsewhere a plain line every ten seconds.

    A notebook knows no cursor, only the carriage return: there `rewrites` writes the live line over the one before.
    Showing is never part of the run: an error in here is told once, and then the run goes on without progress.
    """

    def __init__(
        self, console: Console, *, seconds_per_line: float = _SECONDS_PER_LINE, rewrites: bool = False
    ) -> None:
        """Write to `console`, where it is no terminal every `seconds_per_line`."""
        self.console = console
        self._live = Live(self, console=console, transient=True, refresh_per_second=4, redirect_stdout=False)
        self._pause, self._ended = seconds_per_line, Event()
        self._rewrites, self._rewritten, self._lock = rewrites, 0, Lock()
        self._ticker = Thread(target=self._tick, name="progress", daemon=True)
        self._began = self._started = perf_counter()
        self._state = ""
        self._point: Point | None = None
        self._steps_after: Mapping[str, int] = {}
        self._fastest = 0.0
        self._is_broken = False

    def __enter__(self) -> "RunProgress":
        """Start the live line, or the lines every ten seconds."""
        if self.console.is_terminal:
            self._live.start()
        else:
            self._ticker.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Stop both."""
        self._ended.set()
        if self._ticker.is_alive():
            self._ticker.join()
        self._live.stop()
        self._clear()

    def expect(self, steps_after: Mapping[str, int]) -> None:
        """Take the agent-steps that the run plays at least after each state, for the time left of the whole run."""
        self._steps_after = steps_after

    def watch(self, point: Point) -> None:
        """Show one iteration."""
        self._state, self._point = point.state, point
        self._measure(point.agent_steps)

    def _measure(self, agent_steps: float) -> None:
        """Note the speed of the present visit, if no visit was faster."""
        seconds = perf_counter() - self._started
        if seconds > 1:
            self._fastest = max(self._fastest, agent_steps / seconds)

    def listen(self, entry: Entry) -> None:
        """Show one journal record."""
        if self._is_broken:
            return
        try:
            with self._lock:
                for line in self._lines(entry):
                    self._clear()
                    self.console.print(line)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in showing must not end a run
            self._is_broken = True
            warn(f"progress cannot be shown any more ({type(error).__name__}: {error}); the run goes on")

    def _lines(self, entry: Entry) -> Iterator[Text]:
        record = entry.record
        if isinstance(record, RunCreated):
            rehearsal = " (rehearsal: tiny numbers, nothing is promoted)" if record.rehearsal else ""
            yield styled((one_line(record.name), "bold"), f" seed {record.seed}, run {record.run}{rehearsal}")
            for change in record.changes:
                yield styled(f"  set {one_line(str(change))}")
        elif isinstance(record, EnvironmentChecked):
            yield styled(one_line(record.report.summary))
        elif isinstance(record, VisitStarted):
            self._started, self._state, self._point = perf_counter(), record.state, None
            count = f" (visit {record.visit})" if record.visit > 1 else ""
            attempt = f", attempt {record.attempt}" if record.attempt > 1 else ""
            yield styled((record.state, "bold"), f"{count}{attempt}")
        elif isinstance(record, VisitFinished):
            seconds = perf_counter() - self._started
            steps = record.result.get("agent_steps")
            self._measure(steps if isinstance(steps, int) else 0)
            self._state, self._point = "", None
            yield styled(f"  {_headline(record)}  ", (f"{seconds:.1f} s", "dim"))
        elif isinstance(record, GuardsJudged):
            for report in record.reports:
                verdict = (f"{report.verdict.value:<9}", _VERDICT_STYLES.get(report.verdict, ""))
                yield styled("  ", verdict, f" {report.guard}: {one_line(verdict_sentence(report))}")
        elif isinstance(record, EffectDone):
            yield styled((f"  {record.alias} now names version {record.version} ({record.target[:12]})", "green"))
        elif isinstance(record, TransitionTaken):
            style = _TARGET_STYLES.get(record.target, "bold")
            yield styled("  → ", (record.target, style), " ", (one_line(record.why), "dim"))
        elif isinstance(record, RunClosed):
            self._state, self._point = "", None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Yield the live line as it fits: metrics go first, then the speed; the bar and the times stay."""
        parts = self._parts()
        while len(parts) > 2 and cell_len(_GAP.join(parts)) > options.max_width:
            parts.pop()
        line = styled(_GAP.join(parts))
        line.truncate(options.max_width, overflow="ellipsis")
        line.no_wrap = True
        yield line

    def _parts(self) -> list[str]:
        """Return what is going on, the most important first: the run's time, state, times left, speed, metrics."""
        state, point, now = self._state, self._point, perf_counter()
        if not state:
            return []
        seconds = now - self._started
        parts = [duration(now - self._began), state]
        if point is None or point.step < 1:
            return [*parts, f"for {duration(seconds)}"]
        left = seconds * max(point.of - point.step, 0) / point.step
        if point.of:
            parts += [_bar(point.step / point.of), f"{point.step}/{point.of}", f"{duration(left)} left"]
        else:
            parts.append(f"{point.step}")
        if self._fastest and self._steps_after.get(state):
            parts.append(f"run at least {duration(left + self._steps_after[state] / self._fastest)} left")
        if point.agent_steps and seconds > 0:
            parts.append(f"{point.agent_steps / seconds:,.0f} agent-steps/s")
        shown = {name: value for name in _HEADLINE_METRICS if isfinite(value := point.numbers.get(name, nan))}
        return parts + [f"{name} {number(value)}" for name, value in shown.items()]

    def _tick(self) -> None:
        """Print or rewrite a line at every pause, until the run ends."""
        while not self._ended.wait(self._pause):
            with self._lock:
                if self._rewrites:
                    self._rewrite()
                elif parts := self._parts():
                    self.console.print(styled(f"  {_GAP.join(parts)}"))

    def _rewrite(self) -> None:
        """Write the live line over the one before; what was longer is covered with blanks."""
        for line in self.__rich_console__(self.console, self.console.options):
            self.console.file.write(f"\r{line.plain.ljust(self._rewritten)}")
            self.console.file.flush()
            self._rewritten = len(line.plain)

    def _clear(self) -> None:
        """Cover a rewritten line, so that the next text begins where it began."""
        if self._rewritten:
            self.console.file.write(f"\r{' ' * self._rewritten}\r")
            self._rewritten = 0


def _bar(share: float, width: int = 16) -> str:
    full = round(width * min(max(share, 0.0), 1.0))
    return "━" * full + "╌" * (width - full)


def _headline(record: VisitFinished) -> str:
    """Return the first six numbers of the result, as ``name value``."""
    numbers = {
        name: value
        for name, value in record.result.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and name != "duration"
    }
    return "  ".join(f"{name} {number(value)}" for name, value in list(numbers.items())[:6])
