"""Find trackers by name: built-in ones, and those of installed packages."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from inspect import signature
from pathlib import Path

from townlet.dto.problems import did_you_mean
from townlet.errors import BadInputError
from townlet.ports import TRACKERS, Tracker

__all__ = ["FLAG", "NONE", "TrackerOptions", "Trackers", "find_trackers", "is_registered", "tracker_words"]

FLAG = "--track"
"""The option of the command line; it can be repeated."""
NONE = "none"
"""The word for no tracker, not even those of the schedule."""
Trackers = str | Tracker | Sequence[str | Tracker]
"""Trackers as a call names them: by words of the command line, or as objects."""
TrackerOptions = Mapping[str, Mapping[str, str]]
"""Options of trackers by name, as a schedule says them under ``trackers``."""


def find_trackers(given: Trackers, of_schedule: TrackerOptions, home: Path) -> dict[str, Tracker]:
    """Return the trackers that a call or a command line names, and those of the schedule, by name.

    A word is a name, or several with commas between them; ``none`` leaves those of the schedule out. An object is
    called by the name of its class. `home` is where trackers write that are told no other place. BadInputError for an
    unknown name, for an option that a tracker does not have, and for a tracker whose library is not installed.
    """
    every = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
    for each in every:
        if not isinstance(each, str | Tracker):
            raise BadInputError(
                f"trackers: {type(each).__name__}; expected a name, or an object with keeps_aliases, open, log, move "
                "and close"
            )
    named = [name.strip() for each in every if isinstance(each, str) for name in each.split(",")]
    objects: dict[str, Tracker] = {}
    for each in every:
        if not isinstance(each, str):
            name = type(each).__name__
            same = sum(type(other) is type(each) for other in objects.values())
            objects[f"{name} {same + 1}" if same else name] = each
    if NONE in named:
        if len(set(named)) > 1:
            raise BadInputError(f"{FLAG} {','.join(named)}: {NONE!r} stands alone; leave it out, or the others")
        return dict(objects)
    options = dict(of_schedule) | {name: of_schedule.get(name, {}) for name in named}
    return {name: _made(_entry(name), own, home) for name, own in options.items()} | objects


def is_registered(name: str) -> bool:
    """Return whether a command line may name a tracker so."""
    return name in entry_points(group=TRACKERS).names


def tracker_words(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a command line that name trackers again."""
    return (FLAG, ",".join(words)) if words else ()


def _entry(name: str) -> EntryPoint:
    registered = entry_points(group=TRACKERS)
    for entry in registered:
        if entry.name == name:
            return entry
    raise BadInputError(f"unknown tracker {name!r}{did_you_mean(name, sorted(registered.names))}")


def _made(entry: EntryPoint, options: Mapping[str, str], home: Path) -> Tracker:
    """Return a tracker; BadInputError where it does not have the options, or is none."""
    make = entry.load()
    known = tuple(name for name in signature(make).parameters if name != "home")
    for name in options:
        if name not in known:
            raise BadInputError(f"tracker {entry.name}: unknown option {name!r}{did_you_mean(name, known)}")
    tracker = make(home=home.absolute(), **options)
    if not isinstance(tracker, Tracker):
        raise BadInputError(f"tracker {entry.name}: {entry.value} makes no tracker; expected open, log, move and close")
    return tracker
