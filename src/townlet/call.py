"""One call of the Python interface: progress, trackers, warnings, Ctrl-C, and how to continue a run that stopped."""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from os import write
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType

from attrs import define

from townlet.dto.journal import Entry, RunCreated
from townlet.dto.schedule import Plan, ScheduleSpec
from townlet.errors import ResourceFaultError, StoppedError, UnfitInputError
from townlet.machine.engine.visit import never
from townlet.policy.training.argument_checks import as_path, require_callable, require_imports, require_mapping
from townlet.policy.training.launch import ScheduleSource
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.policy.training.strategies.base import Strategies, catalogue
from townlet.policy.training.telemetry import MetricPoint
from townlet.ports import EnvironmentProvider
from townlet.report import terminal
from townlet.report.jupyter import is_notebook, notebook_console
from townlet.report.progress.run_progress import RunProgress
from townlet.report.run_warnings import log_warnings, warnings_shown
from townlet.store.rundir import RunDirectory
from townlet.trackers.find import Trackers
from townlet.trackers.tracking import Tracking

__all__ = ["Call"]

_SECONDS_PER_REWRITE = 1.0


@define(kw_only=True)
class Call:
    """What the calls share: progress, warnings, Ctrl-C, and how to continue a run that stopped."""

    home: Path
    """Home of the run."""
    stopping: Callable[[], bool]
    """Returns True once the run should save its work and stop."""
    run: str
    """Id of the run, once it has one."""
    shown: RunProgress | None
    """Where progress is shown; None for nowhere."""
    trackers: Trackers
    """Trackers by name, or objects, beside those of the schedule."""
    stack: ExitStack
    """What ends with the call."""
    tracking: Tracking | None = None
    """What the run is tracked by, once the schedule is known."""

    @classmethod
    @contextmanager
    def open(
        cls,
        home: Path | str,
        progress: bool | None,
        stopping: Callable[[], bool],
        trackers: Trackers,
        run: str = "",
    ) -> Iterator["Call"]:
        """Show progress and handle Ctrl-C until the call ends; an error that leaves a run open says how to go on."""
        require_callable("stopping", stopping, "a function without arguments, such as threading.Event().is_set")
        path = as_path("home", home)
        with ExitStack() as stack:
            interrupted = stack.enter_context(_first_interrupt())
            shown = _progress(progress)
            if shown is not None:
                stack.enter_context(warnings_shown())
                stack.enter_context(shown)
            call = cls(
                home=path,
                stopping=lambda: interrupted() or stopping(),
                run=run,
                shown=shown,
                trackers=trackers,
                stack=stack,
            )
            try:
                yield call
            except StoppedError as error:
                if not interrupted():
                    error.add_note(call.advice)
                    raise
                raise KeyboardInterrupt(f"{error}; {call.advice}") from error
            except (KeyboardInterrupt, UnfitInputError, ResourceFaultError) as error:
                if call.run:
                    error.add_note(call.advice)
                raise

    @property
    def advice(self) -> str:
        """Return how the run goes on."""
        return f"nothing is lost, go on with: townlet.resume({self.run!r}, home={str(self.home)!r})"

    def orchestrator(
        self,
        config: ScheduleSpec | Path | ScheduleSource,
        environment: EnvironmentProvider | str | None,
        strategies: Strategies | None,
        allow_imports: Sequence[str],
        seed: int | None = None,
        run: RunDirectory | None = None,
    ) -> PolicyTrainingOrchestrator:
        """Return an orchestrator that shows its progress here, and is tracked; `run` is the one that goes on."""
        if strategies is not None:
            require_mapping("strategies", strategies, "a mapping of names to strategies")
        known = catalogue(strategies)
        tracking = Tracking.of(self.trackers, ScheduleSource.of(config).trackers, self.home, known, run)
        self.tracking = self.stack.enter_context(tracking)
        shown = self.shown
        if shown is not None and run is not None:
            shown.recall(run, known)

        def on_plan(plan: Plan) -> None:
            if shown is not None:
                shown.expect(orchestrator.source.least_steps_after(plan, known), plan.schedule)
            tracking.begin(plan)

        orchestrator = PolicyTrainingOrchestrator(
            config,
            environments=environment,
            imports=require_imports(allow_imports),
            strategies=strategies or {},
            home=self.home,
            seed=seed,
            listen=self._on_record,
            watch=self._on_point,
            stopping=self.stopping,
            on_plan=on_plan,
        )
        return orchestrator

    def _on_record(self, entry: Entry) -> None:
        if isinstance(entry.record, RunCreated):
            self.run = entry.record.run
        if self.shown is not None:
            self.shown.listen(entry)
        if self.tracking is not None:
            self.tracking.listen(entry)
        log_warnings(entry)

    def _on_point(self, point: MetricPoint) -> None:
        if self.shown is not None:
            self.shown.watch(point)
        if self.tracking is not None:
            self.tracking.watch(point)


@contextmanager
def _first_interrupt() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns True once Ctrl-C was pressed; the second Ctrl-C raises KeyboardInterrupt.

    Only the main thread may handle signals, and a handler of the caller's (asyncio has one) stays.
    """
    if current_thread() is not main_thread() or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield never
        return
    pressed = False

    def on_interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with suppress(OSError, ValueError, AttributeError):  # stderr may be full, gone or closed
            write(sys.__stderr__.fileno(), b"SIGINT: stopping at the next safe point\n")  # type: ignore[union-attr]

    signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _progress(progress: bool | None) -> RunProgress | None:
    """Return where progress is shown; None for nowhere."""
    notebook = is_notebook()
    watched = current_thread() is main_thread() and (notebook or terminal.errors.is_terminal)
    if not (watched if progress is None else progress):
        return None
    if notebook:
        return RunProgress(notebook_console(), seconds_per_line=_SECONDS_PER_REWRITE, rewrites=True)
    return RunProgress(terminal.errors)
