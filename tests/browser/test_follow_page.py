"""The page of a run that goes on, in a browser: it reads itself again and stays where the reader is."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from golden_runs import GOLDEN, facts_of

pytest.importorskip("jinja2")

from townlet.machine.audit.report_facts import ReportFacts
from townlet.report.following import Following
from townlet.report.html.run_page import run_page

NOW = datetime(2026, 11, 27, 12, 0, 1, tzinfo=UTC)
EACH_SECOND = Following(seconds=1, written_at=NOW)


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> ReportFacts:
    """What a report says of the golden run."""
    return facts_of(shutil.copytree(GOLDEN, tmp_path_factory.mktemp("golden") / "home"))


@pytest.mark.parametrize("scripts", [True, False])
def test_a_page_that_follows_reloads_in_place_until_the_last_one(
    facts: ReportFacts, tmp_path: Path, open_page: Any, scripts: bool
) -> None:
    """From `file://`, with scripts and without: new content, the same place on the page, no request, then no reload."""
    path = tmp_path / "report.html"
    path.write_text(run_page(facts, following=EACH_SECOND), encoding="utf-8")
    with open_page(path, scripts=scripts) as opened:
        page = opened.page
        assert "this page was written at 2026-11-27 12:00:01 UTC" in page.inner_text("header")
        assert "reloads itself every 1 s" in page.inner_text("header")
        page.mouse.wheel(0, 1500)
        page.wait_for_timeout(300)
        place = page.locator("#kpis").bounding_box()["y"]
        with page.expect_navigation(timeout=10_000):
            pass
        page.wait_for_timeout(200)
        assert place == pytest.approx(page.locator("#kpis").bounding_box()["y"], abs=2)
        path.write_text(run_page(facts), encoding="utf-8")
        page.locator("#following").wait_for(state="detached", timeout=10_000)
        assert "reloads itself" not in page.inner_text("header")
        reloads: list[str] = []
        page.on("load", lambda: reloads.append("again"))
        page.wait_for_timeout(2_500)
        assert [] == reloads
        opened.assert_silent()


def test_a_page_that_nobody_writes_any_more_stops_and_says_so(
    facts: ReportFacts, tmp_path: Path, open_page: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A follower that was killed writes no last page: after so many reloads of the same page there is no other."""
    monkeypatch.setattr("townlet.report.following.STILL_SECONDS", 1)
    path = tmp_path / "report.html"
    path.write_text(run_page(facts, following=EACH_SECOND), encoding="utf-8")
    with open_page(path) as opened:
        page, reloads = opened.page, list[str]()
        page.on("load", lambda: reloads.append("again"))
        page.get_by_text("was written at 2026-11-27 12:00:01 UTC and not since").wait_for(timeout=20_000)
        assert EACH_SECOND.most_reloads == len(reloads)
        page.wait_for_timeout(2_500)
        assert EACH_SECOND.most_reloads == len(reloads)
        assert f"townlet report {facts.run} --follow" in page.inner_text("#following")
        later = evolve(EACH_SECOND, written_at=NOW + timedelta(seconds=1))
        path.write_text(run_page(facts, following=later), encoding="utf-8")
        page.reload()
        with page.expect_navigation(timeout=10_000):
            pass
        assert "12:00:02 UTC, is written again" in page.inner_text("header")
        opened.assert_silent()


def test_without_scripts_the_page_says_after_which_time_nobody_follows(
    facts: ReportFacts, tmp_path: Path, open_page: Any
) -> None:
    """A page that cannot count reloads itself even where its follower was killed; it says so, and how to go on."""
    path = tmp_path / "report.html"
    path.write_text(run_page(facts, following=EACH_SECOND), encoding="utf-8")
    sentence = "If you still read 2026-11-27 12:00:01 UTC after 2026-11-27 12:05:01 UTC, nobody follows the run"
    with open_page(path, scripts=False) as opened:
        assert sentence in opened.page.inner_text("header")
        assert f"townlet report {facts.run} --follow" in opened.page.inner_text("header")
        for _ in range(3):
            with opened.page.expect_navigation(timeout=10_000):
                pass
        assert sentence in opened.page.inner_text("header")
        path.write_text(run_page(facts), encoding="utf-8")
        opened.page.locator("#following").wait_for(state="detached", timeout=10_000)
        assert "JavaScript" not in opened.page.inner_text("header")
        opened.assert_silent()
    path.write_text(run_page(facts, following=EACH_SECOND), encoding="utf-8")
    with open_page(path) as opened:
        assert "JavaScript" not in opened.page.inner_text("header")
