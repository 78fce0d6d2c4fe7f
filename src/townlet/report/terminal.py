"""The only module that writes to the terminal: results on stdout, progress, warnings and errors on stderr."""

import json
import sys
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

__all__ = ["complain", "errors", "show", "show_json", "show_plain", "warn"]

errors = Console(stderr=True, highlight=False, soft_wrap=True)
"""The console on stderr."""


def show(result: RenderableType | str) -> None:
    """Write a table or text to stdout; text is written without markup."""
    console = Console(highlight=False, soft_wrap=isinstance(result, str))
    if not console.is_terminal:
        console.width = 160  # a file or a pipe has no screen to fold a table to
    console.print(Text(result) if isinstance(result, str) else result)


def show_json(value: Any) -> None:
    """Write one JSON document, and nothing else, to stdout."""
    sys.stdout.write(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def show_plain(text: str) -> None:
    """Write text to stdout as it is, so that it can be redirected to a file."""
    sys.stdout.write(text)


def complain(message: str) -> None:
    """Write an error message to stderr."""
    errors.print(Text.assemble(("error: ", "bold red"), message))


def warn(message: str) -> None:
    """Write a warning to stderr."""
    errors.print(f"warning: {message}", markup=False)
