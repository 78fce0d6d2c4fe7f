"""The built site: it asks nobody for anything, its links lead somewhere, and every page is in its navigation.

`tox -e docs` builds it and says where it is; elsewhere there is nothing to look at.
"""

import os
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from places import ROOT

SITE = Path(os.environ.get("TOWNLET_SITE", ""))
PAGES = sorted(SITE.rglob("*.html")) if SITE != Path() else []
pytestmark = pytest.mark.skipif(SITE == Path(), reason="tox -e docs builds the site")
LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("use", "href")}
PASSIVE = {"canonical", "search", "index", "next", "prev"}


class Page(HTMLParser):
    """What a page loads, where its links lead, and the names of its places."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag asks for."""
        given = dict(attrs)
        self.places |= {place for key in ("id", "name") if (place := given.get(key))}
        for key, value in attrs:
            if value and (tag, key) in LOADED and given.get("rel") not in PASSIVE:
                self.loaded.append(value)
        if tag == "a" and (target := given.get("href")):
            self.links.append(target)


@cache
def page(path: Path) -> Page:
    """Return a page, read once."""
    return Page(path)


def _elsewhere(target: str) -> bool:
    return bool(urlsplit(target).netloc) or urlsplit(target).scheme in {"http", "https", "data", "mailto"}


def test_it_has_the_pages_of_the_repository() -> None:
    """The front page, and one for each Markdown page; the entrance leads to the contents."""
    names = {path.relative_to(SITE).with_suffix("").as_posix() for path in PAGES}
    sources = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.ipynb")]

    assert {source.relative_to(ROOT).with_suffix("").as_posix() for source in sources} <= names
    assert "url=docs/index.html" in (SITE / "index.html").read_text(encoding="utf-8")


def test_no_page_asks_another_host() -> None:
    """No script, style, font, picture or frame comes from elsewhere, and no style sheet or script loads one."""
    foreign = {
        f"{path.relative_to(SITE)}: {target}" for path in PAGES for target in page(path).loaded if _elsewhere(target)
    }
    files = [*SITE.rglob("*.css"), *(SITE / "_static").rglob("*.js")]
    pattern = re.compile(r"(?:@import|url\(|fetch\(|importScripts\(|\.src ?=)[ \"']*(?:https?:)?//[^\s\"')]+")
    calls = {f"{file.name}: {found}" for file in files for found in pattern.findall(file.read_text(encoding="utf-8"))}

    assert set() == {target for target in foreign if ": data:" not in target}
    assert set() == calls


def test_the_machine_of_the_front_page_is_drawn() -> None:
    """Mermaid's text stands there for code forges; the site shows the picture of `townlet graph --format svg`."""
    text = (SITE / "README.html").read_text(encoding="utf-8")

    assert '<svg xmlns="http://www.w3.org/2000/svg"' in text
    assert "2. to promote if better and rarely_worse" in text
    assert "stateDiagram-v2" not in text


def test_every_link_leads_to_a_file_and_a_place_in_it() -> None:
    """As a browser follows it, from the file system too."""
    lost = []
    for path in PAGES:
        for target in page(path).links:
            if _elsewhere(target):
                continue
            file, _, place = target.partition("#")
            goal = (path.parent / unquote(file)).resolve() if file else path.resolve()
            if not goal.is_file() or (place and goal.suffix == ".html" and unquote(place) not in page(goal).places):
                lost.append(f"{path.relative_to(SITE)}: {target}")

    assert [] == lost


def test_every_page_is_in_the_navigation_of_every_page() -> None:
    """The side bar of the contents leads to each page."""
    contents = SITE / "docs" / "index.html"
    reached = {(contents.parent / target.partition("#")[0]).resolve() for target in page(contents).links}
    made_by_sphinx = {"genindex", "search", "index", "py-modindex"}

    assert {path.resolve() for path in PAGES if path.parent != SITE or path.stem not in made_by_sphinx} - reached <= {
        contents.resolve()
    }
