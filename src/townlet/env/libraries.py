"""Libraries that only some adapters need."""

from collections.abc import Iterator
from contextlib import contextmanager

from townlet.errors import BadInputError

__all__ = ["needed"]


@contextmanager
def needed(library: str, *, extra: str) -> Iterator[None]:
    """Tell which extra to install, by BadInputError, where a library that is imported inside is missing."""
    try:
        yield
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] != library:
            raise
        raise BadInputError(
            f"this interface needs {library}, which is not installed; install it with: pip install 'townlet[{extra}]'"
        ) from missing
