"""The machine with the path taken: states in the order of the schedule, edges as arcs beside them."""

from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup

from townlet.machine.audit.report_facts import EdgeFacts
from townlet.report.html.drawing.svg import drawing, element

__all__ = ["BOX", "LEFT", "STEP", "TALL", "arrows", "edge_drawing", "machine_drawing", "state_drawing", "state_names"]

BOX, TALL, STEP = 150.0, 34.0, 58.0
"""Width and height of a state's box, and the distance between two."""
LEFT = 145.0
"""Room for arcs on each side of the column of states."""
_LONGEST = 18
"""Letters of a state's name that fit its box."""


def machine_drawing(edges: Sequence[EdgeFacts], visits: Mapping[str, int], end: str) -> Markup:
    """Return the drawing: `visits` counts the visits to each state, `end` is the state that the run is in."""
    names = state_names(edges, visits)
    places = {name: 8 + STEP * index for index, name in enumerate(names)}
    width, height = 2 * LEFT + BOX, STEP * len(names) - STEP + TALL + 16
    merged: dict[tuple[str, str], int] = {}
    for edge in edges:
        merged[edge.source, edge.target] = merged.get((edge.source, edge.target), 0) + edge.taken
    arcs = sorted(merged.items(), key=lambda each: each[1] > 0)  # taken ones lie above the others
    parts = [edge_drawing(places, source, target, taken) for (source, target), taken in arcs]
    parts += [state_drawing(name, places[name], visits.get(name, 0), is_end=name == end) for name in names]
    path = ", ".join(f"{source} to {target} {taken}×" for (source, target), taken in merged.items() if taken)
    return drawing(width, height, arrows(), *parts, title=f"The machine. Taken: {path or 'nothing'}.", css="machine")


def state_names(edges: Sequence[EdgeFacts], others: Iterable[str] = ()) -> list[str]:
    """Return the states from top to bottom: those with edges, `others`, then those to which edges only lead."""
    return list(dict.fromkeys([*(edge.source for edge in edges), *others, *(edge.target for edge in edges)]))


def arrows() -> Markup:
    """Return the heads of arrows, which every drawing of edges begins with."""
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


def state_drawing(name: str, y: float, visits: int, *, is_end: bool = False) -> Markup:
    """Return the box of a state with its name, and how often it was visited where that is more than once."""
    kind = "state is-end" if is_end else "state is-visited" if visits else "state"
    shown = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    count = f" ×{visits}" if visits > 1 else ""
    return element(
        "g",
        element("rect", x=LEFT, y=y, width=BOX, height=TALL, rx=6, class_=kind),
        element("text", f"{shown}{count}", x=LEFT + BOX / 2, y=y + TALL / 2 + 5, text_anchor="middle"),
    )


def edge_drawing(places: Mapping[str, float], source: str, target: str, taken: int = 0) -> Markup:
    """Return one arrow: straight to the next state, else an arc, on the right forwards and on the left backwards."""
    kind = "taken" if taken else "open"
    top, bottom = places[source], places[target]
    order = list(places)
    steps = order.index(target) - order.index(source)
    label = f"{taken}×" if taken > 1 else ""
    if steps == 1:
        x = LEFT + BOX / 2
        path, at = f"M{x:g} {top + TALL:g} L{x:g} {bottom:g}", (x + 8, top + TALL + 16)
    else:
        side = 1 if steps > 0 else -1
        x = LEFT + BOX if side > 0 else LEFT
        reach = x + side * min(22 + 17 * abs(steps), LEFT - 8)
        start, end = top + TALL / 2 + 5, bottom + TALL / 2 - 5
        path = f"M{x:g} {start:g} C{reach:g} {start:g} {reach:g} {end:g} {x:g} {end:g}"
        at = ((x + 3 * reach) / 4, (start + end) / 2 + 4)
    words = element("text", label, x=at[0], y=at[1], text_anchor="middle", class_="quiet") if label else Markup()
    arrow = element("path", d=path, class_=f"edge {kind}", marker_end=f"url(#arrow-{kind})")
    return element("g", element("title", f"{source} to {target}: {taken or 'not'} taken"), arrow, words)
