"""Observers of a run, and its metric stream, may fail: that is counted and told once, and the run goes on."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from attrs import define, field

__all__ = ["ObserverFailures"]

_LOG = logging.getLogger(__name__)
_LONGEST_REASON = 300
Observed = TypeVar("Observed")


@define
class ObserverFailures:
    """Counts the errors of what only shows, counts or writes beside the journal; none of them ends a run."""

    counts: dict[str, int] = field(factory=dict)
    """By observer: how often it failed."""
    reasons: dict[str, str] = field(factory=dict)
    """By observer: what its first error said."""

    @contextmanager
    def caught(self, observer: str) -> Iterator[None]:
        """Count an error that is raised inside; a process that is being killed is let through."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - foreign code; whatever it raises is told, and must not end a run
            self.counts[observer] = self.counts.get(observer, 0) + 1
            message = str(error).encode("utf-8", "backslashreplace").decode()
            first = (message.splitlines() or [""])[0][:_LONGEST_REASON]
            self.reasons.setdefault(observer, f"{type(error).__name__}: {first}" if first else type(error).__name__)

    def guarded(self, observer: str, call: Callable[[Observed], None]) -> Callable[[Observed], None]:
        """Return a call that counts errors instead of raising them."""

        def guarded_call(observed: Observed) -> None:
            with self.caught(observer):
                call(observed)

        return guarded_call

    def warn(self) -> None:
        """Log one warning for each observer that failed, with the number of its errors, and begin to count anew."""
        for observer, count in self.counts.items():
            times = "once" if count == 1 else f"{count} times"
            _LOG.warning("%s failed %s (%s); the run is not affected", observer, times, self.reasons[observer])
        self.counts.clear()
        self.reasons.clear()
