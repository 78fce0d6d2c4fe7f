"""What `run` and `resume` share: progress in the terminal, signals, the last lines on stdout and the exit code."""

import os
import signal
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import perf_counter
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

from townlet.commands.arguments import import_words
from townlet.errors import ResourceFaultError, StoppedError, UnfitInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from townlet.dto.journal import Entry
    from townlet.dto.policy import AnnealSummary
    from townlet.dto.schedule import Plan
    from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
    from townlet.policy.training.telemetry import MetricPoint
    from townlet.store.rundir import RunDirectory

__all__ = ["SignalHandler", "end_code", "report_lost_output", "run_with_progress", "walk"]

_PROCESS_START = perf_counter()
_END_CODES = {"hold": 3, "failed": 4, "aborted": 7}


class SignalHandler:
    """Handles SIGINT and SIGTERM: the first requests a stop at the next safe point, the second kills the process."""

    def __init__(self, allow_import: "Sequence[str]", track: "Sequence[str]" = ()) -> None:
        """Start without a request to stop; the command that continues the run has the same imports and trackers."""
        self._allow_import, self._track = allow_import, track
        self.number = 0
        """Number of the signal that arrived; 0 for none."""
        self.run = ""
        """Id of the run, once it has one."""
        self._previous: dict[int, object] = {}

    def stop_requested(self) -> bool:
        """Return whether a signal arrived."""
        return self.number != 0

    @property
    def name(self) -> str:
        """Name of the signal that arrived."""
        return signal.Signals(self.number).name

    def report_stop(self, error: StoppedError, home: Path) -> int:
        """Print why the run stopped, and return the exit code by which shells know the signal: 128 + its number."""
        from townlet.report import terminal

        number, resume = self.number or signal.SIGINT, self.resume_command(home)
        terminal.complain(f"{signal.Signals(number).name}: {error}; nothing is lost, go on with: {resume}")
        return 128 + number

    def resume_command(self, home: Path) -> str:
        """Return the command that continues the run."""
        from townlet.trackers.find import tracker_words

        words = tracker_words(self._track)
        return _command("resume", self.run or "latest", *words, allow_import=self._allow_import, home=home)

    def follow(self, entry: "Entry") -> None:
        """Note which run it is, so that the message of a stop can name it."""
        from townlet.dto.journal import RunCreated

        if isinstance(entry.record, RunCreated):
            self.run = entry.record.run

    def __enter__(self) -> "SignalHandler":
        """Install the handler for both signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Restore the previous handlers."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what `signal` returned itself

    def _handle(self, number: int, _: FrameType | None) -> None:
        self.number = number
        for each in self._previous:
            signal.signal(each, signal.SIG_DFL)
        message = f"{signal.Signals(number).name}: stopping at the next safe point\n"
        # The handler runs between any two instructions: one system call, no lock that the interrupted code may hold.
        with suppress(OSError, ValueError, AttributeError):  # stderr may be full, gone or closed
            os.write(sys.__stderr__.fileno(), message.encode())  # type: ignore[union-attr]


def run_with_progress(
    schedule: Path,
    home: Path,
    action: "Callable[[PolicyTrainingOrchestrator], AnnealSummary]",
    *,
    json: bool,
    seed: int | None = None,
    overrides: "Sequence[str]" = (),
    run: "RunDirectory | None" = None,
    allow_import: "Sequence[str]" = (),
    track: "Sequence[str]" = (),
    quiet: bool = False,
) -> "tuple[int, AnnealSummary | None]":
    """Run or resume a schedule with progress on stderr, print its summary, and return the exit code and the summary.

    `action` receives the orchestrator and runs it; `run` is the one that is resumed. The summary is None where a signal
    stopped the run.
    """
    from townlet.report import terminal

    code, summary = walk(
        schedule,
        home,
        action,
        seed=seed,
        overrides=overrides,
        run=run,
        allow_import=allow_import,
        track=track,
        quiet=quiet,
    )
    if summary is not None:
        if json:
            terminal.show_json(summary.model_dump())
        _show_outcome(summary, home, allow_import, json=json)
        report_lost_output(summary)
    return code, summary


def walk(
    schedule: Path,
    home: Path,
    action: "Callable[[PolicyTrainingOrchestrator], AnnealSummary]",
    *,
    seed: int | None = None,
    overrides: "Sequence[str]" = (),
    run: "RunDirectory | None" = None,
    allow_import: "Sequence[str]" = (),
    track: "Sequence[str]" = (),
    quiet: bool = False,
) -> "tuple[int, AnnealSummary | None]":
    """Do as `run_with_progress` does, and leave it to the caller to print the summary."""
    from townlet.imports import Imports
    from townlet.machine.schedule.overrides import parse_overrides
    from townlet.policy.training.launch import ScheduleSource
    from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import terminal
    from townlet.report.progress.run_progress import RunProgress
    from townlet.report.run_warnings import log_warnings, warnings_shown
    from townlet.store.hints import run_word
    from townlet.trackers.tracking import Tracking

    given = parse_overrides(overrides)
    config = ScheduleSource.overriding(schedule, given)
    with SignalHandler(allow_import, track) as signals, warnings_shown():
        signals.run = "" if run is None else run_word(home, run)
        try:
            with (
                RunProgress(terminal.silent if quiet else terminal.errors) as progress,
                Tracking.of(track, config.trackers, home, catalogue(), run) as tracking,
            ):
                if run is not None:
                    progress.recall(run, catalogue())

                def on_plan(plan: "Plan") -> None:
                    progress.expect(orchestrator.source.least_steps_after(plan, catalogue()), plan.schedule)
                    tracking.begin(plan)

                def on_record(entry: "Entry") -> None:
                    signals.follow(entry)
                    progress.listen(entry)
                    tracking.listen(entry)
                    log_warnings(entry)

                def on_point(point: "MetricPoint") -> None:
                    progress.watch(point)
                    tracking.watch(point)

                orchestrator = PolicyTrainingOrchestrator(
                    config,
                    home=home,
                    seed=seed,
                    listen=on_record,
                    watch=on_point,
                    stopping=signals.stop_requested,
                    imports=Imports(tuple(allow_import)),
                    on_plan=on_plan,
                )
                summary = action(orchestrator)
        except StoppedError as error:
            return signals.report_stop(error, home), None
        except (UnfitInputError, ResourceFaultError) as error:
            if signals.run:
                error.add_note(f"go on with: {signals.resume_command(home)}")
            raise
    return _exit_code(summary), summary


def _command(*words: str, allow_import: "Sequence[str]", home: Path) -> str:
    """Return a command that a person can paste; one that makes the run's environment allows the same imports."""
    from townlet.store.hints import command_line

    imports = import_words(allow_import) if words[0] == "resume" or words[:2] == ("audit", "why") else ()
    return command_line(*words, *imports, home=home)


