"""What differs between the schedules of recipes: each value that is not the same in all, with its path."""

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from townlet.dto.codec import Record, unstructure
from townlet.dto.schedule import ScheduleSpec

__all__ = ["Setting", "differing_settings"]

_NAMES = ("name", "registry.name")
"""Paths of names that every schedule has for itself."""


@frozen(kw_only=True)
class Setting(Record):
    """One value of the schedules."""

    path: str
    """Keys from the top of the schedule, with dots; numbers count from 0."""
    values: tuple[str, ...]
    """The value in each schedule, as text; empty where the schedule has none."""


def differing_settings(schedules: Sequence[ScheduleSpec]) -> tuple[Setting, ...]:
    """Return the values in which schedules differ, their names left out, in the order in which they first appear."""
    flat = [dict(_values("", unstructure(schedule))) for schedule in schedules]
    paths = dict.fromkeys(path for values in flat for path in values)
    rows = (Setting(path=path, values=tuple(values.get(path, "") for values in flat)) for path in paths)
    return tuple(row for row in rows if len(set(row.values)) > 1 and row.path not in _NAMES)


def _values(path: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield each value below a path; a list of plain values is one value, and so is a list of such lists."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _values(f"{path}.{key}" if path else str(key), inner)
    elif isinstance(value, list | tuple) and any(isinstance(each, Mapping) for each in value):
        for index, inner in enumerate(value):
            yield from _values(f"{path}.{index}", inner)
    elif value is not None:
        yield path, str(list(value) if isinstance(value, tuple) else value)
