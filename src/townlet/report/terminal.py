"""The only place that writes to the terminal: answers on stdout, progress and complaints on stderr."""

import json
import sys
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

__all__ = ["complain", "errors", "show", "show_json"]

errors = Console(stderr=True, highlight=False, soft_wrap=True)
"""Progress and complaints."""


def show(what: RenderableType | str) -> None:
    """Write an answer to stdout; plain text is written as it is."""
    console = Console(highlight=False, soft_wrap=isinstance(what, str))
    if not console.is_terminal:
        console.width = 160  # a table in a file or a pipe should not be folded to a screen that is not there
    console.print(Text(what) if isinstance(what, str) else what)


def show_json(value: Any) -> None:
    """Write one JSON document, and nothing else, to stdout."""
    sys.stdout.write(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def complain(message: str) -> None:
    """Write one complaint to stderr."""
    errors.print(Text.assemble(("error: ", "bold red"), message))
