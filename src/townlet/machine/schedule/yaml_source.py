"""YAML 1.2 as plain data, with the place of every key and value; nothing is ever constructed or imported."""

import re
from collections.abc import Mapping
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

__all__ = ["Document", "Position", "SourceError", "SyntaxMistakeError", "read"]

MAX_BYTES = 2**20
MAX_DEPTH = 32
MAX_NUMBER = 64

Path = tuple[str | int, ...]

_LINE_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DECIMAL = re.compile(r"[-+]?[0-9]+", re.ASCII)
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.ASCII)
_DROPPED = object()


@frozen(order=True)
class Position:
    """Where something stands, both counted from 1."""

    line: int
    """Line."""
    column: int
    """Character in the line."""


@frozen(order=True)
class SourceError:
    """Something that is wrong, and where."""

    place: Position
    """Line and column."""
    message: str
    """What was found, what was expected, what to do."""


class SyntaxMistakeError(Exception):
    """Text that cannot be read as YAML at all; it comes alone."""

    def __init__(self, place: Position, message: str, lines: tuple[str, ...]) -> None:
        super().__init__(message)
        self.mistake = SourceError(place, message)
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
    mistakes: tuple[SourceError, ...]
    """What a schedule may not contain: duplicate keys, anchors, tags, keys that are no text."""
    broken: frozenset[Path]
    """Paths whose value was replaced because of such a mistake; what is said of them elsewhere is noise."""

    def locate(self, problem: Problem) -> SourceError | None:
        """Return the problem with its place, that of the nearest thing present; None where it is mere noise."""
        path = problem.path
        if any(path[:length] in self.broken for length in range(len(path) + 1)):
            return None
        key = problem.key
        while path not in self.values:
            path, key = path[:-1], True
        return SourceError(self._place(path, key), problem.message)

    def _place(self, path: Path, key: bool) -> Position:
        value = self.values[path]
        at_key = self.keys.get(path, value)
        # A block mapping begins on the line of its first entry: its key says better which one is meant.
        return at_key if key or value.line != at_key.line else value


def read(source: bytes) -> Document:
    """Return the one YAML 1.2 document in `source`; SyntaxMistakeError where there is none to return."""
    text = _decode(source)
    tree = _Tree(lines=tuple(_LINE_BREAK.split(text)))
    events = YAML(typ="safe", pure=True).parse(text)
    try:
        for event in events:
            tree.take(event)
    except ReaderError as error:
        raise tree.refusal(_place_of(text, error.position), f"unprintable character U+{error.character:04X}") from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Position(1, 1) if mark is None else Position(mark.line + 1, mark.column + 1)
        raise tree.refusal(place, _sentence(error)) from error
    except (YAMLError, OverflowError, ValueError) as error:
        # The scanner turns escapes such as "\UFFFFFFFF" into characters without checking that they exist.
        raise tree.refusal(tree.here, f"not YAML: {error}") from error
    finally:
        events.close()
    return tree.document()


def _sentence(error: MarkedYAMLError) -> str:
    told = ", ".join(str(part).replace("\x00", "the end") for part in (error.context, error.problem) if part)
    hint = "; inside {…} a value with brackets stands in quotes" if "but got '['" in told else ""
    return f"not YAML: {told}{hint}"


def _decode(source: bytes) -> str:
    if len(source) > MAX_BYTES:
        raise SyntaxMistakeError(Position(1, 1), f"expected at most {MAX_BYTES} bytes, found {len(source)}", ())
    try:
        return source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = source[: error.start].decode("utf-8", "replace")
        message = f"expected text in UTF-8, found byte 0x{source[error.start]:02x}"
        raise SyntaxMistakeError(_place_of(before, len(before)), message, tuple(_LINE_BREAK.split(before))) from error


def _place_of(text: str, position: int) -> Position:
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
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _DECIMAL.fullmatch(text):
        return int(text)
    return float(text.replace(".", "", 1) if _SPECIAL.fullmatch(text) else text)


@define
class _Frame:
    """A container that is still open."""

    container: dict[str, Any] | list[Any]
    path: Path
    kept: bool
    key: Any = None


