"""`townlet watch`: how a run goes that another process works on."""

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from townlet.commands.arguments import HOME, Home, Run, find_run
from townlet.commands.run_loop import end_code

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from townlet.dto.journal import Entry
    from townlet.machine.audit.run_tail import TailUpdate
    from townlet.machine.audit.snapshot import RunSnapshot
    from townlet.report.progress.run_progress import RunProgress
    from townlet.store.rundir import RunDirectory

__all__ = ["watch"]

_NO_PROCESS = 3
"""Exit code for an open run that no process works on: it waits for a person."""


def watch(
    run: Run,
    *,
    wait: Annotated[
        bool, Parameter(negative="", help="First wait until a process works on the run; latest is then the next one.")
    ] = False,
    home: Home = HOME,
) -> int:
    """Show how a run goes that another process works on, until it ends; nothing of the run is changed.

    The exit code is that of the run: 0, 3, 4, 6 or 7. It is 3 too where no process works on the run any more, and 130
    after Ctrl-C, which leaves the run alone.
    """
    from townlet.report import terminal
    from townlet.store.hints import command_line, run_word

    try:
        home, directory = _wait_for_run(home, run) if wait else find_run(home, run)
    except KeyboardInterrupt:
        terminal.say("SIGINT: you wait no more")
        return 130
    try:
        _show(directory, home)
    except KeyboardInterrupt:
        again = command_line("watch", run_word(home, directory), home=home)
        terminal.say(f"SIGINT: you watch no more, and the run is not affected; look again with: {again}")
        return 130
    return _show_end(directory, home)


def _wait_for_run(home: "Path", run: str) -> "tuple[Path, RunDirectory]":
    """Return home and directory of a run once a process works on it, or, for a word such as `latest`, of the next run.

    BadInputError where the run is named, and not there.
    """
    from time import sleep

    from townlet.errors import BadInputError
    from townlet.machine.audit.run_follow import LOOK_SECONDS
    from townlet.report import terminal
    from townlet.store.rundir import LATEST, RunDirectory

    before, is_first = "", True
    while True:
        try:
            directory = RunDirectory.find(home, run)
        except BadInputError:
            if run not in LATEST:
                raise
        else:
            before = before or directory.id
            if directory.is_locked() or directory.id != before:
                return find_run(home, run)
        before = before or "none"
        if is_first:
            terminal.say(f"no process works on {run} in {home}; waiting for one, Ctrl-C ends the wait")
        is_first = False
        sleep(LOOK_SECONDS)


def _show(directory: "RunDirectory", home: "Path") -> None:
    """Show a run until nobody works on it, or nobody reads what is shown."""
    from time import time

    from townlet.machine.audit.run_follow import follow_run
    from townlet.machine.audit.run_tail import RunTail
    from townlet.machine.audit.snapshot import load_run, schedules
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import terminal
    from townlet.report.progress.run_progress import RunProgress
    from townlet.store.blobs import BlobStore

    strategies = catalogue()
    snapshot = load_run(directory, BlobStore(home / "blobs"), strategies)
    is_as_begun = len(schedules(snapshot.entries)) == 1
    with RunProgress(terminal.output(soft_wrap=True), clock=time) as progress:
        progress.expect(directory.steps_after if is_as_begun else {}, snapshot.schedule)
        is_first = True
        for update in follow_run(RunTail(run=directory, catalogue=strategies)):
            _show_update(progress, update, _first_shown(update.entries) if is_first else 0)
            is_first = False
            if terminal.is_output_lost():
                return


def _show_update(progress: "RunProgress", update: "TailUpdate", first: int) -> None:
    """Show what is new; of the records before `first` only the one that names the run."""
    from townlet.dto.journal import RunCreated

    for index, entry in enumerate(update.entries):
        at = datetime.fromisoformat(entry.at).timestamp()
        if index >= first or isinstance(entry.record, RunCreated):
            progress.listen(entry, at)
        else:
            progress.state.note_record(entry.record, at)
    for index, point in enumerate(update.points, 1):
        # The stream does not say when a point was reported; the last one is as old as the file.
        progress.state.note_point(point, update.points_at if index == len(update.points) else None)


def _first_shown(entries: "tuple[Entry, ...]") -> int:
    """Return the index of the record from which a run that has gone on for a while is shown: its last decision."""
    from townlet.dto.journal import GuardsJudged, VisitStarted

    places: dict[tuple[str, int], int] = {}
    first = 0
    for index, entry in enumerate(entries):
        record = entry.record
        if isinstance(record, VisitStarted):
            places[record.state, record.visit] = index
        elif isinstance(record, GuardsJudged) and record.reports:
            first = places.get((record.state, record.visit), first)
    return first


def _show_end(directory: "RunDirectory", home: "Path") -> int:
    """Print where the run is and what to type next, and return the exit code."""
    from townlet.machine.audit.snapshot import load_run
    from townlet.machine.journal.run_state import WAITING
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import terminal
    from townlet.store.blobs import BlobStore

    strategies = catalogue()
    snapshot = load_run(directory, BlobStore(home / "blobs"), strategies)
    state = snapshot.state
    has_promote = any(strategies.entry(each.strategy).effect for each in snapshot.schedule.states.values())
    terminal.show("\n".join(_end_lines(snapshot, directory, home, has_promote=has_promote)))
    if state.closed is None and state.state not in WAITING:
        return _NO_PROCESS
    return end_code(
        state.state, rehearsal=state.rehearsal, champion_moved=state.champion_moved, has_promote=has_promote
    )


def _end_lines(
    snapshot: "RunSnapshot", directory: "RunDirectory", home: "Path", *, has_promote: bool
) -> "Iterator[str]":
    from townlet.dto.summary_text import end_line
    from townlet.machine.journal.run_state import WAITING
    from townlet.report import outcome
    from townlet.store.hints import command_line, run_word

    state, word = snapshot.state, run_word(home, directory)
    command = partial(command_line, home=home)
    if state.closed is None and state.state not in WAITING:
        visit = f", visit {state.visit.number}" if state.visit is not None else ""
        why = "it was stopped" if state.idle_since else "it was killed, or its machine went down"
        yield f"{state.state}{visit}: no process works on the run any more; {why}"
        yield f"nothing is lost, go on with: {command('resume', word)}"
    else:
        yield end_line(
            state.state,
            state.reason if state.closed is None else state.closed.reason,
            rehearsal=state.rehearsal,
            champion_moved=state.champion_moved,
            has_promote=has_promote,
        )
        if not state.rehearsal:
            yield from outcome.figures(snapshot)
        if in_force := outcome.in_force(snapshot):
            yield in_force
        if state.state == "hold":
            yield from outcome.hold_lines(snapshot, word, command, directory.signature_request)
        else:
            yield f"next: {command('audit', 'show' if state.state in ('failed', 'aborted') else 'why', word)}"
    yield f"run {directory.path}"
