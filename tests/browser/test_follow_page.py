"""The page of a run that goes on, in a browser: it reads itself again and stays where the reader is."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from golden_runs import GOLDEN, facts_of

pytest.importorskip("jinja2")

from townlet.machine.audit.report_facts import ReportFacts
from townlet.report.html.run_page import run_page


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
    path.write_text(run_page(facts, reload_seconds=1), encoding="utf-8")
    with open_page(path, scripts=scripts) as opened:
        page = opened.page
        assert "reloads itself every 1 s" in page.inner_text("header")
        page.mouse.wheel(0, 1500)
        page.wait_for_timeout(300)
        place = page.locator("#kpis").bounding_box()["y"]
        with page.expect_navigation(timeout=10_000):
            pass
        page.wait_for_timeout(200)
        assert place == pytest.approx(page.locator("#kpis").bounding_box()["y"], abs=2)
        path.write_text(run_page(facts), encoding="utf-8")
        page.locator("meta[http-equiv=refresh]").wait_for(state="detached", timeout=10_000)
        assert "reloads itself" not in page.inner_text("header")
        reloads: list[str] = []
        page.on("load", lambda: reloads.append("again"))
        page.wait_for_timeout(2_500)
        assert [] == reloads
        opened.assert_silent()
