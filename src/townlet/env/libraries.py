"""Libraries that only some adapters need."""

from collections.abc import Iterator
from contextlib import contextmanager

from townlet.errors import BadInputError

__all__ = ["MissingLibraryError", "needed"]


class MissingLibraryError(BadInputError, ImportError):
    """A library that an interface needs is not installed; the message names the extra that brings it."""


@contextmanager
def needed(*libraries: str, extra: str) -> Iterator[None]:
    """Raise MissingLibraryError, which names the extra, where any of the libraries imported inside is missing."""
    try:
        yield
    except ModuleNotFoundError as missing:
        library = (missing.name or "").partition(".")[0]
        if library not in libraries:
            raise
        raise MissingLibraryError(
            f"this interface needs {library}, which is not installed; install it with: pip install 'townlet[{extra}]'"
        ) from missing
