"""Numbers as people write them: ``22,118`` and ``0.0011``, no exponent where it can be helped, no ``-0``.

>>> [number(x) for x in (22118.0, 0.0011234, -0.0, 2212000, 1.075, 5.6e-17, None)]
['22,118', '0.001123', '0', '2,212,000', '1.075', '5.6e-17', '']
>>> plain_numbers("agent_steps 2.212e+04, limit -0")
'agent_steps 22,120, limit 0'
"""

import math
import re

__all__ = [
    "age",
    "duration",
    "edge_number",
    "number",
    "plain_numbers",
    "plain_reason",
    "size",
    "time_words",
    "unit_label",
    "unit_words",
]

_EXPONENT = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?e[+-]\d+(?![\w.])|(?<![\w.])-0(?![\w.])")
_EDGE = re.compile(r"\bedge (\d+)(?= of \S+ \(to )", re.ASCII)
"""How the journal names an edge."""
_SMALLEST = 1e-6
"""Numbers nearer to zero keep their exponent: nobody counts six zeros."""


def number(value: float | None) -> str:
    """Return a number with four significant digits, all of them for whole numbers; nothing for None."""
    if value is None:
        return ""
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size == 0:
        return "0"
    if value == int(value) or size >= 1000:
        return f"{round(value):,}" if size < 1e15 else f"{value:.4g}"
    if size < _SMALLEST:
        return f"{value:.2g}"
    decimals = 3 - math.floor(math.log10(size))
    return f"{value:.{decimals}f}".rstrip("0").rstrip(".")


def plain_numbers(sentence: str) -> str:
    """Return a sentence of the journal with its numbers as people write them; the journal itself is not changed."""
    return _EXPONENT.sub(lambda match: number(float(match.group())), sentence)


def edge_number(index: int) -> int:
    """Return the number of an edge among those of its state for people, who count from 1; journals count from 0."""
    return index + 1


def plain_reason(why: str) -> str:
    """Return the reason of a transition, as the journal has it, with numbers and edges as people count them.

    >>> plain_reason("edge 1 of evaluate (to promote) waits for an approval")
    'edge 2 of evaluate (to promote) waits for an approval'
    """
    return _EDGE.sub(lambda match: f"edge {edge_number(int(match[1]))}", plain_numbers(why))


def unit_words(unit: str) -> str:
    """Return a unit as people say it; nothing for a number without one.

    >>> unit_words("1/agent-day"), unit_words("ticks/agent-day"), unit_words("share"), unit_words("nat")
    ('per agent-day', 'ticks per agent-day', '', 'nat')
    """
    counted, _, exposure = unit.partition("/")
    return " ".join(
        filter(None, ("" if counted in ("1", "share", "fraction") else counted, exposure and f"per {exposure}"))
    )


def unit_label(unit: str) -> str:
    """Return a unit as a table shows it: a share is called one, and a number without a unit has none.

    >>> unit_label("1/agent-day"), unit_label("share"), unit_label("1")
    ('per agent-day', 'share', '')
    """
    return unit if unit in ("share", "fraction") else unit_words(unit)


def duration(seconds: float) -> str:
    """Return a length of time, such as ``0:42`` or ``2:03:04``.

    >>> duration(42.4), duration(7384)
    ('0:42', '2:03:04')
    """
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def time_words(seconds: float) -> str:
    """Return a length of time in words.

    >>> time_words(3.21), time_words(60), time_words(83.0), time_words(7200), time_words(7384.0)
    ('3.2 s', '1 min', '1 min 23 s', '2 h', '2 h 3 min')
    """
    if seconds < 60:
        return f"{number(round(seconds, 1))} s"
    whole = round(seconds)
    parts = (
        ((whole // 60, "min"), (whole % 60, "s")) if whole < 3600 else ((whole // 3600, "h"), (whole // 60 % 60, "min"))
    )
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


def age(seconds: float) -> str:
    """Return how long ago something was, in the largest unit that fits.

    >>> age(3), age(200), age(7384), age(3 * 86400), age(-1)
    ('3 s', '3 min', '2 h', '3 d', '0 s')
    """
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


def size(count: int) -> str:
    """Return a number of bytes in the largest unit that fits.

    >>> size(900), size(8 * 1024), size(27_262_976)
    ('900 B', '8 KiB', '26 MiB')
    """
    for unit, length in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= length:
            return f"{count / length:.3g} {unit}"
    return f"{count} B"
