"""What the check at the start of a run found about its environment, read from the journal."""

from collections.abc import Iterable, Iterator

from townlet.dto.journal import Entry, EnvironmentChecked

__all__ = ["environment_reservations"]


def environment_reservations(entries: Iterable[Entry]) -> Iterator[str]:
    """Yield a sentence for each promise that the environment of a run does not keep, or that could not be checked.

    None for the built-in town, whose own tests check the same promises.
    """
    for entry in entries:
        if isinstance(entry.record, EnvironmentChecked):
            yield from entry.record.report.reservation_sentences
