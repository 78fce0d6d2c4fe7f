"""A schedule as one SVG that needs no page: its machine, and beside each state the edges with guards and reasons."""

from collections.abc import Iterator, Sequence
from textwrap import wrap

from markupsafe import Markup

from townlet.dto.schedule import ScheduleSpec
from townlet.escapes import one_line
from townlet.machine.audit.report_facts import EdgeFacts, schedule_edges
from townlet.report.html.drawing.machine import LEFT, STEP, TALL, arrows, edge_drawing, state_drawing, state_names
from townlet.report.html.drawing.svg import drawing, element

__all__ = ["schedule_drawing"]

_LINE, _LETTERS = 16.0, 58
"""Height of a line of text, and its letters."""
_START, _WORDS, _WIDTH = 80.0, 340.0, 770.0
"""Places of the states, of the text and of the right end."""
_STYLE = Markup(
    "svg.schedule { font: 13px system-ui, sans-serif; }"
    "svg.schedule:root { color: #1b1f23; color-scheme: light dark; }"
    "@media (prefers-color-scheme: dark) { svg.schedule:root { color: #e6e8ea; } }"
    "svg.schedule text { fill: currentColor; }"
    "svg.schedule .state { fill: currentColor; fill-opacity: 0.05; stroke: currentColor; stroke-opacity: 0.5; }"
    "svg.schedule .edge { fill: none; stroke: currentColor; stroke-opacity: 0.5; stroke-width: 1.2; }"
    "svg.schedule .head { fill: currentColor; fill-opacity: 0.7; }"
)
"""All in the colour of the text around it; a file of its own follows the colour scheme of whoever opens it."""


def schedule_drawing(schedule: ScheduleSpec) -> Markup:
    """Return the drawing, the initial state first; the edges of a state stand beside it, in their order."""
    edges = sorted(schedule_edges(schedule), key=lambda edge: edge.source != schedule.initial)
    words = {name: list(_lines([edge for edge in edges if edge.source == name])) for name in state_names(edges)}
    places, below = dict[str, float](), 8.0
    for name, lines in words.items():
        places[name] = below
        below += max(STEP, _LINE * len(lines) + 14)
    start = places[schedule.initial] + TALL / 2
    parts = [
        element("circle", cx=LEFT - 30, cy=start, r=5, class_="head"),
        element(
            "path", d=f"M{LEFT - 30:g} {start:g} L{LEFT:g} {start:g}", class_="edge", marker_end="url(#arrow-open)"
        ),
        *(edge_drawing(places, *pair) for pair in dict.fromkeys((edge.source, edge.target) for edge in edges)),
        *(state_drawing(name, y, 0) for name, y in places.items()),
        *(text for name, lines in words.items() for text in _texts(lines, places[name])),
    ]
    shifted = element("g", *parts, transform=f"translate({_START - LEFT:g} 0)")
    told = "; ".join(f"{edge.source} {_sentence(edge, otherwise=False)}" for edge in edges)
    title = one_line(f"The machine of {schedule.name}. It begins in {schedule.initial}. {told}.")
    return drawing(_WIDTH, below, element("style", _STYLE), arrows(), shifted, title=title, css="schedule")


def _lines(edges: Sequence[EdgeFacts]) -> Iterator[str]:
    """Yield the lines on the edges of a state; those that go on with one are indented."""
    for edge in edges:
        text = _sentence(edge, otherwise=len(edges) > 1)
        number = f"{edge.order}. " if len(edges) > 1 else ""
        first, *rest = wrap(one_line(number + text), _LETTERS, max_lines=8, placeholder=" …")
        yield first
        yield from (f"\N{EM SPACE}{line}" for line in rest)


def _sentence(edge: EdgeFacts, *, otherwise: bool) -> str:
    condition = f" if {edge.condition}" if edge.condition else " otherwise" if otherwise else ""
    return f"to {edge.target}{condition}{f' — {edge.why}' if edge.why else ''}"


def _texts(lines: Sequence[str], top: float) -> Iterator[Markup]:
    for index, line in enumerate(lines):
        yield element("text", line, x=LEFT + _WORDS - _START, y=top + 13 + _LINE * index)
