"""Reader of YAML 1.2 as plain data with the position of every key and value; no tag constructs or imports anything."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from attrs import define, field, frozen
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from townlet.dto.codec import Problem

__all__ = ["Document", "Position", "SourceError", "SourceSyntaxError", "read"]

MAX_BYTES = 2**20
MAX_DEPTH = 32
MAX_NUMBER = 64
_MAX_EXPONENT = 2.0**53
"""Magnitude below which a number with an exponent may be a whole one: all whole floats there are exact."""

Path = tuple[str | int, ...]

_LINE_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_DECIMAL = re.compile(rf"[-+]?{_DIGITS}", re.ASCII)
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(rf"[-+]?(\.[0-9]+|{_DIGITS}(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.ASCII)
_REFUSED = object()


@frozen(order=True)
class Position:
    """A position in a text; line and column are counted from 1."""

    line: int
    """Line."""
    column: int
    """Character in the line."""


@frozen(order=True)
class SourceError:
    """An error in a source text, with its position."""

    position: Position
    """Line and column."""
    message: str
    """What was found, what was expected, what to do."""


class SourceSyntaxError(Exception):
    """Raised for text that is not YAML; it is the only error then."""

    def __init__(self, position: Position, message: str, lines: tuple[str, ...]) -> None:
        super().__init__(message)
        self.error = SourceError(position, message)
        self.lines = lines


@frozen(kw_only=True)
class Document:
    """One YAML document as plain data."""

    data: Any
    """Dicts, lists, text, numbers, booleans and None."""
    lines: tuple[str, ...]
    """The text, for the carets."""
    keys: Mapping[Path, Position]
    """Position of the key that leads to each path."""
    values: Mapping[Path, Position]
    """Position of the value at each path."""
    errors: tuple[SourceError, ...]
    """Errors that leave the rest readable: duplicate keys, anchors, tags, keys that are not text."""
    replaced_paths: frozenset[Path]
    """Paths whose value was replaced because of such an error; further problems there are its consequences."""

    def locate(self, problem: Problem) -> SourceError | None:
        """Return the problem at the nearest position that exists; None where it follows from another error."""
        path = problem.path
        if any(path[:length] in self.replaced_paths for length in range(len(path) + 1)):
            return None
        key = problem.key
        while path not in self.values:
            path, key = path[:-1], True
        return SourceError(self._position(path, key), problem.message)

    def _position(self, path: Path, key: bool) -> Position:
        value = self.values[path]
        at_key = self.keys.get(path, value)
        # A block mapping begins on the line of its first entry: its key says better which one is meant.
        return at_key if key or value.line != at_key.line else value


def read(source: bytes) -> Document:
    """Return the one YAML 1.2 document in `source`; SourceSyntaxError where there is none to return."""
    text = _decode(source)
    builder = _Builder(lines=tuple(_LINE_BREAK.split(text)))
    events = YAML(typ="safe", pure=True).parse(text)
    try:
        for event in events:
            builder.take(event)
    except ReaderError as error:
        raise builder.syntax_error(
            _position_at(text, error.position), f"unprintable character U+{error.character:04X}"
        ) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = Position(1, 1) if mark is None else Position(mark.line + 1, mark.column + 1)
        raise builder.syntax_error(position, _sentence(error)) from error
    except (YAMLError, OverflowError, ValueError) as error:
        # The scanner turns escapes such as "\UFFFFFFFF" into characters without checking that they exist.
        raise builder.syntax_error(builder.position, f"not YAML: {error}") from error
    finally:
        events.close()
    return builder.document()


def _sentence(error: MarkedYAMLError) -> str:
    message = ", ".join(str(part).replace("\x00", "the end") for part in (error.context, error.problem) if part)
    hint = "; inside {…} a value with brackets stands in quotes" if "but got '['" in message else ""
    return f"not YAML: {message}{hint}"


def _decode(source: bytes) -> str:
    if len(source) > MAX_BYTES:
        raise SourceSyntaxError(Position(1, 1), f"expected at most {MAX_BYTES} bytes, found {len(source)}", ())
    try:
        return source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = source[: error.start].decode("utf-8", "replace")
        message = f"expected text in UTF-8, found byte 0x{source[error.start]:02x}"
        raise SourceSyntaxError(_position_at(before, len(before)), message, tuple(_LINE_BREAK.split(before))) from error


def _position_at(text: str, position: int) -> Position:
    lines = _LINE_BREAK.split(text[:position])
    return Position(len(lines), len(lines[-1]) + 1)


def _scalar(text: str) -> Any:
    """Return what a plain scalar means in the core schema of YAML 1.2; ValueError for an absurdly long number."""
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if not (_DECIMAL.fullmatch(text) or _BASED.fullmatch(text) or _FLOAT.fullmatch(text) or _SPECIAL.fullmatch(text)):
        return text
    if len(text) > MAX_NUMBER:
        raise ValueError(f"expected a number of at most {MAX_NUMBER} characters, found {len(text)}")
    return _number(text)


def _number(text: str) -> int | float:
    """Return the number that a text means.

    Beyond YAML's core schema, large whole numbers may be written as people do: digits grouped by single underscores,
    and an exponent that leaves no fraction (``2.2e6``).
    """
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _DECIMAL.fullmatch(text):
        return int(text)
    number = float(text.replace(".", "", 1) if _SPECIAL.fullmatch(text) else text)
    if "e" in text.lower() and abs(number) < _MAX_EXPONENT and number.is_integer() and Decimal(text) == int(number):
        return int(number)
    return number


@define
class _Frame:
    """A mapping or a sequence whose end event has not come."""

    container: dict[str, Any] | list[Any]
    path: Path
    attached: bool
    key: Any = None


@define
class _Builder:
    """Builds plain data from YAML events, one at a time and without recursion."""

    lines: tuple[str, ...]
    position: Position = Position(1, 1)
    data: Any = _REFUSED
    stack: list[_Frame] = field(factory=list)
    keys: dict[Path, Position] = field(factory=dict)
    values: dict[Path, Position] = field(factory=dict)
    errors: list[SourceError] = field(factory=list)
    replaced_paths: set[Path] = field(factory=set)

    def syntax_error(self, position: Position, message: str) -> SourceSyntaxError:
        return SourceSyntaxError(position, message, self.lines)

    def document(self) -> Document:
        if self.data is _REFUSED:
            raise self.syntax_error(Position(1, 1), "expected a schedule, found an empty file")
        return Document(
            data=self.data,
            lines=self.lines,
            keys=self.keys,
            values=self.values,
            errors=tuple(self.errors),
            replaced_paths=frozenset(self.replaced_paths),
        )

    def take(self, event: Event) -> None:
        self.position = Position(event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, DocumentStartEvent):
            if self.data is not _REFUSED:
                raise self.syntax_error(self.position, "expected one document, found a second")
            if event.version is not None and tuple(event.version) != (1, 2):
                raise self.syntax_error(self.position, "expected YAML 1.2, found a %YAML directive for another version")
        elif isinstance(event, ScalarEvent):
            self.put(self.without_tag(event, self.scalar(event)))
        elif isinstance(event, AliasEvent):
            self.add_error(f"aliases are refused: write out what *{event.anchor} stands for")
            self.put(_REFUSED)
        elif isinstance(event, MappingStartEvent | SequenceStartEvent):
            self.open(event, {} if isinstance(event, MappingStartEvent) else [])
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            self.stack.pop()

    def add_error(self, message: str) -> None:
        self.errors.append(SourceError(self.position, message))

    def scalar(self, event: ScalarEvent) -> Any:
        if any("\ud800" <= character <= "\udfff" for character in event.value):
            self.add_error("expected text, found half of a surrogate pair")
            return _REFUSED
        if not event.implicit[0]:
            return event.value
        try:
            return _scalar(event.value)
        except ValueError as error:
            self.add_error(str(error))
            return _REFUSED

    def open(self, event: MappingStartEvent | SequenceStartEvent, container: dict[str, Any] | list[Any]) -> None:
        if len(self.stack) == MAX_DEPTH:
            raise self.syntax_error(self.position, f"expected at most {MAX_DEPTH} levels of nesting")
        path = self.put(self.without_tag(event, container))
        self.stack.append(_Frame(container, path or (), attached=path is not None))

    def without_tag(self, event: ScalarEvent | MappingStartEvent | SequenceStartEvent, value: Any) -> Any:
        if event.anchor is not None:
            self.add_error(f"anchors are refused: write the value out where &{event.anchor} is used")
        if event.tag is None:
            return value
        self.add_error(f"tags are refused: {event.tag} would make something of the value; write plain data")
        return _REFUSED if isinstance(event, ScalarEvent) else value

    def put(self, value: Any) -> Path | None:
        """Add `value` to the open container; return its path, None where it is not part of the document."""
        if not self.stack:
            self.data = None if value is _REFUSED else value
            return self.record((), value)
        frame = self.stack[-1]
        if isinstance(frame.container, list):
            path = (*frame.path, len(frame.container))
            frame.container.append(None if value is _REFUSED else value)
            return self.record(path, value) if frame.attached else None
        if frame.key is None:
            frame.key = self.key(frame, value)
            return None
        key, frame.key = frame.key, None
        if key is _REFUSED:
            return None
        frame.container[key] = None if value is _REFUSED else value
        return self.record((*frame.path, key), value) if frame.attached else None

    def record(self, path: Path, value: Any) -> Path:
        self.values[path] = self.position
        if value is _REFUSED:
            self.replaced_paths.add(path)
        return path

    def key(self, frame: _Frame, value: Any) -> Any:
        """Return the key of the next value, `_REFUSED` where that value is left out."""
        if type(value) is not str:
            description = "something else" if value is _REFUSED or isinstance(value, dict | list) else repr(value)
            self.add_error(f"expected text as a key, found {description}; put quotes around it if it is meant as text")
            return _REFUSED
        path = (*frame.path, value)
        if value in frame.container:
            first_position = self.keys.get(path)
            elsewhere = f"; it stands in line {first_position.line} already" if first_position else ""
            self.add_error(f"duplicate key {value!r}{elsewhere}")
            return _REFUSED
        if frame.attached:
            self.keys[path] = self.position
        return value
