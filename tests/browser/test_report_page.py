"""The report in a browser: silent, readable at every width and without scripts, and its search works."""

import shutil
from html import escape
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from golden_runs import GOLDEN, facts_of
from recordings import pair
from test_terms_and_looks import trained

pytest.importorskip("jinja2")

from townlet.dto.run_data import VisitPoint
from townlet.machine.audit.report_facts import ReportFacts
from townlet.report.html.run_page import run_page

FIRST_LINE = (
    "Promoted: the weights 433995a58c4b became corridor@champion, as version 1, instead of the script teacher:lazy."
)
HOSTILE = (
    '"><script>alert(1)</script><img src="https://example.org/x.png" onerror="alert(2)">' + "\u202e\x1b[2J" + "W" * 400
)
CONTRAST = """() => {
  const luminance = (colour) => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((each) => each / 255)
      .map((each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (colour !== "rgba(0, 0, 0, 0)") return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const poor = [];
  const texts = "h1, h2, p, li, td, th, a, .badge, .quiet, figcaption, summary, code";
  for (const element of document.querySelectorAll(texts)) {
    if (!element.getClientRects().length || element.closest("svg") || element.classList.contains("skip")) continue;
    const pair = [luminance(getComputedStyle(element).color), luminance(ground(element))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) poor.push(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
  }
  return [...new Set(poor)];
}"""


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> ReportFacts:
    """What a report says of the golden run, with iterations, which the golden home does not keep."""
    facts = facts_of(shutil.copytree(GOLDEN, tmp_path_factory.mktemp("golden") / "home"))
    points = tuple(
        VisitPoint(state="ppo", visit=1, step=n, agent_steps=1000 * n, numbers={"reward": n**0.5, "entropy": 1 / n})
        for n in range(1, 200)
    )
    return evolve(facts, points=points)


