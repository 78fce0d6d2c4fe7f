"""Learning curves: one panel for each number that iterations report, over agent-steps, visit after visit."""

import math
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from townlet.numerals import number
from townlet.report.html.drawing.svg import Scale, drawing, element, ticks
from townlet.report.run_curves import Curve, Whisker

__all__ = [
    "BOTTOM",
    "HEIGHT",
    "LEFT",
    "RIGHT",
    "TOP",
    "WIDTH",
    "axes",
    "curve_panel",
    "curve_sketch",
    "paths",
    "unit_text",
    "whisker_panel",
]

WIDTH, HEIGHT = 460.0, 190.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 452.0, 14.0, 158.0
"""Size of a panel, and the places of its axes."""
_SKETCH_WIDTH, _SKETCH_HEIGHT, _SKETCH_PLACES = 130.0, 30.0, 40
"""Size of a curve in a table, and its places."""
_BUCKETS = 300
"""Places along a panel; of more points only the least and the largest of each place are drawn."""


def curve_panel(curve: Curve) -> Markup:
    """Return the panel of a curve; empty where it has no finite point."""
    finite = [(x, y) for x, y in zip(curve.x, curve.y, strict=True) if math.isfinite(y)]
    if not finite:
        return Markup()
    ys, bounds = [y for _, y in finite], [(x, *each) for x, each in zip(curve.x, curve.bounds, strict=False) if each]
    across = Scale(min(0.0, curve.x[0]), max(curve.x[-1], 1e-9), LEFT, RIGHT)
    # Bounds belong to differences, of which one wants to see whether they are 0.
    up = Scale.around([*ys, *(end for _, *ends in bounds for end in (0.0, *ends))], BOTTOM, TOP)
    parts = [*_bands(curve, across), *axes(across, up, curve.x_name, curve.unit)]
    parts += [element("line", x1=across(x), x2=across(x), y1=TOP, y2=BOTTOM, class_="visit") for x in curve.starts]
    if bounds:
        parts.append(element("line", x1=LEFT, x2=RIGHT, y1=up(0), y2=up(0), class_="limit"))
    for x, low, high in bounds:
        parts.append(element("line", x1=across(x), x2=across(x), y1=up(low), y2=up(high), class_="interval"))
    parts += [element("path", d=path, class_="curve") for path in paths(curve, across, up)]
    if curve.dots or len(finite) == 1:
        shown = [point for stretch in _stretches(curve, across, up) for point in stretch]
        parts += [element("circle", cx=x, cy=y, r=3, class_="value") for x, y in shown]
    title = (
        f"{curve.name} over {curve.x_name}: {len(finite)} points, first {number(ys[0])}, last {number(ys[-1])}, "
        f"least {number(min(ys))}, largest {number(max(ys))}{_last_bounds(curve)}"
    )
    return drawing(WIDTH, HEIGHT, *parts, title=title, css="panel")


def _last_bounds(curve: Curve) -> str:
    last = curve.bounds[-1] if curve.bounds else None
    return "" if last is None else f"; the last has bounds from {number(last[0])} to {number(last[1])}"


def curve_sketch(curve: Curve) -> Markup:
    """Return a curve without axes, small enough for a cell of a table; empty where it has no finite point."""
    ys = [y for y in curve.y if math.isfinite(y)]
    if not ys:
        return Markup()
    across = Scale(min(0.0, curve.x[0]), max(curve.x[-1], 1e-9), 2, _SKETCH_WIDTH - 2)
    up = Scale.around(ys, _SKETCH_HEIGHT - 2, 2)
    parts = [element("line", x1=x, x2=x, y1=0, y2=_SKETCH_HEIGHT, class_="visit") for x in map(across, curve.starts)]
    parts += [element("path", d=path, class_="curve") for path in paths(curve, across, up, _SKETCH_PLACES)]
    title = f"{curve.name} in {len(ys)} iterations: first {number(ys[0])}, last {number(ys[-1])}"
    return drawing(_SKETCH_WIDTH, _SKETCH_HEIGHT, *parts, title=title, css="sketch")


def _bands(curve: Curve, across: Scale) -> Iterator[Markup]:
    for band in curve.bands:
        start, end = across(band.start), across(band.end)
        yield element("rect", x=start, y=TOP, width=max(end - start, 1), height=BOTTOM - TOP, class_="band")


