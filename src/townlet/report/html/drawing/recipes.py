"""Drawings of several recipes: their learning curves in one panel, their intervals below each other."""

import math
from collections.abc import Sequence

from attrs import frozen
from markupsafe import Markup

from townlet.numerals import number
from townlet.report.html.drawing.curves import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, axes, paths
from townlet.report.html.drawing.svg import Scale, drawing, element, ticks
from townlet.report.run_curves import Curve

__all__ = ["COLOURS", "IntervalRow", "interval_drawing", "overlay_panel"]

COLOURS = 6
"""Colours and dashes of recipes; the seventh has those of the first."""
_POINTS = 3000
"""Points of all curves of a panel together, so that a page of many runs stays small."""
_LEAST_PLACES = 30
_NAME = 128.0
_LONGEST = 18


@frozen(kw_only=True)
class IntervalRow:
    """A value with its interval."""

    name: str
    """What stands before it; empty for none."""
    recipe: int
    """Which recipe, from 0."""
    value: float
    """The value."""
    low: float | None = None
    """Lower end of the interval; None where there is none."""
    high: float | None = None
    """Upper end."""
    limit: float | None = None
    """A limit of its own."""
    dots: tuple[float, ...] = ()
    """Further values that belong to it: those of its runs."""


def overlay_panel(name: str, curves: Sequence[tuple[int, Curve]]) -> Markup:
    """Return curves in one panel, each with the number of its recipe; empty where none has a finite point."""
    shown = [(recipe, curve) for recipe, curve in curves if any(map(math.isfinite, curve.y))]
    if not shown:
        return Markup()
    ends = [x for _, curve in shown for x in (curve.x[0], curve.x[-1])]
    across = Scale(min(0.0, *ends), max(*ends, 1e-9), LEFT, RIGHT)
    up = Scale.around([y for _, curve in shown for y in curve.y if math.isfinite(y)], BOTTOM, TOP)
    parts = list(axes(across, up, shown[0][1].x_name, shown[0][1].unit))
    places = max(_POINTS // (2 * len(shown)), _LEAST_PLACES)
    for recipe, curve in shown:
        for path in paths(curve, across, up, places):
            colour = f"recipe-{recipe % COLOURS}"
            if " L" in path:
                parts.append(element("path", d=path, class_=f"line {colour}"))
            else:  # a single point
                x, y = map(float, path[1:].split())
                parts.append(element("circle", cx=x, cy=y, r=3, class_=f"dot {colour}"))
    title = f"{name} over {shown[0][1].x_name}: {len(shown)} runs"
    return drawing(WIDTH, HEIGHT, *parts, title=title, css="panel")


def interval_drawing(title: str, rows: Sequence[IntervalRow], *, at: float | None = None) -> Markup:
    """Return rows of values with intervals on one scale, with a line `at` a value that matters; empty for no rows."""
    if not rows:
        return Markup()
    numbers = [at] if at is not None else []
    for row in rows:
        numbers += [each for each in (row.value, row.low, row.high, row.limit, *row.dots) if each is not None]
    named = any(row.name for row in rows)
    tall = 20.0 if len(rows) <= 6 else 13.0
    left, bottom = _NAME if named else 8.0, 6 + tall * len(rows)
    across = Scale.around(numbers, left, WIDTH - 8)
    parts = []
    for value, text in ticks(across.low, across.high):
        x = across(value)
        parts.append(element("line", x1=x, x2=x, y1=4, y2=bottom, class_="grid"))
        parts.append(element("text", text, x=x, y=bottom + 14, text_anchor="middle", class_="quiet"))
    if at is not None:
        parts.append(element("line", x1=across(at), x2=across(at), y1=4, y2=bottom, class_="limit"))
    parts += [_row(row, 4 + tall * index + tall / 2, across, left) for index, row in enumerate(rows)]
    words = "; ".join(
        f"{row.name} {number(row.value)}{_interval(row)}{'' if row.limit is None else f', limit {number(row.limit)}'}"
        for row in rows[:40]
    )
    return drawing(WIDTH, bottom + 20, *parts, title=f"{title}: {words}", css="intervals")


def _interval(row: IntervalRow) -> str:
    return "" if row.low is None or row.high is None else f" from {number(row.low)} to {number(row.high)}"


def _row(row: IntervalRow, y: float, across: Scale, left: float) -> Markup:
    colour, parts = f"recipe-{row.recipe % COLOURS}", []
    if row.name:
        shown = row.name if len(row.name) <= _LONGEST else f"{row.name[: _LONGEST - 1]}…"
        parts.append(element("text", shown, x=left - 10, y=y + 4, text_anchor="end"))
    if row.low is not None or row.high is not None:
        ends = [across(row.value if end is None else end) for end in (row.low, row.high)]
        parts.append(element("line", x1=ends[0], x2=ends[1], y1=y, y2=y, class_=f"span {colour}"))
    parts += [element("circle", cx=across(dot), cy=y, r=2.2, class_=f"ring {colour}") for dot in row.dots]
    if row.limit is not None:
        parts.append(element("line", x1=across(row.limit), x2=across(row.limit), y1=y - 6, y2=y + 6, class_="limit"))
    parts.append(element("circle", cx=across(row.value), cy=y, r=4, class_=f"dot {colour}"))
    return element("g", element("title", f"{row.name} {number(row.value)}{_interval(row)}"), *parts)
