"""Find a Chromium for the browser tests, and install one where there is none: `python tests/browser/chromium.py`.

`tox -e browser` runs it first. As root it asks Debian's `apt-get`, else, or where that fails, Playwright for its own.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["find_chromium", "install_chromium"]

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium(bundled: str) -> str | None:
    """Return the path of the system's Chromium, else of Playwright's own, which is `bundled`; None without either."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    return found or (bundled if Path(bundled).is_file() else None)


def install_chromium(bundled: str, ways: Sequence[Sequence[Sequence[str]]]) -> str:
    """Return a Chromium's path; where there is none, try each way, a list of commands, until there is one.

    SystemExit with what each way came to, and what to do.
    """
    failures = []
    for commands in ((), *ways):
        failed = next((words for words in commands if not _succeeds(words)), None)
        if failed is not None:
            failures.append(f"`{' '.join(failed)}` failed")
        elif (path := find_chromium(bundled)) is not None:
            return path
        elif commands:
            failures.append(f"`{' '.join(commands[-1])}` installed none")
    tried = "; ".join(failures) or "nothing could be tried"
    raise SystemExit(f"no Chromium was found, and none could be installed ({tried}); run: apt-get install chromium")


def _succeeds(words: Sequence[str]) -> bool:
    try:
        return subprocess.run(words, check=False).returncode == 0
    except OSError:
        return False


def _ways() -> list[list[list[str]]]:
    own = [[[sys.executable, "-m", "playwright", "install", "chromium"]]]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return own
    install = ["apt-get", "install", "--yes", "--no-install-recommends", "chromium"]
    return [[install], [["apt-get", "update"], install], *own]


if __name__ == "__main__":
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        own_chromium = driver.chromium.executable_path
    print(install_chromium(own_chromium, _ways()))  # noqa: T201
