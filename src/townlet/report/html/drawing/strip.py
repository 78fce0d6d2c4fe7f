"""The strip of a guard: its value, the interval, the limit, and the side on which the guard passes."""

from markupsafe import Markup

from townlet.dto.guards import GuardReport
from townlet.numerals import number
from townlet.report.guard_numbers import Amount
from townlet.report.html.drawing.svg import Scale, drawing, element
from townlet.report.verdicts import shown_bounds

__all__ = ["guard_strip"]

_WIDTH, _HEIGHT, _MIDDLE = 260.0, 48.0, 16.0
_LABEL = 150.0
"""Room that the label of the limit takes."""


def guard_strip(report: GuardReport, *, passes_above: bool | None, amount: Amount = number) -> Markup:
    """Return the strip of a report; empty where it has no value or no limit.

    `passes_above` says on which side of the limit the guard passes; None where that is not known. `amount` writes a
    number with its unit.
    """
    low, high, limit = shown_bounds(report)
    if report.value is None or limit is None:
        return Markup()
    bounds = [bound for bound in (low, high) if bound is not None]
    is_compared = bool(report.pairs) and report.test != "share"
    numbers = [report.value, limit, *bounds, *([0.0] if is_compared else [])]
    scale = Scale.around(numbers, 8, _WIDTH - 8)
    at, value = scale(limit), scale(report.value)
    parts = []
    if passes_above is not None:
        start, end = (at, _WIDTH - 2) if passes_above else (2.0, at)
        parts.append(element("rect", x=start, y=2, width=max(end - start, 0), height=28, class_="passing"))
    parts.append(element("line", x1=2, x2=_WIDTH - 2, y1=_MIDDLE, y2=_MIDDLE, class_="axis"))
    if is_compared:
        parts.append(element("line", x1=scale(0), x2=scale(0), y1=8, y2=24, class_="axis"))
        if abs(scale(0) - at) > _LABEL:
            parts.append(_label(scale(0), "0"))
    if bounds:
        start, end = scale(bounds[0]), scale(bounds[1]) if len(bounds) == 2 else value
        parts.append(element("line", x1=start, x2=end, y1=_MIDDLE, y2=_MIDDLE, class_="interval"))
    parts.append(element("line", x1=at, x2=at, y1=2, y2=30, class_="limit"))
    parts.append(element("circle", cx=value, cy=_MIDDLE, r=4.5, class_="value"))
    parts.append(_label(at, f"limit {amount(limit)}"))
    return drawing(_WIDTH, _HEIGHT, *parts, title=_title(report, amount, limit, passes_above), css="strip")


def _label(at: float, text: str) -> Markup:
    """Return the text below the limit, inside the strip."""
    anchor = "start" if at < _WIDTH * 0.3 else "end" if at > _WIDTH * 0.7 else "middle"
    return element("text", text, x=at, y=43, text_anchor=anchor, class_="quiet")


def _title(report: GuardReport, amount: Amount, limit: float, passes_above: bool | None) -> str:
    what = "difference" if report.pairs and report.test != "share" else "value"
    low, high, _ = shown_bounds(report)
    interval = f", interval from {amount(low)} to {amount(high)}" if low is not None and high is not None else ""
    side = "" if passes_above is None else f", passes {'above' if passes_above else 'below'}"
    return f"{report.guard}: {what} {amount(report.value or 0)}{interval}, limit {amount(limit)}{side}"
