"""What a run warns of while it goes on: all of it is logged, and a terminal shows what is logged."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from townlet.dto.journal import Entry, EnvironmentChecked, ProcessStarted
from townlet.machine.audit.verify import promise_phrase
from townlet.report import terminal

__all__ = ["log_warnings", "warnings_shown"]

_LOG = logging.getLogger("townlet")


class _WarningHandler(logging.Handler):
    """Shows what Townlet logs during a run as warnings."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one warning to stderr."""
        terminal.warn(record.getMessage())


@contextmanager
def warnings_shown() -> Iterator[None]:
    """Show warnings on stderr, as the command line does, instead of by Python's last resort."""
    handler = _WarningHandler(logging.WARNING)
    _LOG.addHandler(handler)
    try:
        yield
    finally:
        _LOG.removeHandler(handler)


def log_warnings(entry: Entry) -> None:
    """Log promises that the environment does not keep, and other bits than those of an uninterrupted run."""
    record = entry.record
    if isinstance(record, EnvironmentChecked):
        for sentence in record.report.reservation_sentences:
            _LOG.warning("%s", sentence)
    elif isinstance(record, ProcessStarted) and record.promise != "exact":
        _LOG.warning("%s", promise_phrase(record))
