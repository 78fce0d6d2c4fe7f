"""What the command line does where the system refuses: a path that cannot be used, a stream that is closed or full."""

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from townlet.errors import BadInputError, ResourceFaultError, TownletError

__all__ = ["check_words", "close_output", "open_missing_streams", "refusal_of"]

_RESOURCES = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}
)
"""Errors of the machine and not of the word that was typed."""
_LONGEST_WORD = 4096
"""Bytes of a word of the command line that could still be a path (Linux's PATH_MAX)."""


def check_words(words: Sequence[str]) -> None:
    """Raise BadInputError for a word that no path, name or reason can be."""
    for position, word in enumerate(words, 1):
        if "\0" in word:
            raise BadInputError(f"word {position} of the command, {word[:40]!r}, holds a NUL byte; remove it")
        try:
            size = len(word.encode())
        except UnicodeEncodeError:
            raise BadInputError(
                f"word {position} of the command, {word[:40]!r}, is not UTF-8; rename the file, or fix the locale"
            ) from None
        if size > _LONGEST_WORD:
            raise BadInputError(
                f"word {position} of the command, {word[:40]!r}…, has {size:,} bytes; "
                f"expected at most {_LONGEST_WORD:,}"
            )


def refusal_of(error: Exception) -> tuple[str, int]:
    """Return an expected error as one sentence, its notes behind it, and the exit code of its family."""
    if isinstance(error, TownletError):
        return "; ".join([str(error), *getattr(error, "__notes__", ())]), error.exit_code
    if isinstance(error, MemoryError):
        sentence = "the memory is exhausted; free some, or raise the limit, and run the command again"
        return sentence, ResourceFaultError.exit_code
    if isinstance(error, OSError):
        return _refusal_of_system(error)
    if isinstance(error, UnicodeEncodeError):
        sentence = f"{error.object[:99]!r} cannot be written in the encoding {error.encoding} of this locale"
        return f"{sentence}; use a UTF-8 locale, such as C.UTF-8", BadInputError.exit_code
    return str(error), BadInputError.exit_code


def _refusal_of_system(error: OSError) -> tuple[str, int]:
    if error.filename is None and isinstance(error, FileNotFoundError) and not _has_working_directory():
        return "the working directory was removed; change to one that exists", BadInputError.exit_code
    reason = error.strerror or str(error) or type(error).__name__
    place = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    if error.errno in _RESOURCES:
        return f"{place}{reason}; free what is exhausted, then give the command again", ResourceFaultError.exit_code
    return f"{place}{reason}; expected a path that this user may use, name another", BadInputError.exit_code


def _has_working_directory() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


def open_missing_streams() -> None:
    """Open /dev/null in place of a closed stdin, stdout or stderr.

    The next file to be opened would take the free descriptor, and what is meant for the terminal would be written into
    it: into the journal, say.
    """
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, closefd=False))  # noqa: SIM115 - lives with the process


def close_output() -> None:
    """Flush stdout and stderr a last time; what a closed or full one still holds is dropped without a message."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                nothing = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nothing, stream.fileno())
                os.close(nothing)
