"""Look at a run again and again until nobody works on it any more."""

from collections.abc import Callable, Iterator
from time import monotonic, sleep

from townlet.dto.journal import JournalRecord, RunClosed, TransitionTaken, VisitStarted
from townlet.dto.schedule import BUILT_IN_STATES
from townlet.machine.audit.run_tail import RunTail, TailUpdate

__all__ = ["LOOK_SECONDS", "follow_run"]

LOOK_SECONDS = 0.5
"""Between two looks."""
_MOST_SHARE = 0.2
"""Share of the time that looks may take, however long the journal is."""
_LOOKS_WITHOUT_PROCESS = 3
"""A run that goes on and that nobody has locked in so many looks: its process is gone. One that is just being created,
or taken up again, is locked within them."""


def follow_run(tail: RunTail, wait: Callable[[float], None] = sleep) -> Iterator[TailUpdate]:
    """Yield what a run writes, look by look, empty looks too, until it has ended or no process works on it.

    A held run has ended for this purpose as soon as its process has. Where the file system does not say who works on
    the run, only its end and a hold are seen. Raises what `RunTail.poll` raises.
    """
    where, without_process = "", 0
    while True:
        began = monotonic()
        is_locked = tail.run.is_locked()  # asked first, so that what a process wrote before it ended is read
        update = tail.poll()
        for entry in update.entries:
            where = _state_after(entry.record) or where
        yield update
        without_process = without_process + 1 if is_locked is False and not update else 0
        if (where in BUILT_IN_STATES and not is_locked) or without_process == _LOOKS_WITHOUT_PROCESS:
            return
        wait(max(LOOK_SECONDS, (monotonic() - began) / _MOST_SHARE))


def _state_after(record: JournalRecord) -> str:
    """Return the state that a record leads to; empty for one that leads nowhere."""
    if isinstance(record, TransitionTaken):
        return record.target
    return record.state if isinstance(record, VisitStarted | RunClosed) else ""
