"""Renew the pictures of the documentation: `python tests/browser/docs_pictures.py FOLDER`.

FOLDER holds pages, and what is missing there keeps its picture: ``promoted.html``, ``held.html``, ``rolled-back.html``,
``cartpole.html`` and ``crashed.html`` of `townlet report`, ``play.html`` of `townlet play`.
"""

import sys
from pathlib import Path
from typing import Any

from chromium import find_chromium

DOCS = Path(__file__).parents[2] / "docs"
REPORT = DOCS / "reference" / "report"
# Page, where its picture is stored, width, height, whether it is dark.
PICTURES: tuple[tuple[str, Path, int, int, bool], ...] = (
    ("promoted", REPORT / "promoted.png", 1280, 1400, False),
    ("promoted", REPORT / "promoted-phone.png", 375, 800, False),
    ("promoted", REPORT / "reward.png", 1280, 900, False),
    ("held", REPORT / "held.png", 1280, 760, False),
    ("rolled-back", REPORT / "rolled-back.png", 1280, 760, False),
    ("cartpole", REPORT / "cartpole.png", 1280, 760, False),
    ("crashed", REPORT / "crashed-dark.png", 1280, 700, True),
    ("promoted", REPORT / "episodes.png", 1280, 900, False),
    ("promoted", REPORT / "episodes-phone.png", 375, 800, False),
    ("play", DOCS / "howto" / "watch.png", 1100, 690, False),
    ("play", DOCS / "howto" / "watch_phone.png", 375, 812, True),
)


def _viewer(page: Any, path: Path) -> None:
    """Show the episodes of a report some hours after their beginning."""
    page.locator("#scrub").fill("960")
    page.wait_for_timeout(300)
    page.locator("#viewer").screenshot(path=path)


def _maps(page: Any, path: Path) -> None:
    """Show a conflict of a page of `townlet play`, with the maps at the top."""
    page.goto(f"{page.url}#t=470")
    page.locator("#next").click()
    page.evaluate("document.querySelector('.stages').scrollIntoView()")
    page.wait_for_timeout(300)
    page.screenshot(path=path)


def _terms(page: Any, path: Path) -> None:
    """Show what the reward consists of."""
    page.locator("section[aria-labelledby=terms]").screenshot(path=path)


def _first_screen(page: Any, path: Path) -> None:
    page.screenshot(path=path)


_TAKERS = {"episo": _viewer, "watch": _maps, "rewar": _terms}
"""By the first letters of a picture's name."""


def main(folder: Path) -> None:
    """Make every picture whose page is there."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        path = find_chromium(driver.chromium.executable_path)
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for name, picture, width, height, dark in PICTURES:
            source = folder / f"{name}.html"
            if not source.is_file():
                continue
            page = browser.new_page(
                viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
            )
            page.goto(source.resolve().as_uri())
            _TAKERS.get(picture.stem[:5], _first_screen)(page, picture)
            page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
