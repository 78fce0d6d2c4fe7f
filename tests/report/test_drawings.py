"""Drawings show the numbers that they are given, at the places that their scale says."""

import re
from itertools import pairwise

import pytest

pytest.importorskip("jinja2")

from townlet.dto.guards import GuardReport, Verdict
from townlet.machine.audit.evidence_comparisons import KpiComparison
from townlet.machine.audit.report_facts import EdgeFacts
from townlet.machine.audit.timeline import TimelineSpan
from townlet.report.html.drawing.curves import curve_panel
from townlet.report.html.drawing.differences import difference_drawing
from townlet.report.html.drawing.machine import machine_drawing
from townlet.report.html.drawing.recipes import IntervalRow, interval_drawing, overlay_panel
from townlet.report.html.drawing.strip import guard_strip
from townlet.report.html.drawing.svg import Scale, element
from townlet.report.html.drawing.timeline import timeline_drawing
from townlet.report.run_curves import Band, Curve

NAN = float("nan")


def places(drawing: str, name: str, kind: str, attribute: str) -> list[float]:
    """Return an attribute of every element of a kind in a drawing."""
    found = re.findall(rf"<{name} [^>]*>", drawing)
    return [float(re.search(rf'{attribute}="([^"]*)"', each)[1]) for each in found if f'class="{kind}"' in each]  # type: ignore[index]


def report(value: float, limit: float, low: float | None = None, high: float | None = None) -> GuardReport:
    """A verdict on a paired difference."""
    return GuardReport(
        guard="better",
        verdict=Verdict.PASS,
        value=value,
        limit=limit,
        low=low,
        high=high,
        pairs=20,
        sentence="",
        rule=4,
    )


def comparison(*pairs: tuple[float | None, float | None], is_paired: bool = True) -> KpiComparison:
    """A KPI with these values of candidate and baseline."""
    return KpiComparison(
        metric="speed",
        baseline="champion",
        policy="teacher:lazy",
        values=tuple(own for own, _ in pairs),
        baseline_values=tuple(other for _, other in pairs),
        is_paired=is_paired,
        is_known=True,
    )


def test_a_strip_has_its_parts_in_the_order_of_the_numbers() -> None:
    """Limit, lower end, value, upper end from left to right; the shade begins at the limit and leads to the value."""
    strip = guard_strip(report(2.0, 0.0, 1.0, 3.0), passes_above=True)
    (limit,), (value,) = places(strip, "line", "limit", "x1"), places(strip, "circle", "value", "cx")
    (low,), (high,) = places(strip, "line", "interval", "x1"), places(strip, "line", "interval", "x2")
    (shade,) = places(strip, "rect", "passing", "x")

    assert limit < low < value < high
    assert limit == shade
    assert "better: difference 2, interval from 1 to 3, limit 0, passes above" in strip


def test_a_strip_without_a_known_side_has_no_shade() -> None:
    """Nothing is promised that nobody knows; without a limit there is nothing to draw."""
    assert "passing" not in guard_strip(report(1.0, 1.0), passes_above=None)
    assert "" == guard_strip(GuardReport(guard="g", verdict=Verdict.UNKNOWN, sentence=""), passes_above=True)


def test_differences_are_sorted_and_losses_are_told_apart() -> None:
    """By the better direction, not by the sign; a pair without exposure on one side is not drawn."""
    rows = comparison((1.0, 3.0), (5.0, 1.0), (2.0, 2.0), (None, 1.0))
    higher = difference_drawing(rows, is_better_below=False)
    lower = difference_drawing(rows, is_better_below=True)

    assert ["-2", "0", "4"] == re.findall(r"<title>episode \d: ([^<]*)</title>", higher)
    assert ["loss", "plain", "gain"] == re.findall(r"bar is-(\w+)", higher)
    assert ["gain", "plain", "loss"] == re.findall(r"bar is-(\w+)", lower)


def test_episodes_that_are_no_pairs_are_drawn_as_two_sides() -> None:
    """Both sides, each sorted; no difference of episodes that are not the same is shown."""
    drawing = difference_drawing(comparison((1.0, 3.0), (5.0, 1.0), is_paired=False), is_better_below=False)

    assert 2 == drawing.count("is-candidate") == drawing.count("is-champion")
    assert "which are not pairs" in drawing
    assert "bar is-" not in drawing


def test_a_curve_breaks_where_a_number_is_not_finite() -> None:
    """No line is drawn over what was not measured."""
    curve = Curve(name="loss", x=(1, 2, 3, 4, 5), y=(1.0, 2.0, NAN, 3.0, 1.0), x_name="agent-steps")

    assert 2 == curve_panel(curve).count('class="curve"')
    assert "" == curve_panel(Curve(name="loss", x=(1.0,), y=(NAN,), x_name="agent-steps"))


def test_a_band_covers_its_stretch() -> None:
    """The hand-off is as wide as its agent-steps."""
    bands = (Band(start=0, end=50),)
    panel = curve_panel(Curve(name="loss", x=(0, 100), y=(0.0, 1.0), x_name="agent-steps", bands=bands))

    assert [(452.0 - 62.0) / 2] == places(panel, "rect", "band", "width")


def test_the_machine_tells_taken_edges_from_others() -> None:
    """Every edge is drawn once, those taken last, above the others; the state at the end stands out."""
    edges = [
        EdgeFacts(source=a, target=b, order=1, condition="", guards=(), why="", asks=False, taken=taken)
        for a, b, taken in (("bc", "ppo", 1), ("bc", "hold", 0), ("ppo", "bc", 2))
    ]
    drawing = machine_drawing(edges, {"bc": 3, "ppo": 2}, "bc")

    assert 2 == drawing.count('class="edge taken"')
    assert 1 == drawing.count('class="edge open"')
    assert drawing.index('class="edge open"') < drawing.index('class="edge taken"')
    assert "Taken: bc to ppo 1×, ppo to bc 2×." in drawing
    assert 1 == drawing.count('class="state is-end"')