def report_lost_output(summary: "AnnealSummary") -> None:
    """Say where the summary of a run is that could not be written to stdout; the run keeps its exit code."""
    from townlet.report import terminal

    if reason := terminal.lost_results():
        terminal.complain(f"stdout: {reason}; the run is not affected, its summary is in {summary.path}")
        terminal.forget_losses()


def _exit_code(summary: "AnnealSummary") -> int:
    return end_code(
        summary.state,
        rehearsal=summary.rehearsal,
        champion_moved=summary.champion_moved,
        has_promote=summary.has_promote,
    )


def end_code(state: str, *, rehearsal: bool, champion_moved: bool, has_promote: bool) -> int:
    """Return the exit code of a run that ended, or holds, in a state."""
    if state in _END_CODES:
        return _END_CODES[state]
    return 6 if has_promote and not champion_moved and not rehearsal else 0


def _show_outcome(summary: "AnnealSummary", home: Path, allow_import: "Sequence[str]", *, json: bool) -> None:
    """Print how the run ended and what to type next; beside a JSON document only what a held run waits for."""
    from townlet.machine.audit.snapshot import load_run
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import outcome, terminal
    from townlet.store.blobs import BlobStore
    from townlet.store.hints import run_word
    from townlet.store.rundir import RunDirectory

    directory = RunDirectory.at(Path(summary.path))
    snapshot = load_run(directory, BlobStore(home / "blobs"), catalogue())
    word, command = run_word(home, directory), partial(_command, allow_import=allow_import, home=home)
    held = (
        list(outcome.hold_lines(snapshot, word, command, directory.signature_request))
        if summary.state == "hold"
        else []
    )
    if json:
        if held:
            terminal.say("\n".join([outcome.headline(summary), *held]))
        return
    in_force = outcome.in_force(snapshot)
    lines = [
        outcome.headline(summary),
        *([] if summary.rehearsal else outcome.figures(snapshot)),
        *([in_force] if in_force else []),
        *(f"reservation: {sentence}" for sentence in summary.reservations),
        *(held or [f"next: {outcome.next_command(summary, word, command)}"]),
        f"run {summary.path}",
        f"weights {summary.weights or 'none'}",
        f"head {summary.head}",
        f"semantic {summary.semantic_hash}",
        f"{perf_counter() - _PROCESS_START:.1f} s",
    ]
    terminal.show("\n".join(lines))
