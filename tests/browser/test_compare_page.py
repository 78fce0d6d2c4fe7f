"""The comparison in a browser: silent, readable at every width, dark, printed and without scripts; names are text."""

import shutil
from html import escape
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from golden_runs import GOLDEN, facts_of
from test_report_page import CONTRAST, HOSTILE

pytest.importorskip("jinja2")

from townlet.dto.run_data import VisitPoint
from townlet.machine.audit.report_facts import ReportFacts
from townlet.machine.replication.recipes import Recipe, RecipeComparison, RecipeKpi
from townlet.report.html.compare_page import compare_page

BROKEN_KEYS = """(cells) => cells.flatMap((cell) => {
  const pieces = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT), broken = [];
  while (pieces.nextNode()) for (const key of pieces.currentNode.data.matchAll(/[^.]+/g)) {
    const range = document.createRange();
    range.setStart(pieces.currentNode, key.index);
    range.setEnd(pieces.currentNode, key.index + key[0].length);
    if (range.getClientRects().length !== 1) broken.push(key[0]);
  }
  return broken;
})"""
FIRST_LINE = "These weights of second are better than first in speed, IQM 3 against 2."


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> ReportFacts:
    """What a report says of the golden run, with iterations."""
    facts = facts_of(shutil.copytree(GOLDEN, tmp_path_factory.mktemp("golden") / "home"))
    points = tuple(
        VisitPoint(state="ppo", visit=1, step=n, agent_steps=1000 * n, numbers={"reward": n**0.5}) for n in range(1, 99)
    )
    return evolve(facts, points=points)


def comparison_of(
    facts: ReportFacts, names: tuple[str, str] = ("first", "second"), metric: str = "speed"
) -> RecipeComparison:
    """Return two recipes whose runs are the golden one."""
    recipes = tuple(
        Recipe(name=name, digest=f"{n}" * 64, runs=(facts.run,), seeds=(n,)) for n, name in enumerate(names)
    )
    kpi = RecipeKpi(
        recipe=names[0], metric=metric, unit="m/s", direction="higher", runs=1, episodes=20, left_out=0,
        mean=2.0, iqm=2.0, iqm_low=1.5, iqm_high=2.5,
    )  # fmt: skip
    better = evolve(kpi, recipe=names[1], iqm=3.0, improvement=0.8, improvement_low=0.7, improvement_high=0.9)
    return RecipeComparison(recipes=recipes, objective=metric, kpis=(kpi, better))


def page_of(facts: ReportFacts, names: tuple[str, str] = ("first", "second"), metric: str = "speed") -> str:
    """Return the page of two recipes whose schedules differ in their seed."""
    slower = evolve(facts, schedule=evolve(facts.schedule, seed=99))
    return compare_page(comparison_of(facts, names, metric), [[facts], [slower]])


@pytest.fixture(scope="module")
def comparison(facts: ReportFacts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as a file."""
    path = tmp_path_factory.mktemp("page") / "compare.html"
    path.write_text(page_of(facts), encoding="utf-8")
    return path


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_it_is_silent_and_readable(
    comparison: Path, open_page: Any, keep: Any, width: int, dark: bool, scripts: bool
) -> None:
    """No error, no request, no text of poor contrast, nothing beside the page; every section is there."""
    with open_page(comparison, width=width, dark=dark, scripts=scripts) as watched:
        page = watched.page
        assert FIRST_LINE == page.locator("h1").inner_text()
        assert 6 == page.locator("main section").count()
        assert page.locator("svg[role=img]").count() >= 6
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert [] == page.evaluate(CONTRAST)
        keep(page, f"compare-{width}-{'dark' if dark else 'light'}")
        watched.assert_silent()


@pytest.mark.parametrize("width", [1280, 375])
def test_paths_break_after_their_dots(facts: ReportFacts, open_page: Any, tmp_path: Path, width: int) -> None:
    """What differs between the schedules is named by paths whose keys stay whole at any width."""

    def ramped(steps: int) -> ReportFacts:
        ramps = [{"actor": [[0, 0], [75000, 0], [150000, 1], [steps, 0.05]], "critic": [[0, 1], [steps, 0.1]]}]
        ppo = facts.schedule.states["ppo"]
        states = {**facts.schedule.states, "ppo": evolve(ppo, with_={**ppo.with_, "ramps": ramps})}
        return evolve(facts, schedule=evolve(facts.schedule, states=states))

    path = tmp_path / "compare.html"
    path.write_text(compare_page(comparison_of(facts), [[ramped(700000)], [ramped(2200000)]]), encoding="utf-8")
    with open_page(path, width=width) as watched:
        rows = watched.page.locator("#settings ~ table th.mono")
        assert ["states.ppo.with.ramps.0.actor", "states.ppo.with.ramps.0.critic"] == rows.all_inner_texts()
        assert [] == rows.evaluate_all(BROKEN_KEYS)
        watched.assert_silent()


def test_it_works_inside_another_page_and_on_paper(comparison: Path, open_page: Any, keep: Any, tmp_path: Path) -> None:
    """As the text of a frame, as notebooks show it; printed, its ground is white."""
    outer = tmp_path / "outer.html"
    text = escape(comparison.read_text(encoding="utf-8"), quote=True)
    outer.write_text(f'<!doctype html><meta charset="utf-8"><iframe srcdoc="{text}" width=900 height=600></iframe>')
    with open_page(outer) as watched:
        assert FIRST_LINE == watched.page.frame_locator("iframe").locator("h1").inner_text()
        watched.assert_silent()
    with open_page(comparison, dark=True) as watched:
        watched.page.emulate_media(media="print", color_scheme="dark")
        assert "rgb(255, 255, 255)" == watched.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert [] == watched.page.evaluate(CONTRAST)
        keep(watched.page, "compare-print")


def test_hostile_names_are_text(facts: ReportFacts, open_page: Any, tmp_path: Path) -> None:
    """Of recipes, KPIs, guards and reasons: nothing runs, nothing is asked for, the page is as wide as it was."""
    assert facts.decision is not None
    reports = tuple(evolve(each, guard=HOSTILE, sentence=HOSTILE) for each in facts.decision.reports)
    hostile = evolve(facts, run=HOSTILE, decision=evolve(facts.decision, reports=reports), problems=(HOSTILE,))
    path = tmp_path / "hostile.html"
    path.write_text(page_of(hostile, (HOSTILE, f"{HOSTILE}2"), HOSTILE), encoding="utf-8")
    with open_page(path, width=375) as watched:
        assert "<script>alert(1)</script>" in watched.page.locator("main").inner_text()
        assert 0 == watched.page.locator("img").count()
        assert watched.page.evaluate("document.documentElement.scrollWidth") <= 375
        watched.assert_silent()
