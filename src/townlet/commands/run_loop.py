"""What `run` and `resume` share: progress, signals, the exit line and the exit code."""

import os
import signal
import sys
from pathlib import Path
from time import perf_counter
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

from townlet.errors import StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from townlet.dto.journal import Entry
    from townlet.dto.policy import AnnealSummary
    from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator

__all__ = ["SignalHandler", "walk"]

_STARTED = perf_counter()
_END_CODES = {"hold": 3, "failed": 4, "aborted": 7}


class SignalHandler:
    """The first SIGINT or SIGTERM asks the walk to stop where it can go on; the second kills, by the system's hand."""

    def __init__(self) -> None:
        """Nobody has asked yet."""
        self.number = 0
        self._before: dict[int, object] = {}

    def asked(self) -> bool:
        """Tell whether a signal arrived."""
        return self.number != 0

    def end(self, error: StoppedError) -> int:
        """Say why the walk stopped, and return the exit code that shells know the signal by."""
        from townlet.report import terminal

        number = self.number or signal.SIGINT
        terminal.complain(f"{signal.Signals(number).name}: {error}; nothing is lost, go on with: townlet resume latest")
        return 128 + number

    def __enter__(self) -> "SignalHandler":
        """Listen to both signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Listen no more."""
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what `signal` returned itself

    def _note(self, number: int, _: FrameType | None) -> None:
        self.number = number
        for each in self._before:
            signal.signal(each, signal.SIG_DFL)
        name = signal.Signals(number).name
        # The handler runs between any two instructions: one system call, no lock that the interrupted code may hold.
        os.write(
            sys.__stderr__.fileno() if sys.__stderr__ else 2, f"{name}: stopping at the next safe point\n".encode()
        )


def walk(
    schedule: Path, home: Path, act: "Callable[[PolicyTrainingOrchestrator], AnnealSummary]", *, json: bool,
    seed: int | None = None,
) -> "tuple[int, AnnealSummary | None]":  # fmt: skip
    """Let a façade walk, show it, and return the exit code with what happened; none where a signal ended it."""
    from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
    from townlet.report import terminal
    from townlet.report.progress import RunProgress

    with SignalHandler() as signals:
        try:
            with RunProgress(terminal.errors) as progress:

                def listen(entry: "Entry") -> None:
                    progress.listen(entry)
                    _tell_process(entry)

                orchestrator = PolicyTrainingOrchestrator(
                    schedule, home=home, seed=seed, listen=listen, watch=progress.watch, stopping=signals.asked
                )
                summary = act(orchestrator)
        except StoppedError as error:
            return signals.end(error), None
    if json:
        terminal.show_json(summary.model_dump())
    else:
        terminal.show(_exit_line(summary))
    return _exit_code(summary), summary


def _tell_process(entry: "Entry") -> None:
    """Say what a process that takes a run up can promise."""
    from townlet.dto.journal import ProcessStarted
    from townlet.report import terminal

    record = entry.record
    if not isinstance(record, ProcessStarted):
        return
    if record.changed:
        changed = ", ".join(f"{name} {change}" for name, change in record.changed.items())
        terminal.errors.print(f"warning: exactness is broken from here on: {changed}", markup=False)
    elif record.promise == "reset":
        terminal.errors.print("warning: the environment offers no snapshot; it begins new episodes here", markup=False)


def _exit_code(summary: "AnnealSummary") -> int:
    if summary.state in _END_CODES:
        return _END_CODES[summary.state]
    return 6 if summary.has_promote and not summary.champion_moved and not summary.rehearsal else 0


def _exit_line(summary: "AnnealSummary") -> str:
    champion = "the champion moved" if summary.champion_moved else "the champion is unchanged"
    outcome = "rehearsal, nothing was promoted" if summary.rehearsal else champion
    return (
        f"{summary.state}: {summary.reason}; {outcome}\n"
        f"run {summary.path}\nweights {summary.weights}\n"
        f"head {summary.head}\nsemantic {summary.semantic_hash}\n{perf_counter() - _STARTED:.1f} s"
    )
