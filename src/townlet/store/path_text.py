"""Write the paths in files so that they mean the same file in every locale.

Linux's names are bytes, which nearly always are UTF-8. In a locale that is not UTF-8, Python's text of such a path
differs from the text that stands in a schedule, a manifest or a ``run.json``.
"""

import os
from pathlib import Path

__all__ = ["local_path", "stored_text"]


def stored_text(path: Path) -> str:
    """Return the text of a path that is written into a file, whatever this process's locale is."""
    return os.fsencode(path).decode("utf-8", "surrogateescape")


def local_path(text: str) -> Path:
    """Return the path that a file's text means in this process's locale.

    >>> local_path(stored_text(Path("größe/run"))) == Path("größe/run")
    True
    """
    try:
        return Path(os.fsdecode(text.encode("utf-8", "surrogateescape")))
    except UnicodeEncodeError:  # half of a surrogate pair: no name of a file anywhere
        return Path(text.encode("utf-8", "backslashreplace").decode())