def axes(across: Scale, up: Scale, name: str, unit: str = "") -> Iterator[Markup]:
    """Yield grid, numbers, the name of the horizontal axis, and the unit of the vertical one."""
    if unit:
        yield unit_text(unit)
    for value, text in ticks(up.low, up.high):
        y = up(value)
        yield element("line", x1=LEFT, x2=RIGHT, y1=y, y2=y, class_="grid")
        yield element("text", text, x=LEFT - 6, y=y + 4, text_anchor="end", class_="quiet")
    for value, text in ticks(across.low, across.high, 5):
        x = across(value)
        anchor = "end" if x > RIGHT - 12 else "middle"
        yield element("text", text, x=x, y=BOTTOM + 15, text_anchor=anchor, class_="quiet")
    yield element("text", name, x=RIGHT, y=BOTTOM + 29, text_anchor="end", class_="quiet")
    yield element("line", x1=LEFT, x2=RIGHT, y1=BOTTOM, y2=BOTTOM, class_="axis")


def unit_text(unit: str) -> Markup:
    """Return the unit of a vertical axis, above its numbers."""
    return element("text", unit, x=4, y=TOP - 3, class_="quiet")


def paths(curve: Curve, across: Scale, up: Scale, places: int = _BUCKETS) -> Iterator[str]:
    """Yield a path for each stretch of finite points; one of many points is thinned to one path of so many places."""
    for stretch in _stretches(curve, across, up, places):
        yield "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in stretch)


def _stretches(curve: Curve, across: Scale, up: Scale, places: int = _BUCKETS) -> Iterator[list[tuple[float, float]]]:
    points = [(across(x), up(y)) for x, y in zip(curve.x, curve.y, strict=True) if math.isfinite(y)]
    if len(points) > 2 * places:
        yield _thin(points, across, places)
        return
    stretch: list[tuple[float, float]] = []
    for x, y in (*zip(curve.x, curve.y, strict=True), (0.0, math.nan)):
        if math.isfinite(y):
            stretch.append((across(x), up(y)))
        elif stretch:
            yield stretch
            stretch = []


def _thin(points: Sequence[tuple[float, float]], across: Scale, places: int) -> list[tuple[float, float]]:
    """Return the least, the largest and the last point of each place along the scale."""
    buckets: dict[int, list[tuple[float, float]]] = {}
    for point in points:
        buckets.setdefault(int((point[0] - across.start) / (across.end - across.start) * places), []).append(point)
    kept: list[tuple[float, float]] = []
    for inside in buckets.values():
        ends = {min(inside, key=lambda p: p[1]), max(inside, key=lambda p: p[1]), inside[-1]}
        kept += sorted(ends)
    return kept


def whisker_panel(name: str, whiskers: Sequence[Whisker], unit: str = "") -> Markup:
    """Return differences with their intervals side by side, and the line of no difference; empty for none."""
    if not whiskers:
        return Markup()
    up = Scale.around([0.0, *(end for each in whiskers for end in (each.low, each.high))], BOTTOM, TOP)
    across = Scale(-0.5, len(whiskers) - 0.5, LEFT, RIGHT)
    parts = [unit_text(unit)] if unit else []
    for value, text in ticks(up.low, up.high):
        parts.append(element("line", x1=LEFT, x2=RIGHT, y1=up(value), y2=up(value), class_="grid"))
        parts.append(element("text", text, x=LEFT - 6, y=up(value) + 4, text_anchor="end", class_="quiet"))
    parts.append(element("line", x1=LEFT, x2=RIGHT, y1=up(0), y2=up(0), class_="limit"))
    for index, each in enumerate(whiskers):
        x = across(index)
        parts.append(element("line", x1=x, x2=x, y1=up(each.low), y2=up(each.high), class_="interval"))
        parts.append(element("circle", cx=x, cy=up(each.middle), r=4.5, class_="value"))
        if len(whiskers) <= 6:
            parts.append(element("text", each.name, x=x, y=BOTTOM + 16, text_anchor="middle", class_="quiet"))
    listed = "; ".join(f"{w.name} {number(w.middle)} from {number(w.low)} to {number(w.high)}" for w in whiskers[:40])
    return drawing(WIDTH, HEIGHT, *parts, title=f"{name}: {listed}", css="panel")
