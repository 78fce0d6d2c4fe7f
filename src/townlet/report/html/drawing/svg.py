"""Elements of SVG as escaped markup, scales, and ticks that people can read.

Colours come from classes of the page's style sheet, so that a drawing is dark where the page is, and light on paper.
"""

import math
from collections.abc import Sequence

from attrs import frozen
from markupsafe import Markup, escape

from townlet.escapes import printable
from townlet.numerals import number

__all__ = ["Scale", "drawing", "element", "ticks"]


def element(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """Return an element; children that are no markup are escaped, an attribute that is None is left out.

    Underscores in names of attributes become hyphens; ``class_`` is ``class``. Numbers have one decimal.
    """
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(escape(printable(child)) if not isinstance(child, Markup) else child for child in children)
    return Markup(f"<{name}{words}>{inside}</{name}>")  # noqa: S704  (name is ours, the rest is escaped)


def _text(value: str | float) -> str:
    return printable(value) if isinstance(value, str) else f"{round(value, 1):g}"


def drawing(width: float, height: float, *children: Markup, title: str, css: str = "") -> Markup:
    """Return an SVG that is as wide as its place; `title` is what it shows, for those who do not see it."""
    return element(
        "svg",
        *children,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
        role="img",
        aria_label=title,
        class_=css or None,
    )


@frozen
class Scale:
    """A linear scale from values to places."""

    low: float
    """Value at `start`."""
    high: float
    """Value at `end`; above `low`."""
    start: float
    """Place of `low`."""
    end: float
    """Place of `high`."""

    @classmethod
    def around(cls, values: Sequence[float], start: float, end: float, *, margin: float = 0.08) -> "Scale":
        """Return a scale that holds all values, with a margin on both sides as a share of their range."""
        low, high = min(values), max(values)
        room = (high - low) * margin or max(abs(high), 1.0) * 0.5
        return cls(low - room, high + room, start, end)

    def __call__(self, value: float) -> float:
        """Return the place of a value; one outside is placed at the nearer end."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start) if math.isfinite(share) else self.start


def ticks(low: float, high: float, most: int = 4) -> list[tuple[float, str]]:
    """Return at most `most` + 1 round values between two, with their texts.

    >>> ticks(0, 2_211_840)
    [(0.0, '0'), (1000000.0, '1 M'), (2000000.0, '2 M')]
    >>> ticks(-0.03, 0.11)
    [(0.0, '0'), (0.05, '0.05'), (0.1, '0.1')]
    >>> [text for _, text in ticks(0.002, 0.099)]
    ['0.025', '0.05', '0.075']
    """
    rough = (high - low) / most
    if not math.isfinite(rough) or rough <= 0:
        return [(low, number(low))]
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 2.5, 5, 10) if each * power >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(value, _short(value)) for value in (round(step * n, 12) + 0.0 for n in range(first, last + 1))]


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{number(value / size)} {letter}"
    return number(value)
