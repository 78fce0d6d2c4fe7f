"""The comparison of recipes as one HTML page: a pure function of the comparison and of what reports say of the runs."""

from collections import Counter
from collections.abc import Iterator, Sequence

from attrs import frozen
from markupsafe import Markup

from townlet.dto.guards import GuardReport
from townlet.dto.metric_name import MetricName
from townlet.machine.audit.report_facts import ReportFacts
from townlet.machine.replication.recipes import RecipeComparison, RecipeKpi
from townlet.machine.replication.sentences import (
    comparison_headline,
    comparison_sentences,
    improvement_verdict,
    runs_sentence,
)
from townlet.machine.replication.settings import Setting, differing_settings
from townlet.numerals import number, unit_label
from townlet.report.guard_numbers import measured_words
from townlet.report.headline import headline
from townlet.report.html.drawing.recipes import COLOURS, IntervalRow, interval_drawing, overlay_panel
from townlet.report.html.page import render_page
from townlet.report.html.run_panels import Panel
from townlet.report.run_curves import MEANINGS, Curve, learning_curves
from townlet.report.verdicts import shown_bounds, verdict_sentence

__all__ = ["compare_page"]

_MOST_DRAWN = 6
"""KPIs that are drawn; the table has all."""
_MOST_SETTINGS = 60
"""Values of the schedules that the page lists."""
_MOST_STRIPS = 40
"""Runs of all recipes that a guard's drawing shows."""
_BADGES = {"better": "is-pass", "worse": "is-fail", "undecided": "is-undecided"}


@frozen(kw_only=True)
class _Recipe:
    name: str
    colour: str
    digest: str
    runs: tuple[tuple[int, str, str], ...]


@frozen(kw_only=True)
class _Kpi:
    name: str
    unit: str
    better: str
    cells: tuple[tuple[str, str, str, str], ...]


@frozen(kw_only=True)
class _Guard:
    name: str
    measured: str
    counts: tuple[tuple[tuple[str, int], ...], ...]
    drawing: Markup
    sentences: tuple[tuple[str, str], ...]


def compare_page(comparison: RecipeComparison, runs: Sequence[Sequence[ReportFacts]]) -> str:
    """Return the page as one self-contained HTML text; `runs` are those of each recipe, in its order.

    Equal comparisons and facts give equal bytes.
    """
    settings = differing_settings([each[0].schedule for each in runs])
    return render_page(
        "compare.html.j2",
        styles=["compare.css"],
        comparison=comparison,
        headline=comparison_headline(comparison),
        sentences=tuple(_sentences(comparison)),
        recipes=tuple(_recipes(comparison, runs)),
        settings=tuple(_shortened(each) for each in settings[:_MOST_SETTINGS]),
        settings_left_out=max(0, len(settings) - _MOST_SETTINGS),
        figures=tuple(_figures(comparison)),
        kpis=tuple(_kpis(comparison)),
        panels=tuple(_panels(runs)),
        guards=tuple(_guards(comparison, runs)),
        problems=tuple(dict.fromkeys(problem for each in runs for facts in each for problem in facts.problems)),
    )


def _sentences(comparison: RecipeComparison) -> Iterator[str]:
    yield f"{runs_sentence(comparison)}."
    for sentence in comparison_sentences(comparison):
        yield f"{sentence[:1].upper()}{sentence[1:]}."


def _recipes(comparison: RecipeComparison, runs: Sequence[Sequence[ReportFacts]]) -> Iterator[_Recipe]:
    for index, (recipe, own) in enumerate(zip(comparison.recipes, runs, strict=True)):
        rows = zip(recipe.seeds, recipe.runs, own, strict=True)
        yield _Recipe(
            name=recipe.name,
            colour=f"recipe-{index % COLOURS}",
            digest=recipe.digest[:12],
            runs=tuple((seed, run, headline(facts)) for seed, run, facts in rows),
        )


def _shortened(setting: Setting) -> tuple[str, tuple[str, ...]]:
    return setting.path, tuple(value if len(value) <= 200 else f"{value[:199]}…" for value in setting.values)


def _by_metric(comparison: RecipeComparison) -> dict[str, list[RecipeKpi]]:
    rows: dict[str, list[RecipeKpi]] = {}
    for kpi in comparison.kpis:
        rows.setdefault(kpi.metric, []).append(kpi)
    return rows


