"""Values given in place of a schedule's own: `--set PATH=VALUE` on the command line, `overrides` in Python.

The value is read as YAML, like the text of a schedule: ``3e-4`` is a number, ``[1, 2]`` a list, ``null`` a null. A path
that does not exist yet is added; whether it may exist is for the checks of the whole schedule to say.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from townlet.dto.codec import Problem
from townlet.dto.journal import ScheduleChange
from townlet.dto.problems import did_you_mean
from townlet.errors import BadInputError
from townlet.machine.schedule.yaml_source import Document, SourceSyntaxError, read

__all__ = ["FLAG", "Overridden", "Override", "overridden", "parse_overrides"]

FLAG = "--set"
"""The option of the command line; it can be repeated."""
_EXAMPLE = "states.ppo.with.learning_rate=3e-4"
_LONGEST = 200
"""Characters of an override that messages repeat."""
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters of a JSON text that YAML refuses or reads as the end of a line."""
_KINDS = {
    ("baselines",): "baseline",
    ("environment", "metrics"): "KPI",
    ("evidence",): "evidence",
    ("guards",): "guard",
    ("policies",): "policy",
    ("states",): "state",
}
"""Blocks whose keys a schedule chooses itself, and what each of their entries is."""
Path = tuple[str | int, ...]


@frozen(kw_only=True)
class Override:
    """One value in place of a schedule's own."""

    path: str
    """Keys from the root to the value, with dots between them; an entry of a list is named by its index, from 0."""
    text: str
    """The value as YAML."""
    value: Any
    """The value as plain data."""
    name: str
    """What messages call it: the words of the command line, or the entry of the dictionary in Python."""

    @property
    def words(self) -> tuple[str, str]:
        """Return the words of a command line that give it."""
        return (FLAG, f"{self.path}={self.text}")

    @classmethod
    def parse(cls, words: str) -> "Override":
        """Return the override of ``PATH=VALUE``; BadInputError where it is none, or the value is not YAML."""
        path, sign, text = words.partition("=")
        name = f"{FLAG} {words}" if len(words) <= _LONGEST else f"{FLAG} {words[:_LONGEST]}…"
        if not sign or not all(path.split(".")):
            raise BadInputError(f"{name}: expected PATH=VALUE, such as {FLAG} {_EXAMPLE}")
        return cls(path=path, text=text, value=_value(name, text), name=name)

    @classmethod
    def of(cls, path: str, value: object) -> "Override":
        """Return the override of a path by a value of Python; BadInputError where it is no plain data."""
        name = f"overrides[{path!r}]"
        if not isinstance(path, str) or not all(path.split(".")):
            raise BadInputError(f"{name}: expected keys with dots between them, such as {_EXAMPLE.partition('=')[0]!r}")
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise BadInputError(f"{name}: expected plain data (numbers, text, lists, dictionaries): {error}") from error
        text = _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
        return cls(path=path, text=text, value=_value(name, text), name=name)


def parse_overrides(words: Iterable[str]) -> tuple[Override, ...]:
    """Return the overrides of a command line in their order; of two with one path the later one counts."""
    overrides = {override.path: override for override in map(Override.parse, words)}
    return tuple(overrides.values())


def _value(name: str, text: str) -> Any:
    """Return a value's text as plain data; nothing at all is a null."""
    if not text.strip():
        return None
    try:
        document = read(text.encode())
    except (SourceSyntaxError, UnicodeEncodeError) as error:
        raise BadInputError(f"{name}: {error}") from error
    if document.errors:
        raise BadInputError(f"{name}: {document.errors[0].message}")
    return document.data


@frozen(kw_only=True)
class Overridden:
    """A schedule's plain data with the values that were given in place of its own."""

    data: Any
    """The data that is checked and runs."""
    places: tuple[tuple[Override, Path], ...]
    """Where each override stands in it."""
    changes: tuple[ScheduleChange, ...]
    """What each replaced; nothing where it gives the value that the schedule has."""
    refusals: tuple[str, ...]
    """The overrides whose path leads nowhere, a sentence each."""

    def sentence(self, problem: Problem, document: Document) -> str | None:
        """Return a problem in the words of the override that causes it; None where the text of the schedule does."""
        for override, place in reversed(self.places):
            shorter = len(problem.path) < len(place)
            if shorter and problem.path != place[: len(problem.path)]:
                continue
            if not shorter and place != problem.path[: len(place)]:
                continue
            is_new = shorter and problem.path not in document.values
            is_parent = len(problem.path) > 1 and problem.path == place[:-1]
            if not shorter or is_new or is_parent:
                inner = problem.path if is_parent and not is_new else problem.path[len(place) :]
                where = f"{_dotted(inner)}: " if inner else ""
                return f"{override.name}: {where}{problem.message}"
        return None


def overridden(data: Any, overrides: Iterable[Override]) -> Overridden:
    """Return plain data with overrides in their order; nothing of `data` is changed."""
    places, changes, refusals = [], list[ScheduleChange](), []
    for override in overrides:
        try:
            data, place, before = _replaced(data, tuple(override.path.split(".")), override.value, ())
        except BadInputError as error:
            refusals.append(f"{override.name}: {error}")
            continue
        places.append((override, place))
        if repr(before) != repr(override.value):
            was = None if before is _MISSING else _text(before)
            changes.append(ScheduleChange(path=override.path, before=was, after=_text(override.value)))
    return Overridden(data=data, places=tuple(places), changes=tuple(changes), refusals=tuple(refusals))


_MISSING = object()


def _replaced(data: Any, parts: tuple[str, ...], value: Any, trail: Path) -> tuple[Any, Path, Any]:
    """Return data with a value at a path below `trail`, the whole path, and what stood there."""
    if not parts:
        return value, trail, data
    if isinstance(data, list):
        index = _index(data, parts[0], trail)
        inner, place, before = _replaced(data[index], parts[1:], value, (*trail, index))
        return [*data[:index], inner, *data[index + 1 :]], place, before
    if data is None or data is _MISSING:
        data = {}
    if not isinstance(data, Mapping):
        raise BadInputError(f"{_dotted(trail) or 'the schedule'} is {_text(data)!r}; nothing can stand below it")
    key, rest = _key(data, parts)
    kind = _KINDS.get(tuple(str(part) for part in trail))
    if kind and key not in data and (rest or not isinstance(value, Mapping)):
        hint = did_you_mean(key, tuple(map(str, data))) if data else "; the schedule has none"
        raise BadInputError(f"unknown {kind} {key!r}{hint}")
    inner, place, before = _replaced(data.get(key, _MISSING), rest, value, (*trail, key))
    return {**data, key: inner}, place, before


def _key(block: Mapping[str, Any], parts: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Return the key that a path goes on with, and the rest of the path; a key may have dots itself."""
    for length in range(len(parts), 1, -1):
        if (key := ".".join(parts[:length])) in block:
            return key, parts[length:]
    return parts[0], parts[1:]


def _index(items: list[Any], part: str, trail: Path) -> int:
    if part.isascii() and part.isdecimal() and len(part) < 10 and int(part) < len(items):
        return int(part)
    have = f"its entries are 0 to {len(items) - 1}" if items else "it has no entry"
    raise BadInputError(f"{_dotted(trail)} is a list, and {have}; found {part!r}")


def _dotted(path: Path) -> str:
    return ".".join(map(str, path))


def _text(value: Any) -> str:
    """Return plain data as YAML in one line."""
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