@define
class _Tree:
    """Grows plain data from events, one at a time and without recursion."""

    lines: tuple[str, ...]
    here: Position = Position(1, 1)
    data: Any = _DROPPED
    stack: list[_Frame] = field(factory=list)
    keys: dict[Path, Position] = field(factory=dict)
    values: dict[Path, Position] = field(factory=dict)
    mistakes: list[SourceError] = field(factory=list)
    broken: set[Path] = field(factory=set)

    def refusal(self, place: Position, message: str) -> SyntaxMistakeError:
        return SyntaxMistakeError(place, message, self.lines)

    def document(self) -> Document:
        if self.data is _DROPPED:
            raise self.refusal(Position(1, 1), "expected a schedule, found an empty file")
        return Document(
            data=self.data,
            lines=self.lines,
            keys=self.keys,
            values=self.values,
            mistakes=tuple(self.mistakes),
            broken=frozenset(self.broken),
        )

    def take(self, event: Event) -> None:
        self.here = Position(event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, DocumentStartEvent):
            if self.data is not _DROPPED:
                raise self.refusal(self.here, "expected one document, found a second")
            if event.version is not None and tuple(event.version) != (1, 2):
                raise self.refusal(self.here, "expected YAML 1.2, found a %YAML directive for another version")
        elif isinstance(event, ScalarEvent):
            self.put(self.plain(event, self.scalar(event)))
        elif isinstance(event, AliasEvent):
            self.wrong(f"aliases are refused: write out what *{event.anchor} stands for")
            self.put(_DROPPED)
        elif isinstance(event, MappingStartEvent | SequenceStartEvent):
            self.open(event, {} if isinstance(event, MappingStartEvent) else [])
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            self.stack.pop()

    def wrong(self, message: str) -> None:
        self.mistakes.append(SourceError(self.here, message))

    def scalar(self, event: ScalarEvent) -> Any:
        if any("\ud800" <= character <= "\udfff" for character in event.value):
            self.wrong("expected text, found half of a surrogate pair")
            return _DROPPED
        if not event.implicit[0]:
            return event.value
        try:
            return _scalar(event.value)
        except ValueError as error:
            self.wrong(str(error))
            return _DROPPED

    def open(self, event: MappingStartEvent | SequenceStartEvent, container: dict[str, Any] | list[Any]) -> None:
        if len(self.stack) == MAX_DEPTH:
            raise self.refusal(self.here, f"expected at most {MAX_DEPTH} levels of nesting")
        path = self.put(self.plain(event, container))
        self.stack.append(_Frame(container, path or (), kept=path is not None))

    def plain(self, event: ScalarEvent | MappingStartEvent | SequenceStartEvent, value: Any) -> Any:
        if event.anchor is not None:
            self.wrong(f"anchors are refused: write the value out where &{event.anchor} is used")
        if event.tag is None:
            return value
        self.wrong(f"tags are refused: {event.tag} would make something of the value; write plain data")
        return _DROPPED if isinstance(event, ScalarEvent) else value

    def put(self, value: Any) -> Path | None:
        """Set `value` at the place that is next; return its path, None where it is not kept."""
        if not self.stack:
            self.data = None if value is _DROPPED else value
            return self.settle((), value)
        frame = self.stack[-1]
        if isinstance(frame.container, list):
            path = (*frame.path, len(frame.container))
            frame.container.append(None if value is _DROPPED else value)
            return self.settle(path, value) if frame.kept else None
        if frame.key is None:
            frame.key = self.key(frame, value)
            return None
        key, frame.key = frame.key, None
        if key is _DROPPED:
            return None
        frame.container[key] = None if value is _DROPPED else value
        return self.settle((*frame.path, key), value) if frame.kept else None

    def settle(self, path: Path, value: Any) -> Path:
        self.values[path] = self.here
        if value is _DROPPED:
            self.broken.add(path)
        return path

    def key(self, frame: _Frame, value: Any) -> Any:
        """Return the key that the next value belongs to, `_DROPPED` where that value is to be thrown away."""
        if type(value) is not str:
            shown = "something else" if value is _DROPPED or isinstance(value, dict | list) else repr(value)
            self.wrong(f"expected text as a key, found {shown}; put quotes around it if it is meant as text")
            return _DROPPED
        path = (*frame.path, value)
        if value in frame.container:
            first = self.keys.get(path)
            seen = f"; it stands in line {first.line} already" if first else ""
            self.wrong(f"duplicate key {value!r}{seen}")
            return _DROPPED
        if frame.kept:
            self.keys[path] = self.here
        return value