def test_the_timeline_is_as_long_as_the_work() -> None:
    """Bars are as wide as their time; a crash has a cross; a wait of days is as narrow as one of seconds."""
    spans = (
        TimelineSpan(kind="work", state="bc", start="2026-01-01T00:00:00", end="2026-01-01T00:00:10", ending="crashed"),
        TimelineSpan(
            kind="work", state="bc", start="2026-01-01T00:00:10", end="2026-01-01T00:00:30", ending="finished"
        ),
        TimelineSpan(kind="wait", state="hold", start="2026-01-01T00:00:30", end="2026-01-09T00:00:30", ending="left"),
    )
    drawing = timeline_drawing(spans)
    (crashed,), (finished,), (waited,) = (
        places(drawing, "rect", f"span is-{kind}", "width") for kind in ("crashed", "finished", "wait")
    )

    assert finished == pytest.approx(2 * crashed, abs=0.1)
    assert 14 == waited
    assert 1 == drawing.count('class="crash"')
    assert "" == timeline_drawing(())


def test_a_scale_holds_equal_and_huge_numbers() -> None:
    """One number is in the middle; numbers whose range is no float are placed, not raised."""
    assert 50.0 == Scale.around([3.0, 3.0], 0, 100)(3.0)
    assert 0.0 == Scale.around([-1.7e308, 1.7e308], 0, 100)(0.0)


def test_an_element_escapes_what_it_holds() -> None:
    """Children, attributes, and characters that turn text around."""
    assert '<text x="1.2" aria-label="&#34;&gt;">&lt;b&gt;\\u202e</text>' == element(
        "text", "<b>\u202e", x=1.23, aria_label='">'
    )


def test_intervals_stand_on_one_scale() -> None:
    """Ends, values and limits are at the places of one scale; the largest value is the farthest right."""
    rows = [
        IntervalRow(name=name, recipe=n, value=10.0 * n, low=10.0 * n - 1, high=10.0 * n + 1, limit=5.0)
        for n, name in enumerate("ab")
    ]
    drawn = interval_drawing("x", rows, at=0.0)
    first, second = (places(drawn, "circle", f"dot recipe-{n}", "cx")[0] for n in (0, 1))
    low, high = (places(drawn, "line", "span recipe-1", end)[0] for end in ("x1", "x2"))
    at, *limits = places(drawn, "line", "limit", "x1")

    assert low < second < high
    assert second - low == pytest.approx(high - second, abs=0.2)
    assert [at] * 2 == [first, at]
    assert limits == pytest.approx([(first + second) / 2] * 2, abs=0.2)
    assert "" == interval_drawing("x", [])


def test_curves_of_all_runs_share_a_panel() -> None:
    """Each has the class of its recipe, a single point is a dot, and a run without a finite point is left out."""
    long, point, lost = (
        Curve(name="reward", x=tuple(range(n)), y=tuple(y), x_name="agent-steps")
        for n, y in ((3, (1.0, 2.0, 3.0)), (1, (2.0,)), (1, (NAN,)))
    )
    drawn = overlay_panel("reward", [(0, long), (1, point), (2, lost), (7, long)])

    assert ["line recipe-0", "line recipe-1"] == re.findall(r'class="(line [^"]*)"', drawn)
    assert 1 == drawn.count('class="dot recipe-1"')
    assert "3 runs" in drawn
    assert "" == overlay_panel("reward", [(0, lost)])


def test_a_panel_of_many_runs_stays_small() -> None:
    """Twenty runs of ten thousand iterations take less than 100 kB."""
    long = Curve(name="reward", x=tuple(range(10_000)), y=tuple(float(n % 97) for n in range(10_000)), x_name="steps")

    assert len(overlay_panel("reward", [(n % 2, long) for n in range(20)])) < 100_000


def test_the_clock_of_a_timeline_counts_work_in_words() -> None:
    """It begins with the run, goes on behind a wait, and its numbers stand apart."""
    spans = (
        TimelineSpan(
            kind="work", state="bc", start="2026-01-01T00:00:00", end="2026-01-01T00:10:00", ending="finished"
        ),
        TimelineSpan(kind="wait", state="hold", start="2026-01-01T00:10:00", end="2026-01-09T00:00:00", ending="left"),
        TimelineSpan(
            kind="work", state="ppo", start="2026-01-09T00:00:00", end="2026-01-09T00:15:00", ending="finished"
        ),
    )
    ticks = re.findall(r'<text x="([^"]*)"[^>]*class="quiet">([^<]*)</text>', timeline_drawing(spans))

    assert ["start", "5 min", "10 min", "15 min", "20 min", "25 min"] == [text for _, text in ticks]
    gaps = [float(after[0]) - float(before[0]) for before, after in pairwise(ticks)]
    assert gaps[2] == pytest.approx(gaps[0] + 14, abs=0.2)


def test_numbers_of_drawings_have_units() -> None:
    """The limit of a strip, and the vertical axis of a curve."""
    strip = guard_strip(report(2.0, 0.5), passes_above=True, amount=lambda value: f"{value:g} apples")
    curve = Curve(name="loss", x=(0, 1), y=(0.0, 1.0), x_name="agent-steps", unit="nat")

    assert ">limit 0.5 apples<" in strip
    assert ">nat<" in curve_panel(curve)