@pytest.fixture(scope="module")
def report(facts: ReportFacts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as a file."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(run_page(facts), encoding="utf-8")
    return path


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_it_is_silent_and_readable(report: Path, open_page: Any, keep: Any, dark: bool, width: int) -> None:
    """No error, no request, no text of poor contrast, nothing beside the page at any width, in light and in dark."""
    with open_page(report, width=width, dark=dark) as watched:
        page = watched.page
        assert FIRST_LINE == page.locator("h1").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert [] == page.evaluate(CONTRAST)
        keep(page, f"report-{width}-{'dark' if dark else 'light'}")
        watched.assert_silent()


def test_a_phone_shows_every_column_of_the_kpis(report: Path, open_page: Any) -> None:
    """Nothing of the table lies beside its place, and the candidate's value stands above the unit."""
    with open_page(report, width=390) as watched:
        table = watched.page.locator('[aria-label="Table of KPIs"]')
        assert table.evaluate("each => each.scrollWidth <= each.clientWidth")
        labels = (
            table.locator("tbody tr")
            .first.locator("td[data-label]")
            .evaluate_all(
                "cells => cells.filter((cell) => cell.getClientRects().length).map((cell) => cell.dataset.label)"
            )
        )
        assert labels.index("candidate") < labels.index("difference") < labels.index("unit")


def test_numbers_beside_a_curve_stand_on_its_line(facts: ReportFacts, open_page: Any, tmp_path: Path) -> None:
    """In the table of the reward's terms, the last value of a curve is as high as the values before it."""
    path = tmp_path / "report.html"
    path.write_text(run_page(trained(facts)), encoding="utf-8")
    with open_page(path) as watched:
        heights = watched.page.locator("section[aria-labelledby=terms] tbody tr").evaluate_all(
            """rows => rows.map((row) => [...row.cells].map((cell) => {
              const range = document.createRange();
              range.selectNodeContents(cell.lastChild);
              return range.getBoundingClientRect().bottom;
            }))"""
        )
        assert [5, 5] == [len(row) for row in heights]
        assert all(max(row) - min(row) <= 1 for row in heights)


def test_it_opens_at_once(report: Path, open_page: Any) -> None:
    """Within a second."""
    with open_page(report) as watched:
        assert watched.page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") < 1000


def test_it_works_inside_another_page(report: Path, open_page: Any, tmp_path: Path) -> None:
    """As the text of a frame, as notebooks show it, it is silent and its search works."""
    outer = tmp_path / "outer.html"
    text = escape(report.read_text(encoding="utf-8"), quote=True)
    outer.write_text(f'<!doctype html><meta charset="utf-8"><iframe srcdoc="{text}" width=900 height=600></iframe>')
    with open_page(outer) as watched:
        frame = watched.page.frame_locator("iframe")
        assert FIRST_LINE == frame.locator("h1").inner_text()
        frame.locator("#journal-records > summary").click()
        frame.locator("#journal-search").fill("effect_done")
        assert frame.locator("#journal-count").inner_text().startswith("1 of ")
        watched.assert_silent()


def test_it_is_whole_without_scripts(report: Path, open_page: Any) -> None:
    """Every section and drawing is there, folded parts open, and only the search is missing."""
    with open_page(report, scripts=False) as watched:
        page = watched.page
        assert FIRST_LINE == page.locator("h1").inner_text()
        assert 12 == page.locator("main section").count()
        assert page.locator("svg[role=img]").count() > 6
        page.locator("#journal-records > summary").click()
        assert page.locator("table.journal tbody tr").first.is_visible()
        assert not page.locator("#journal-search").is_visible()
        watched.assert_silent()


def test_the_journal_is_searched_by_all_words(report: Path, open_page: Any) -> None:
    """Records that hold every word stay, in any order; an empty search shows all; the count is read aloud."""
    with open_page(report) as watched:
        page = watched.page
        page.locator("#journal-records > summary").click()
        rows, shown = page.locator("table.journal tbody tr"), page.locator("table.journal tbody tr:visible")
        total = rows.count()
        page.locator("#journal-search").fill("evaluate GUARDS")
        assert 0 < shown.count() < total
        assert f"{shown.count()} of {total} records" == page.locator("#journal-count").inner_text()
        assert "status" == page.locator("#journal-count").get_attribute("role")
        page.locator("#journal-search").fill("")
        assert total == shown.count()


def test_the_keyboard_reaches_everything(report: Path, open_page: Any) -> None:
    """The first stop leads past the head of the page; folded parts open with Enter; wide tables take the focus."""
    with open_page(report) as watched:
        page = watched.page
        page.keyboard.press("Tab")
        assert "To the content" == page.evaluate("document.activeElement.textContent")
        page.keyboard.press("Enter")
        assert page.url.endswith("#content")
        page.locator("#journal-records > summary").focus()
        page.keyboard.press("Enter")
        assert page.locator("#journal-search").is_visible()
        regions = page.locator(".scroll")
        assert regions.count() == page.locator('.scroll[tabindex="0"][role="region"][aria-label]').count() > 0


def test_a_word_leads_to_its_meaning(report: Path, open_page: Any) -> None:
    """The folded glossary opens where a link leads into it, also without scripts."""
    with open_page(report, scripts=False) as watched:
        page = watched.page
        assert not page.locator("#word-bound").is_visible()
        page.get_by_role("link", name="bound").click()
        assert page.locator("#word-bound").is_visible()
        watched.assert_silent()


def test_it_prints_on_white(report: Path, open_page: Any, keep: Any) -> None:
    """On paper the ground is white also where the screen is dark, links to sections are gone, and a PDF comes out."""
    with open_page(report, dark=True) as watched:
        page = watched.page
        page.emulate_media(media="print", color_scheme="dark")
        assert "rgb(255, 255, 255)" == page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert not page.locator("nav").is_visible()
        assert [] == page.evaluate(CONTRAST)
        keep(page, "report-print")
        assert page.pdf().startswith(b"%PDF")


def test_hostile_names_do_nothing(facts: ReportFacts, open_page: Any, keep: Any, tmp_path: Path) -> None:
    """They appear as text, run nothing, ask for nothing, and leave the page as wide as it was."""
    assert facts.decision is not None
    reports = tuple(evolve(each, guard=HOSTILE, sentence=HOSTILE) for each in facts.decision.reports)
    hostile = evolve(
        facts,
        created=evolve(facts.created, name=HOSTILE),
        decision=evolve(facts.decision, reports=reports, why=HOSTILE),
        edges=tuple(evolve(each, source=HOSTILE, why=HOSTILE) for each in facts.edges),
        spans=tuple(evolve(each, state=HOSTILE, why=HOSTILE) for each in facts.spans),
        comparisons=tuple(evolve(each, metric=HOSTILE, baseline=HOSTILE) for each in facts.comparisons),
        reservations=(HOSTILE,),
    )
    path = tmp_path / "hostile.html"
    path.write_text(run_page(hostile), encoding="utf-8")
    with open_page(path, width=375) as watched:
        page = watched.page
        assert "<script>alert(1)</script>" in page.locator("main").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        assert 0 == page.locator("img").count()
        keep(page, "report-hostile")
        watched.assert_silent()


@pytest.fixture(scope="module")
def playing(facts: ReportFacts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page with two episodes, the second of which has other names."""
    path = tmp_path_factory.mktemp("page") / "playing.html"
    pairs = evolve(pair(), extreme="gain"), evolve(pair(("Cem", "Dora")), extreme="loss", episode=1)
    path.write_text(run_page(facts, pairs), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [1280, 375])
def test_episodes_play_inside_a_report(playing: Path, open_page: Any, keep: Any, width: int) -> None:
    """One viewer shows either; the address stays, and keys work only while the viewer has the focus."""
    with open_page(playing, width=width) as watched:
        page, before = watched.page, watched.page.url
        page.keyboard.press("ArrowRight")
        assert "day 1, 08:00" == page.locator("#clock").inner_text()
        page.locator("#stage-0").click(position={"x": 3, "y": 3})
        page.keyboard.press("ArrowRight")
        page.wait_for_timeout(150)
        assert "day 1, 08:06" == page.locator("#clock").inner_text()
        page.locator("#viewer details summary").first.click()
        assert "Ada" == page.locator("#people-0 button").first.inner_text()
        page.select_option("#choice", "1")
        page.wait_for_timeout(150)
        assert "Cem" == page.locator("#people-0 button").first.inner_text()
        assert 2 == page.locator("#people-0 tr").count()
        assert ["everybody", "Cem", "Dora"] == page.locator("#follow option").all_inner_texts()
        assert "day 1, 08:00" == page.locator("#clock").inner_text()
        assert before == page.url
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        keep(page, f"report-episodes-{width}")
        watched.assert_silent()


def test_without_scripts_the_episodes_are_sentences(playing: Path, open_page: Any) -> None:
    """No dead control stands beside them."""
    with open_page(playing, scripts=False) as watched:
        page = watched.page
        assert page.get_by_role("heading", name="The largest gain: episode 3 of hamlet").is_visible()
        assert not page.locator("#viewer").is_visible()
        watched.assert_silent()
