"""Reference pages that are made from the code: `python docs/_extensions/reference_pages.py` writes them.

They are stored, so that a code forge shows them too; a test compares each with the code that it is made from.
"""

from collections.abc import Callable
from pathlib import Path

from interface_pages import api_page, errors_page
from markdown_tables import ROOT
from record_pages import metrics_page, records_page, results_page
from schedule_pages import guards_page, schedule_page

__all__ = ["PAGES", "path_of"]

PAGES: dict[str, Callable[[], str]] = {
    "api": api_page,
    "errors": errors_page,
    "guards": guards_page,
    "journal_records": records_page,
    "metrics": metrics_page,
    "results": results_page,
    "schedule": schedule_page,
}
"""Name of each page in docs/reference, and the function that makes it."""


def path_of(name: str) -> Path:
    """Return where a page is stored."""
    return ROOT / "docs" / "reference" / f"{name}.md"


if __name__ == "__main__":
    for page, make in PAGES.items():
        path_of(page).write_text(make(), encoding="utf-8")
