"""Where and when progress is shown: on a terminal, line by line in a pipe, or below the cell of a notebook."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread
from time import perf_counter
from types import TracebackType

from rich.console import Console, ConsoleOptions
from rich.live import Live
from rich.text import Text

from townlet.dto.journal import Entry
from townlet.dto.schedule import ScheduleSpec
from townlet.machine.audit.run_tail import RunTail
from townlet.machine.catalogue import StrategyCatalogue
from townlet.report.progress.panel import GAP, panel, visit_parts, visit_row
from townlet.report.progress.progress_state import Point, ProgressState
from townlet.report.progress.record_lines import record_lines
from townlet.report.terminal import styled, warn
from townlet.store.rundir import RunDirectory

__all__ = ["RunProgress"]

_SECONDS_PER_LINE = 10.0
"""Between two lines about the same visit where nobody watches a terminal."""
_REFRESHES_PER_SECOND = 4
_INDENT = " " * 6
"""Before what is left of a line that does not fit a terminal."""


class RunProgress:
    """Shows journal records and metrics: on a terminal rows that change, elsewhere a plain line every ten seconds.

    A notebook knows no cursor, only the carriage return: there `rewrites` writes the row of the visit over the one
    before. Showing is never part of the run: an error in here is told once, and then the run goes on without progress.
    """

    def __init__(
        self,
        console: Console,
        *,
        seconds_per_line: float = _SECONDS_PER_LINE,
        rewrites: bool = False,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """Write to `console`, where it is no terminal every `seconds_per_line`; `clock` tells the time in seconds."""
        self.console = console
        self.state = ProgressState(began=clock())
        """What is known of the run."""
        self._clock = clock
        # Drawn by our own thread: rows that another thread draws between two lines, in another height, would stay.
        self._live = Live(self, console=console, transient=True, auto_refresh=False, redirect_stdout=False)
        self._pause, self._ended = seconds_per_line, Event()
        self._rewrites, self._rewritten, self._lock = rewrites, 0, Lock()
        self._ticker = Thread(target=self._tick, name="progress", daemon=True)
        self._failure: Exception | None = None
        self._is_broken = False

    def __enter__(self) -> "RunProgress":
        """Start the rows that change, or the lines every ten seconds."""
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            self._live.start()
            self._pause = 1 / _REFRESHES_PER_SECOND
        self._ticker.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Stop both."""
        self._ended.set()
        if self._ticker.is_alive():
            self._ticker.join()
        self._live.stop()
        self._clear()
        self._report_failure()

    def expect(self, steps_after: Mapping[str, int], schedule: ScheduleSpec | None = None) -> None:
        """Take the schedule, and the agent-steps that the run plays at least after each state."""
        self.state.steps_after, self.state.schedule = steps_after, schedule

    def recall(self, run: RunDirectory, catalogue: StrategyCatalogue) -> None:
        """Take in what a run that is resumed wrote before, without showing it."""
        with suppress(Exception):  # whatever is wrong with it, the run itself says so; progress begins with what comes
            written, now = RunTail(run=run, catalogue=catalogue).poll(), self._clock()
            for entry in written.entries:
                self.state.note_record(entry.record, now)
            for point in written.points:
                self.state.note_point(point, None)
            self.state.began = now
            self.state.close_visit()

    def watch(self, point: Point, at: float | None = None) -> None:
        """Show one iteration, reported now or at a time of the clock."""
        with self._guarded():
            self.state.note_point(point, self._clock() if at is None else at)

    def listen(self, entry: Entry, at: float | None = None) -> None:
        """Show one journal record, written now or at a time of the clock."""
        self._report_failure()
        if self._is_broken:
            return
        with self._guarded(), self._lock:
            now = self._clock() if at is None else at
            seconds = now - self.state.started
            self.state.note_record(entry.record, now)
            for line in record_lines(entry.record, seconds):
                self._clear()
                self._print(line)
        self._report_failure()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Yield the rows that change, as they fit; none after an error."""
        if self._failure is not None:
            return
        rows: list[Text] = []
        with self._guarded():  # a thread draws this: an error is told with the next record
            rows = [*panel(self.state, self._clock(), options.max_width, console.height)]
        yield from rows

    def _print(self, line: Text) -> None:
        """Print a line; on a terminal it is folded between words, and what does not fit is indented."""
        if not self._live.is_started:
            self.console.print(line)
            return
        first, *rest = line.wrap(self.console, max(self.console.width - len(_INDENT), 1))
        self.console.print(Text("\n").join([first, *(Text(_INDENT) + each for each in rest)]))

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Note the first error of the body: whatever goes wrong in showing must not end a run."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - it is told by `_report_failure`
            self._failure = self._failure or error

    def _report_failure(self) -> None:
        """Warn of the first error, once."""
        if self._failure is not None and not self._is_broken:
            self._is_broken = True
            kind = type(self._failure).__name__
            warn(f"progress cannot be shown any more ({kind}: {self._failure}); the run goes on")

    def _tick(self) -> None:
        """Draw the rows, print or rewrite a line at every pause, until the run ends."""
        while not self._ended.wait(self._pause) and self._failure is None:
            with self._guarded(), self._lock:
                if self._live.is_started:
                    self._live.refresh()
                elif self._rewrites:
                    self._rewrite()
                elif parts := visit_parts(self.state, self._clock()):
                    self.console.print(styled(f"  {GAP.join(parts)}"))

    def _rewrite(self) -> None:
        """Write the row of the visit over the one before; what was longer is covered with blanks."""
        row = visit_row(self.state, self._clock(), self.console.width)
        if row is not None:
            row.truncate(self.console.width, overflow="ellipsis")
            self.console.file.write(f"\r{row.plain.ljust(self._rewritten)}")
            self.console.file.flush()
            self._rewritten = len(row.plain)

    def _clear(self) -> None:
        """Cover a rewritten line, so that the next text begins where it began."""
        if self._rewritten:
            self.console.file.write(f"\r{' ' * self._rewritten}\r")
            self._rewritten = 0
