"""Differences per episode: candidate − baseline, sorted, so that the share and the size of losses are seen."""

from markupsafe import Markup

from townlet.machine.audit.evidence_comparisons import KpiComparison
from townlet.numerals import number
from townlet.report.html.drawing.svg import Scale, drawing, element, ticks

__all__ = ["difference_drawing"]

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 460.0, 154.0, 62.0, 452.0, 14.0, 136.0
_MOST = 400
"""Episodes that are drawn; of more, every n-th of the sorted ones."""


def difference_drawing(comparison: KpiComparison, *, is_better_below: bool | None, unit: str = "") -> Markup:
    """Return a bar for each pair, sorted by its difference; for episodes that are not pairs both sides, sorted.

    `is_better_below` says which side is a loss for the candidate; None where that is not known. `unit` is that of the
    KPI in words; empty for none.
    """
    if not comparison.is_paired:
        return _two_sides(comparison, unit)
    pairs = sorted((difference, episode) for episode, difference in comparison.differences.items())
    if not pairs:
        return Markup()
    shown = pairs[:: -(-len(pairs) // _MOST)]
    up = Scale.around([0.0, *(difference for difference, _ in pairs)], _BOTTOM, _TOP, margin=0.05)
    width = (_RIGHT - _LEFT) / len(shown)
    parts = _grid(up, unit)
    for index, (difference, episode) in enumerate(shown):
        is_loss = is_better_below is not None and difference != 0 and (difference > 0) == is_better_below
        kind = "loss" if is_loss else "gain" if is_better_below is not None and difference else "plain"
        top, bottom = sorted((up(difference), up(0)))
        bar = element(
            "rect",
            element("title", f"episode {episode}: {number(difference)}"),
            x=_LEFT + index * width,
            y=top,
            width=max(width - 0.6, 0.4),
            height=max(bottom - top, 0.8),
            class_=f"bar is-{kind}",
        )
        parts.append(bar)
    parts.append(element("line", x1=_LEFT, x2=_RIGHT, y1=up(0), y2=up(0), class_="axis"))
    low, high = pairs[0], pairs[-1]
    title = (
        f"{comparison.metric} against {comparison.baseline}: {len(pairs)} differences per episode, from "
        f"{number(low[0])} in episode {low[1]} to {number(high[0])} in episode {high[1]}"
    )
    return drawing(_WIDTH, _HEIGHT, *parts, title=title, css="differences")


def _grid(up: Scale, unit: str) -> list[Markup]:
    parts = [element("text", unit, x=4, y=_TOP - 3, class_="quiet")] if unit else []
    for value, text in ticks(up.low, up.high):
        parts.append(element("line", x1=_LEFT, x2=_RIGHT, y1=up(value), y2=up(value), class_="grid"))
        parts.append(element("text", text, x=_LEFT - 6, y=up(value) + 4, text_anchor="end", class_="quiet"))
    return parts


def _two_sides(comparison: KpiComparison, unit: str) -> Markup:
    """Return the sorted values of both sides as two lines, each over its own share of episodes."""
    sides = (("candidate", sorted(comparison.own)), ("champion", sorted(comparison.other)))
    if not all(values for _, values in sides):
        return Markup()
    up = Scale.around([value for _, values in sides for value in values], _BOTTOM, _TOP, margin=0.05)
    parts = _grid(up, unit)
    for kind, values in sides:
        across = Scale(0, max(len(values) - 1, 1), _LEFT, _RIGHT)
        shown = range(0, len(values), -(-len(values) // _MOST))
        parts += [
            element("circle", cx=across(index), cy=up(values[index]), r=2.2, class_=f"dot is-{kind}") for index in shown
        ]
    title = (
        f"{comparison.metric}: sorted values of {len(comparison.own)} episodes of the candidate and "
        f"{len(comparison.other)} of {comparison.baseline}, which are not pairs"
    )
    return drawing(_WIDTH, _HEIGHT, *parts, title=title, css="differences")
