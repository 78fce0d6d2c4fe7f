"""Pages that are made from the code are what the code makes, and each page is listed in the contents."""

import re

import pytest
from pages import PAGES, blocks, links
from places import ROOT
from reference_pages import PAGES as MADE
from reference_pages import path_of
from ruamel.yaml import YAML

import townlet
from townlet.dto.codec import converter
from townlet.dto.guards import GUARD_KINDS, GuardSpec

INDEX = ROOT / "docs" / "index.md"


@pytest.mark.parametrize("name", MADE)
def test_a_page_that_is_made_from_the_code_is_up_to_date(name: str) -> None:
    """Where this fails, run `python docs/_extensions/reference_pages.py`."""
    assert MADE[name]() == path_of(name).read_text(encoding="utf-8")


def test_the_examples_of_guards_are_of_their_kinds() -> None:
    """Each kind has one example, which the reader of schedules takes for a guard of that kind."""
    examples = [YAML(typ="safe", pure=True).load(text)["guards"] for text in blocks(path_of("guards"), "yaml")]
    guards = [converter.structure(guard, GuardSpec) for example in examples for guard in example.values()]

    assert list(GUARD_KINDS) == [type(guard) for guard in guards]


def test_every_public_name_is_documented_once() -> None:
    """What `dir(townlet)` promises stands on the page of the interface, under its public name."""
    shown = re.findall(r"^\.\. auto\w+:: townlet\.(\w+)$", path_of("api").read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(name for name in townlet.__all__ if name != "__version__") == sorted(shown)


def test_the_contents_list_every_page_once() -> None:
    """A page that is not listed has no place in the navigation."""
    text = INDEX.read_text(encoding="utf-8")
    listed = re.findall(r"^- \[[^\]]+\]\(([^)#]+)\)", text, re.MULTILINE)
    pages = {page.resolve() for page in PAGES} | set((ROOT / "docs").rglob("*.ipynb"))

    assert sorted(pages - {INDEX}) == sorted((INDEX.parent / target).resolve() for target in listed)
    assert set(listed) <= set(links(INDEX))
