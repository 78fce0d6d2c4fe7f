"""A headless Chromium for pages: `tox -e browser` runs these tests, other environments skip them.

They need Playwright and a Chromium; `tox -e browser` installs both, and fails where it cannot (`TOWNLET_BROWSER`).
`TOWNLET_SCREENSHOTS=FOLDER` keeps the screenshots.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from chromium import find_chromium


@define
class Watched:
    """A page in a browser, and everything that it said or asked for."""

    page: Any
    """Playwright's page."""
    complaints: list[str] = field(factory=list)
    """Errors and warnings of the console, errors of scripts, dialogs."""
    requests: list[str] = field(factory=list)
    """Addresses that were asked for, the page's own left out."""

    def assert_silent(self) -> None:
        """Fail where the page complained or asked for anything."""
        assert ([], []) == (self.complaints, self.requests)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Return a headless Chromium; skip where there is none, or no Playwright, unless it is required."""
    if os.environ.get("TOWNLET_BROWSER") == "required":
        import playwright.sync_api as playwright
    else:
        playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: tox -e browser")
    with playwright.sync_playwright() as driver:
        path = find_chromium(driver.chromium.executable_path)
        if path is None:
            missing = "needs Chromium: apt-get install chromium, or python tests/browser/chromium.py"
            (pytest.fail if os.environ.get("TOWNLET_BROWSER") == "required" else pytest.skip)(missing)
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


Open = Callable[..., Any]


@pytest.fixture
def open_page(chromium: Any) -> Open:
    """Return what opens a file in the browser and watches it, for a with statement."""

    @contextmanager
    def opened(
        path: Path, *, width: int = 1280, dark: bool = False, scripts: bool = True, height: int = 900
    ) -> Iterator[Watched]:
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
        )
        watched = Watched(context.new_page())
        address = path.as_uri()
        watched.page.on("console", lambda message: watched.complaints.append(message.text))
        watched.page.on("pageerror", lambda error: watched.complaints.append(str(error)))
        watched.page.on("dialog", lambda dialog: (watched.complaints.append(dialog.message), dialog.dismiss()))
        watched.page.on("request", lambda request: _note(watched, request.url, address))
        watched.page.goto(address)
        yield watched
        context.close()

    return opened


def _note(watched: Watched, url: str, own: str) -> None:
    """Note a request; the page itself, what is inside it, and the text of a frame are none."""
    if url.partition("#")[0] != own and not url.startswith(("data:", "about:srcdoc")):
        watched.requests.append(url)


@pytest.fixture
def keep(tmp_path: Path) -> Callable[[Any, str], None]:
    """Return a function that keeps a screenshot of a whole page under a name."""
    folder = Path(os.environ.get("TOWNLET_SCREENSHOTS", tmp_path))

    def screenshot(page: Any, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(folder / f"{name}.png"), full_page=True)

    return screenshot
