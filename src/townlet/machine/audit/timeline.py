"""The timeline of a run: every attempt of every visit, every wait for a person, and who commanded what."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from attrs import define, evolve, field, frozen

from townlet.dto.journal import (
    ApprovalRequested,
    EffectDone,
    Entry,
    OperatorCommand,
    ProcessStarted,
    RunClosed,
    TransitionTaken,
    VisitFinished,
    VisitStarted,
)
from townlet.machine.journal.run_state import WAITING

__all__ = ["TimelineSpan", "timeline"]

Ending = Literal["finished", "crashed", "stopped", "retried", "left", "open"]


@frozen(kw_only=True)
class TimelineSpan:
    """A stretch of time in which a run worked on one attempt of a visit, or waited for a person."""

    kind: Literal["work", "wait"]
    """``work``: an attempt of a visit; ``wait``: held, failed or stopped."""
    state: str
    """State of the schedule; for a wait ``hold``, ``failed`` or the state in which the run was stopped."""
    visit: int = 0
    """Which visit; 0 for a wait."""
    attempt: int = 0
    """Which attempt of it; 0 for a wait."""
    start: str
    """UTC, ISO 8601."""
    end: str | None = None
    """UTC; none where it goes on at the end of the journal."""
    ending: Ending = "open"
    """How it ended: with a result, by a crash (another process took over), by a clean stop, with an error that was
    tried again, left for another state without a result; ``open`` where the journal ends."""
    died_after: bool = False
    """Whether the process died after the result, before the run went on."""
    commands: tuple[OperatorCommand, ...] = ()
    """What operators commanded meanwhile."""
    approval: ApprovalRequested | None = None
    """The request for approval that the run waited with."""
    to: str = ""
    """State that the run went to at its end; empty where it stayed."""
    why: str = ""
    """Why, in words."""
    promoted: EffectDone | None = None
    """The promotion that happened in it."""

    @property
    def seconds(self) -> float:
        """Its length; 0 where it is open, or where a clock was set back."""
        if self.end is None:
            return 0.0
        return max(0.0, (datetime.fromisoformat(self.end) - datetime.fromisoformat(self.start)).total_seconds())


def timeline(entries: Sequence[Entry]) -> tuple[TimelineSpan, ...]:
    """Return the spans of a journal in their order."""
    builder = _Builder()
    for entry in entries:
        builder.add(entry)
    return tuple(builder.spans)


@define
class _Builder:
    spans: list[TimelineSpan] = field(factory=list)
    processes: int = 0
    stopped: bool = False

    def add(self, entry: Entry) -> None:
        """Take one more record into the spans."""
        record = entry.record
        match record:
            case VisitStarted():
                self._close(entry.at, "retried")
                self._open(entry, record.state, visit=record.visit, attempt=record.attempt)
            case VisitFinished():
                self._update(ending="finished", end=entry.at)
            case ProcessStarted():
                self._process(entry)
            case OperatorCommand():
                self._update(commands=(*self._last_commands(), record))
                if record.command == "stop" and not record.refused:
                    self._close(entry.at, "stopped")
                    self.stopped = True
                    self._open(entry, self.spans[-1].state if self.spans else "", kind="wait")
            case ApprovalRequested():
                self._update(approval=record)
            case EffectDone():
                self._update(promoted=record)
            case TransitionTaken():
                self._transition(entry, record)
            case RunClosed() if self.spans and self.spans[-1].kind == "work":
                self._close(entry.at, "left")

    def _process(self, entry: Entry) -> None:
        self.processes += 1
        is_waiting = bool(self.spans) and self.spans[-1].kind == "wait"
        if self.stopped:
            self._close(entry.at, "left")
        elif self.processes > 1 and not is_waiting and self.spans:
            is_open = self.spans[-1].ending == "open"
            self._close(entry.at, "crashed")
            if not is_open:
                self._update(died_after=True)
        self.stopped = False

    def _transition(self, entry: Entry, record: TransitionTaken) -> None:
        if self.spans and not self.spans[-1].to:
            self._update(to=record.target, why=record.why)
        self._close(entry.at, "left")
        if record.target in WAITING:
            approval = self.spans[-1].approval if self.spans else None
            self._open(entry, record.target, kind="wait")
            self._update(approval=approval)

    def _open(
        self, entry: Entry, state: str, *, kind: Literal["work", "wait"] = "work", visit: int = 0, attempt: int = 0
    ) -> None:
        self.spans.append(TimelineSpan(kind=kind, state=state, visit=visit, attempt=attempt, start=entry.at))

    def _close(self, at: str, ending: Ending) -> None:
        """End the last span where it is open."""
        if self.spans and self.spans[-1].ending == "open":
            self.spans[-1] = evolve(self.spans[-1], ending=ending, end=at)

    def _last_commands(self) -> tuple[OperatorCommand, ...]:
        return self.spans[-1].commands if self.spans else ()

    def _update(self, **changes: Any) -> None:
        if self.spans:
            self.spans[-1] = evolve(self.spans[-1], **changes)
