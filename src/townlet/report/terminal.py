"""The only module that writes to the terminal: results on stdout, progress, warnings and errors on stderr.

Every text is escaped here (`printable`), and no text is read as markup: names and reasons come from people and files.
Writing never raises: a reader that is gone, a full disk or a closed stream must not end what is shown. What was lost is
told by `lost_results`.
"""

import errno
import json
import sys
from typing import Any, Literal

from rich.console import Console, ConsoleDimensions, RenderableType
from rich.text import Text

from townlet.escapes import printable
from townlet.report.layout import Grid

__all__ = [
    "Stream",
    "Terminal",
    "complain",
    "errors",
    "forget_losses",
    "is_output_lost",
    "lost_results",
    "output",
    "say",
    "show",
    "show_json",
    "show_plain",
    "silent",
    "styled",
    "warn",
]

_UNKNOWN_WIDTH, _UNKNOWN_HEIGHT = 80, 25
"""Columns and lines of a terminal that does not know its own."""
_PIPE_WIDTH = 160
"""Columns of a table in a file or a pipe, which have no screen."""


class Stream:
    """stdout or stderr of this process, as it is at the time of each write; a write never raises."""

    def __init__(self, name: Literal["stdout", "stderr"]) -> None:
        """Write to the stream of this name."""
        self.name = name
        self._failure: OSError | ValueError | None = None
        self._failed: object = None
        self._is_told = False

    @property
    def encoding(self) -> str:
        """Encoding of the stream."""
        return getattr(self._target(), "encoding", None) or "utf-8"

    @property
    def failure(self) -> OSError | ValueError | None:
        """Why the stream takes no more text; None while it does, and for one that was closed from the start."""
        return self._failure if self._target() is self._failed and not self._is_told else None

    def accept_failure(self) -> None:
        """Take the failure as told to the user; the stream takes no more text."""
        self._is_told = True

    def write(self, text: str) -> int:
        """Write `text`; characters that the encoding lacks become escapes."""
        target = self._target()
        if target is not None and target is not self._failed:
            encoding = self.encoding
            try:
                target.write(text.encode(encoding, "backslashreplace").decode(encoding))
            except (OSError, ValueError) as error:  # ValueError: the stream was closed in this process
                self._fail(error, target)
        return len(text)

    def flush(self) -> None:
        """Hand everything that was written to the operating system."""
        target = self._target()
        if target is not None and target is not self._failed:
            try:
                target.flush()
            except (OSError, ValueError) as error:
                self._fail(error, target)

    def isatty(self) -> bool:
        """Return whether a person reads the stream."""
        target = self._target()
        try:
            return target is not None and bool(target.isatty())
        except ValueError:  # closed
            return False

    def fileno(self) -> int:
        """Return the descriptor of the stream; OSError where it has none."""
        target = self._target()
        if target is None:
            raise OSError(errno.EBADF, f"{self.name} is closed")
        return int(target.fileno())

    def _fail(self, error: OSError | ValueError, target: object) -> None:
        self._failure, self._failed, self._is_told = error, target, False

    def _target(self) -> Any:
        stream = getattr(sys, self.name)
        return getattr(stream, "rich_proxied_file", stream)  # a live bar puts a proxy in its place, which leads here


class Terminal(Console):
    """A console that shows every text as it is: escaped, without markup, without names of emoji."""

    @property
    def size(self) -> ConsoleDimensions:
        """Columns and lines; a terminal that says it has none, as one does whose size nobody set, counts as usual."""
        width, height = super().size
        return ConsoleDimensions(width or _UNKNOWN_WIDTH, height or _UNKNOWN_HEIGHT)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size

    def render_str(self, text: str, **options: Any) -> Text:
        """Return `text`, escaped."""
        return super().render_str(printable(text), **{**options, "markup": False, "emoji": False})


_stdout = Stream("stdout")
errors = Terminal(
    file=Stream("stderr"),  # type: ignore[arg-type]
    stderr=True,
    highlight=False,
    soft_wrap=True,
    force_jupyter=False,  # else rich would write HTML where this module is imported in a notebook
)
"""The console on stderr."""
silent = Terminal(quiet=True, force_jupyter=False)
"""A console that shows nothing."""


def styled(*parts: str | tuple[str, str]) -> Text:
    """Return a line made of texts, and of (text, style) pairs; every text is escaped."""
    return Text.assemble(*(printable(p) if isinstance(p, str) else (printable(p[0]), p[1]) for p in parts))


def output(*, least_width: int = 1, soft_wrap: bool = False) -> Terminal:
    """Return a console on stdout that writes lines of `least_width` columns also where the terminal is narrower.

    With `soft_wrap` a line that is too long is left to the terminal, and is whole in a pipe.
    """
    console = Terminal(file=_stdout, highlight=False, force_jupyter=False, soft_wrap=soft_wrap)  # type: ignore[arg-type]
    console.width = max(console.width, least_width)
    return console


def show(result: RenderableType | str, *, wide: bool = False) -> None:
    """Write a table or text to stdout; `wide` gives a table all the columns that it can use."""
    console = output()
    if isinstance(result, Grid) and wide:
        console.width = max(result.natural_width, console.width)
    elif not console.is_terminal:
        console.width = _PIPE_WIDTH
    console.print(result, soft_wrap=isinstance(result, str))


def show_json(value: Any) -> None:
    """Write one JSON document, and nothing else, to stdout."""
    show_plain(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def show_plain(text: str) -> None:
    """Write text to stdout without folding, so that it can be redirected to a file."""
    _stdout.write(printable(text))
    _stdout.flush()


def complain(message: str) -> None:
    """Write an error message to stderr."""
    errors.print(styled(("error: ", "bold red"), message))


def warn(message: str) -> None:
    """Write a warning to stderr."""
    errors.print(styled(("warning: ", "yellow"), message))


def say(message: str) -> None:
    """Write a line that is neither result nor error to stderr."""
    errors.print(styled(message))


def lost_results() -> str:
    """Return why results could not be written to stdout; empty where all were, or where the reader went away."""
    failure = _stdout.failure
    if failure is None or isinstance(failure, BrokenPipeError):
        return ""
    return getattr(failure, "strerror", None) or str(failure)


def is_output_lost() -> bool:
    """Tell whether nobody reads stdout any more, or it takes no more text for another reason."""
    return _stdout.failure is not None


def forget_losses() -> None:
    """Take the loss as told: the caller has said what it means."""
    _stdout.accept_failure()
