"""The timeline of a run: one bar for each attempt of a visit, on a clock that skips the time it waited for people."""

from collections.abc import Sequence

from markupsafe import Markup

from townlet.machine.audit.timeline import TimelineSpan
from townlet.numerals import time_words
from townlet.report.html.drawing.svg import drawing, element

__all__ = ["timeline_drawing"]

_WIDTH, _LEFT, _ROW = 640.0, 128.0, 22.0
_WAIT, _LEAST = 14.0, 2.5
"""Places for a wait, however long it was; and the least width of a bar."""
_LONGEST = 17
_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200)
"""Seconds between two numbers of the clock; more than the last in days."""
_MOST_TICKS, _APART = 6, 60.0
"""Numbers of the clock, and the least distance between two of them."""


def timeline_drawing(spans: Sequence[TimelineSpan]) -> Markup:
    """Return the drawing, one row for each state; empty where nothing began."""
    names = list(dict.fromkeys(span.state for span in spans))
    if not names:
        return Markup()
    worked = sum(span.seconds for span in spans if span.kind == "work")
    waits = sum(span.kind == "wait" for span in spans)
    scale = max(_WIDTH - _LEFT - 8 - _WAIT * waits, 80.0) / max(worked, 1e-9)
    height = _ROW * len(names) + 30
    parts = [_row(name, index) for index, name in enumerate(names)]
    now, since, clock, free = _LEFT, 0.0, _clock(worked), 0.0
    for span in spans:
        width = _WAIT if span.kind == "wait" else span.seconds * scale
        parts.append(_bar(span, now, max(width, _LEAST), names.index(span.state)))
        if span.kind == "work":
            while clock and clock[0] <= since + span.seconds:
                at, seconds = now + (clock[0] - since) * scale, clock.pop(0)
                if at >= free:
                    parts.append(_tick(at, seconds, height))
                    free = at + _APART
            since += span.seconds
        now += width
    summary = "; ".join(f"{span.state} {span.visit or ''} {span.ending}".replace("  ", " ") for span in spans[:40])
    return drawing(_WIDTH, height, *parts, title=f"Timeline: {summary}.", css="timeline")


def _clock(worked: float) -> list[float]:
    """Return the seconds of work that the clock names, from 0."""
    days = 86400.0 * max(1, -(-worked // (86400 * _MOST_TICKS)))
    step = next((each for each in _STEPS if worked <= each * _MOST_TICKS), days)
    return [step * n for n in range(int(worked / step) + 1)]


def _row(name: str, index: int) -> Markup:
    shown = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    y = 6 + _ROW * index
    return element(
        "g",
        element("line", x1=_LEFT, x2=_WIDTH - 8, y1=y + _ROW - 3, y2=y + _ROW - 3, class_="grid"),
        element("text", shown, x=_LEFT - 8, y=y + 13, text_anchor="end"),
    )


def _bar(span: TimelineSpan, x: float, width: float, row: int) -> Markup:
    y = 6 + _ROW * row
    crossed = Markup()
    if span.ending in ("crashed", "retried"):
        at, middle = x + width, y + 8
        crossed = element(
            "path",
            d=f"M{at - 5:.1f} {middle - 5:g} l10 10 m0 -10 l-10 10",
            class_="crash",
        )
    what = f"{span.state} {span.visit or ''} {span.ending}".replace("  ", " ")
    kind = "wait" if span.kind == "wait" else span.ending
    bar = element("rect", x=x, y=y, width=width, height=16, class_=f"span is-{kind}")
    return element("g", element("title", f"{what}, {time_words(span.seconds)}"), bar, crossed)


def _tick(x: float, seconds: float, height: float) -> Markup:
    text = time_words(seconds) if seconds else "start"
    return element("text", text, x=x, y=height - 6, text_anchor="middle", class_="quiet")
