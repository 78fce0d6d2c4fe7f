"""The machine with the path taken: states in the order of the schedule, edges as arcs beside them."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from townlet.machine.audit.report_facts import EdgeFacts
from townlet.report.html.drawing.svg import drawing, element

__all__ = ["machine_drawing"]

_BOX, _TALL, _STEP = 150.0, 34.0, 58.0
_ROOM = 145.0
"""Room for arcs on each side of the column of states."""
_LONGEST = 18
"""Letters of a state's name that fit its box."""


def machine_drawing(edges: Sequence[EdgeFacts], visits: Mapping[str, int], end: str) -> Markup:
    """Return the drawing: `visits` counts the visits to each state, `end` is the state that the run is in."""
    names = list(dict.fromkeys([*(edge.source for edge in edges), *visits]))
    names += [each for each in dict.fromkeys(edge.target for edge in edges) if each not in names]
    places = {name: 8 + _STEP * index for index, name in enumerate(names)}
    width, height = 2 * _ROOM + _BOX, _STEP * len(names) - _STEP + _TALL + 16
    merged: dict[tuple[str, str], int] = {}
    for edge in edges:
        merged[edge.source, edge.target] = merged.get((edge.source, edge.target), 0) + edge.taken
    arcs = sorted(merged.items(), key=lambda each: each[1] > 0)  # taken ones lie above the others
    parts = [_edge(places, source, target, taken) for (source, target), taken in arcs]
    parts += [_state(name, places[name], visits.get(name, 0), is_end=name == end) for name in names]
    path = ", ".join(f"{source} to {target} {taken}×" for (source, target), taken in merged.items() if taken)
    return drawing(width, height, _arrows(), *parts, title=f"The machine. Taken: {path or 'nothing'}.", css="machine")


def _arrows() -> Markup:
    heads = (
        element(
            "marker",
            element("path", d="M0 0 L8 4 L0 8 z", class_=f"head {kind}"),
            id=f"arrow-{kind}",
            viewBox="0 0 8 8",
            refX=7,
            refY=4,
            markerWidth=7,
            markerHeight=7,
            markerUnits="userSpaceOnUse",
            orient="auto",
        )
        for kind in ("taken", "open")
    )
    return element("defs", *heads)


def _state(name: str, y: float, visits: int, *, is_end: bool) -> Markup:
    kind = "state is-end" if is_end else "state is-visited" if visits else "state"
    shown = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    count = f" ×{visits}" if visits > 1 else ""
    return element(
        "g",
        element("rect", x=_ROOM, y=y, width=_BOX, height=_TALL, rx=6, class_=kind),
        element("text", f"{shown}{count}", x=_ROOM + _BOX / 2, y=y + _TALL / 2 + 5, text_anchor="middle"),
    )


def _edge(places: Mapping[str, float], source: str, target: str, taken: int) -> Markup:
    """Return one arrow: straight to the next state, else an arc, on the right forwards and on the left backwards."""
    kind = "taken" if taken else "open"
    top, bottom = places[source], places[target]
    steps = round((bottom - top) / _STEP)
    label = f"{taken}×" if taken > 1 else ""
    if steps == 1:
        x = _ROOM + _BOX / 2
        path, at = f"M{x:g} {top + _TALL:g} L{x:g} {bottom:g}", (x + 8, top + _TALL + 16)
    else:
        side = 1 if steps > 0 else -1
        x = _ROOM + _BOX if side > 0 else _ROOM
        reach = x + side * min(22 + 17 * abs(steps), _ROOM - 8)
        start, end = top + _TALL / 2 + 5, bottom + _TALL / 2 - 5
        path = f"M{x:g} {start:g} C{reach:g} {start:g} {reach:g} {end:g} {x:g} {end:g}"
        at = ((x + 3 * reach) / 4, (start + end) / 2 + 4)
    words = element("text", label, x=at[0], y=at[1], text_anchor="middle", class_="quiet") if label else Markup()
    arrow = element("path", d=path, class_=f"edge {kind}", marker_end=f"url(#arrow-{kind})")
    return element("g", element("title", f"{source} to {target}: {taken or 'not'} taken"), arrow, words)