def _figures(comparison: RecipeComparison) -> Iterator[Panel]:
    """Yield IQMs and chances of the objective and of the KPIs that follow it."""
    for metric, kpis in list(_by_metric(comparison).items())[:_MOST_DRAWN]:
        known = [(index, kpi) for index, kpi in enumerate(kpis) if kpi.iqm is not None]
        rows = [
            IntervalRow(name=kpi.recipe, recipe=index, value=kpi.iqm, low=kpi.iqm_low, high=kpi.iqm_high)
            for index, kpi in known
            if kpi.iqm is not None
        ]
        better = "" if kpis[0].direction == "none" else f"; {kpis[0].direction} is better"
        words = unit_label(kpis[0].unit)
        unit = "" if not words else f" {words}" if words.startswith("per ") else f" in {words}"
        if rows:
            caption = f"Interquartile mean{unit} with its 95% interval{better}."
            yield Panel(metric, interval_drawing(f"IQM of {metric}", rows), caption)
        chances = [
            IntervalRow(
                name=kpi.recipe,
                recipe=index,
                value=kpi.improvement,
                low=kpi.improvement_low,
                high=kpi.improvement_high,
            )
            for index, kpi in known
            if kpi.improvement is not None
        ]
        if chances:
            word = "higher" if kpis[0].direction == "none" else "better"
            first = comparison.recipes[0].name
            caption = f"Chance that an episode is {word} than one of {first}; the dashed line is an even chance."
            drawn = interval_drawing(f"Chance of improvement in {metric}", chances, at=0.5)
            yield Panel(f"{metric}: chance of improvement", drawn, caption)


def _kpis(comparison: RecipeComparison) -> Iterator[_Kpi]:
    for metric, kpis in _by_metric(comparison).items():
        better = "" if kpis[0].direction == "none" else kpis[0].direction
        yield _Kpi(name=metric, unit=unit_label(kpis[0].unit), better=better, cells=tuple(map(_cell, kpis)))


def _cell(kpi: RecipeKpi) -> tuple[str, str, str, str]:
    """Return IQM with interval, chance with interval, the verdict and its badge."""
    if kpi.iqm is None:
        return f"unknown: {kpi.problem}", "", "", ""
    iqm = f"{number(kpi.iqm)} [{number(kpi.iqm_low)}, {number(kpi.iqm_high)}]"
    if kpi.improvement is None:
        return iqm, "", "", ""
    chance = f"{number(kpi.improvement)} [{number(kpi.improvement_low)}, {number(kpi.improvement_high)}]"
    verdict = improvement_verdict(kpi)
    return iqm, chance, verdict, _BADGES.get(verdict, "")


def _panels(runs: Sequence[Sequence[ReportFacts]]) -> Iterator[Panel]:
    """Yield a panel for each number that iterations report, with the curves of all runs."""
    curves: dict[tuple[str, str], list[tuple[int, Curve]]] = {}
    for index, own in enumerate(runs):
        for facts in own:
            for state, curve in learning_curves(facts):
                curves.setdefault((state, curve.name), []).append((index, curve))
    for (state, name), each in curves.items():
        picture = overlay_panel(f"{state}: {name}", each)
        if picture:
            meaning = MEANINGS.get(name, "")
            yield Panel(f"{state}: {name}", picture, f"{meaning[:1].upper()}{meaning[1:]}." if meaning else "")


def _guards(comparison: RecipeComparison, runs: Sequence[Sequence[ReportFacts]]) -> Iterator[_Guard]:
    """Yield every guard that decided in some run: its verdicts by recipe, and all runs on one scale."""
    reports, measured = dict[str, list[tuple[int, int, GuardReport]]](), dict[str, str]()
    for index, (recipe, own) in enumerate(zip(comparison.recipes, runs, strict=True)):
        for seed, facts in zip(recipe.seeds, own, strict=True):
            for report in () if facts.decision is None else facts.decision.reports:
                reports.setdefault(report.guard, []).append((index, seed, report))
                measured[report.guard] = measured.get(report.guard) or measured_words(facts, report)
    for guard, found in reports.items():
        counts = [
            Counter(report.verdict.value for index, _, report in found if index == which) for which in range(len(runs))
        ]
        yield _Guard(
            name=guard,
            measured=measured[guard],
            counts=tuple(tuple(sorted(count.items())) for count in counts),
            drawing=interval_drawing(guard, list(_strips(found))[:_MOST_STRIPS]),
            sentences=tuple(
                (f"{comparison.recipes[index].name}, seed {seed}", verdict_sentence(report))
                for index, seed, report in found
            ),
        )


def _strips(found: Sequence[tuple[int, int, GuardReport]]) -> Iterator[IntervalRow]:
    for index, seed, report in found:
        low, high, limit = shown_bounds(report)
        if report.value is not None and limit is not None:
            name = MetricName.parse(report.metric)
            bounds = (None, None) if name is None else (low, high)
            yield IntervalRow(
                name=f"seed {seed}", recipe=index, value=report.value, low=bounds[0], high=bounds[1], limit=limit
            )
