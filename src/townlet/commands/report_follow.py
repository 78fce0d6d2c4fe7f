"""`townlet report --follow`: keep the page of a run current while another process works on it."""

from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from townlet.report.following import Following
    from townlet.store.rundir import RunDirectory

__all__ = ["check_follow", "keep_current"]

_SECONDS, _LEAST_SECONDS = 5, 1
"""Between two pages: where nobody says, and at the least."""


def check_follow(kind: str, every: str | None, *, follow: bool) -> int:
    """Return the whole seconds between two pages; BadInputError for options that do not fit."""
    from townlet.dto.quantities import parse_duration
    from townlet.errors import BadInputError

    if every is not None and not follow:
        raise BadInputError("--every says how often --follow writes the page; add --follow, or leave it out")
    if follow and kind != "html":
        raise BadInputError(f"--follow keeps an HTML page current, found the format {kind}; expected html")
    try:
        seconds = _SECONDS if every is None else parse_duration(every)
    except ValueError as error:
        raise BadInputError(f"--every: {error}") from error
    if seconds < _LEAST_SECONDS:
        raise BadInputError(f"--every is {every}; expected at least {_LEAST_SECONDS}s")
    return round(seconds)


def keep_current(run: "RunDirectory", target: Path, seconds: int, page: "Callable[[Following | None], bytes]") -> int:
    """Write the page of a run, and write it again when the run wrote more, until nobody works on the run any more.

    Where the run writes nothing for long, the page is written again all the same: its time tells that somebody follows.
    Only the pages of a run that goes on reload themselves; the last one does not, after Ctrl-C neither. `page` makes
    the page of the run as it is now, reloading itself or, for None, never.
    """
    from datetime import UTC, datetime

    from townlet.errors import ResourceFaultError
    from townlet.machine.audit.run_follow import follow_run
    from townlet.machine.audit.run_tail import RunTail
    from townlet.numerals import size
    from townlet.policy.training.strategies.base import catalogue
    from townlet.report import terminal
    from townlet.report.following import WRITTEN_EVERY, Following
    from townlet.store.files import write_atomic

    is_due, tried, is_stopped = True, 0.0, False
    try:
        for update in follow_run(RunTail(run=run, catalogue=catalogue())):
            is_due = is_due or bool(update) or monotonic() - tried >= WRITTEN_EVERY
            if not is_due or (tried and monotonic() - tried < seconds) or run.is_locked() is False:
                continue
            is_first, tried = not tried, monotonic()
            try:
                write_atomic(target, page(Following(seconds=seconds, written_at=datetime.now(UTC))))
                is_due = False
            except ResourceFaultError as error:  # the page before stays; there may be room again the next time
                terminal.warn(str(error))
            if is_first:
                terminal.say(f"{target} follows the run; open it once, it reloads itself every {seconds} s")
    except KeyboardInterrupt:
        is_stopped = True
    content = page(None)
    write_atomic(target, content)
    terminal.show(f"wrote {target} ({size(len(content))})")
    if is_stopped:
        terminal.say("SIGINT: the page follows the run no more, and the run is not affected")
    return 130 if is_stopped else 0
