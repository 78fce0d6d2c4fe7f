"""Amounts that carry their unit in text: durations, bytes and percentages. A bare number is refused."""

import re
from decimal import Decimal
from operator import index
from typing import Any, NewType

from townlet.errors import BadInputError

__all__ = [
    "Bytes",
    "Duration",
    "Percent",
    "format_bytes",
    "format_duration",
    "format_percent",
    "parse_bytes",
    "parse_duration",
    "parse_percent",
    "whole_number",
]

Duration = NewType("Duration", float)
"""Seconds; written ``90s``, ``45min``, ``2h``, ``3d``."""
Bytes = NewType("Bytes", int)
"""Bytes; written ``512MiB``, ``20GiB``."""
Percent = NewType("Percent", float)
"""A fraction; written ``10%``."""

_SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "min": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
_BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "kB": 10**3, "MB": 10**6, "GB": 10**9}
_AMOUNT = re.compile(r"(\d{1,15}(?:\.\d{1,40})?)\s*([A-Za-z%]+)", re.ASCII)


def _parse(value: object, units: dict[str, Decimal], kind: str, example: str) -> Decimal:
    match = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[2] not in units:
        raise ValueError(f"expected {kind} with its unit ({', '.join(units)}), such as {example}; found {value!r}")
    return Decimal(match[1]) * units[match[2]]


def parse_duration(value: object) -> Duration:
    """Return the seconds of a text such as ``45min``; ValueError for anything else."""
    return Duration(float(_parse(value, _SECONDS, "a duration", "45min")))


def parse_bytes(value: object) -> Bytes:
    """Return the bytes of a text such as ``20GiB``; ValueError for anything else."""
    return Bytes(int(_parse(value, {k: Decimal(v) for k, v in _BYTES.items()}, "a size", "20GiB")))


def parse_percent(value: object) -> Percent:
    """Return the fraction of a text such as ``10%``; ValueError for anything else."""
    return Percent(float(_parse(value, {"%": Decimal(1)}, "a percentage", "10%") / 100))


def format_duration(value: Duration) -> str:
    """Return a duration in seconds, exactly as `parse_duration` reads it."""
    return f"{Decimal(repr(float(value))):f}s"


def format_bytes(value: Bytes) -> str:
    """Return a size in bytes, exactly as `parse_bytes` reads it."""
    return f"{int(value)}B"


def format_percent(value: Percent) -> str:
    """Return a fraction as a percentage, exactly as `parse_percent` reads it."""
    return f"{Decimal(repr(float(value))) * 100:f}%"


def whole_number(value: Any, what: str) -> int:
    """Return a whole number, Python's or numpy's, as int; BadInputError for floats, texts and bools, naming `what`."""
    try:
        if not isinstance(value, bool):
            return index(value)
    except TypeError:
        pass
    raise BadInputError(f"{what} is {value!r} ({type(value).__name__}), expected a whole number")
