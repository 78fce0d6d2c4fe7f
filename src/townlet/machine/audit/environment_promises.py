"""Read from a journal what the environment of a run does not keep: promises that were checked, and numbers it gave."""

from collections.abc import Iterable, Iterator

from townlet.dto.codec import structure
from townlet.dto.journal import Entry, EnvironmentChecked, VisitFinished
from townlet.dto.metrics import InvalidValues

__all__ = ["environment_reservations"]


def environment_reservations(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield a sentence for each promise that the environment of a run does not keep, or that could not be checked.

    The check at the start skips the built-in town, whose own tests check the same promises. A KPI that is no valid
    number in some episodes is named for every environment, whether or not a guard asks for it.
    """
    for entry in entries:
        record = entry.record
        if isinstance(record, EnvironmentChecked):
            yield from record.report.reservation_sentences
        if isinstance(record, VisitFinished):
            for invalid in structure(record.result.get("invalid", ()), tuple[InvalidValues, ...]):
                yield f"{record.state} visit {record.visit}: {invalid.sentence}"
