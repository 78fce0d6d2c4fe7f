"""The report of a run as one picture: the deciding guards as strips, and the learning curves."""

import math
from io import BytesIO
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from townlet.dto.guards import GuardReport
from townlet.escapes import one_line
from townlet.machine.audit.report_facts import ReportFacts
from townlet.report.guard_numbers import Amount, guard_amount
from townlet.report.guard_sides import passing_sides
from townlet.report.headline import headline
from townlet.report.run_curves import MEANINGS, Curve, learning_curves
from townlet.report.verdicts import shown_bounds

__all__ = ["run_picture"]

_BLUE, _VERMILION, _GREEN = "#0072b2", "#d55e00", "#009e73"
_MOST_CURVES = 6
_ROW = 0.5
"""Inches of one strip."""


def run_picture(facts: ReportFacts) -> bytes:
    """Return a PNG; equal facts give equal bytes with the same version of matplotlib."""
    reports = [
        report
        for report in (() if facts.decision is None else facts.decision.reports)
        if report.value is not None and report.limit is not None
    ]
    curves = [(state, curve) for state, curve in learning_curves(facts) if any(map(math.isfinite, curve.y))]
    order = list(MEANINGS)
    curves = sorted(curves, key=lambda each: order.index(each[1].name))[:_MOST_CURVES]
    rows = -(-len(curves) // 3)
    height = 1.2 + _ROW * len(reports) + 2.2 * rows
    figure = Figure(figsize=(11, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(_plain(headline(facts)), fontsize=12, wrap=True)
    heights = [max(_ROW * len(reports), 0.2), max(2.2 * rows, 0.2)]
    parts: Any = figure.subfigures(2, 1, height_ratios=heights)
    sides = passing_sides(facts)
    if reports:
        for axes, report in zip(parts[0].subplots(len(reports), 1, squeeze=False)[:, 0], reports, strict=True):
            _strip(axes, report, sides(report), guard_amount(facts, report))
    if curves:
        panels = parts[1].subplots(rows, 3, squeeze=False).flatten()
        for axes, (state, curve) in zip(panels, curves, strict=False):
            _curve(axes, state, curve)
        for axes in panels[len(curves) :]:
            axes.set_axis_off()
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": "townlet"})
    return buffer.getvalue()


def _plain(text: str) -> str:
    """Return a text that matplotlib does not read as a formula."""
    return one_line(text).replace("$", r"\$")


def _strip(axes: Any, report: GuardReport, passes_above: bool | None, amount: Amount) -> None:
    low, high, limit = shown_bounds(report)
    assert limit is not None, "only reports with a limit are drawn"
    numbers = [each for each in (report.value, limit, low, high) if each is not None]
    room = (max(numbers) - min(numbers)) * 0.1 or max(abs(numbers[0]), 1.0) * 0.5
    left, right = min(numbers) - room, max(numbers) + room
    axes.set_xlim(left, right)
    axes.set_yticks([0], [_plain(f"{report.guard}: {report.verdict.value}")], fontsize=8)
    axes.set_xticks([limit], [_plain(f"limit {amount(limit)}")], fontsize=7)
    if passes_above is not None:
        axes.axvspan(*((limit, right) if passes_above else (left, limit)), color=_GREEN, alpha=0.15, linewidth=0)
    if low is not None and high is not None:
        axes.plot([low, high], [0, 0], color=_BLUE, linewidth=5, alpha=0.5, solid_capstyle="butt")
    axes.axvline(limit, color=_VERMILION, linestyle="--", linewidth=1.5)
    axes.plot([report.value], [0], "o", color=_BLUE, markersize=5)
    for side in axes.spines.values():
        side.set_visible(False)


def _curve(axes: Any, state: str, curve: Curve) -> None:
    axes.plot(curve.x, curve.y, color=_BLUE, linewidth=1.2, marker="o" if curve.dots else None, markersize=3)
    for x, bounds in zip(curve.x, curve.bounds, strict=False):
        if bounds is not None:
            axes.plot([x, x], bounds, color=_BLUE, linewidth=5, alpha=0.5, solid_capstyle="butt")
    for start in curve.starts:
        axes.axvline(start, color="#cc79a7", linestyle=":", linewidth=1)
    for band in curve.bands:
        axes.axvspan(band.start, band.end, color="#e69f00", alpha=0.2, linewidth=0)
    axes.set_title(_plain(f"{state}: {curve.name}"), fontsize=9)
    axes.set_xlabel(curve.x_name, fontsize=7)
    axes.set_ylabel(curve.unit, fontsize=7)
    axes.tick_params(labelsize=7)
    axes.grid(visible=True, color="#dddddd", linewidth=0.5)
