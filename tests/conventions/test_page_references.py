"""A page that names a definition as `FILE::NAME` names one that exists."""

import ast
import re
from pathlib import Path

import pytest
from pages import PAGES
from places import ROOT

REFERENCE = re.compile(r"`([\w/]+\.py)::([\w.]+)`")
REFERENCES = sorted(
    {
        (str(page.relative_to(ROOT)), file, name)
        for page in PAGES
        for file, name in REFERENCE.findall(page.read_text(encoding="utf-8"))
    }
)


def definitions(file: Path) -> set[str]:
    """Return the functions, classes and methods of a file; a method is `CLASS.METHOD`."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    tree = ast.parse(file.read_text(encoding="utf-8"))
    top = [node for node in tree.body if isinstance(node, kinds)]
    methods = {f"{node.name}.{inner.name}" for node in top for inner in node.body if isinstance(inner, kinds)}
    return {node.name for node in top} | methods


@pytest.mark.parametrize(("page", "file", "name"), REFERENCES, ids=lambda value: value)
def test_a_definition_that_a_page_names_exists(page: str, file: str, name: str) -> None:
    """The file stands in `src/townlet/` and defines the function, class or method."""
    path = ROOT / "src" / "townlet" / file

    assert path.is_file(), f"{page} names {file}, which does not exist in src/townlet/"
    assert name in definitions(path), f"{page} names {file}::{name}, which {file} does not define"


def test_the_page_on_ppo_names_each_kernel() -> None:
    """Each function of the hand-written gradient stands on the page, except a layer's forward pass."""
    page = {(file, name) for page, file, name in REFERENCES if page == "docs/reference/ppo.md"}
    rooms = ("gradient/loss_kernels.py", "gradient/trunks.py", "distributions/backward.py")
    missing = [
        definitions(ROOT / "src" / "townlet" / "policy" / room) - {name for file, name in page if file.endswith(room)}
        for room in rooms
    ]

    assert [set(), {"bias_relu", "trunk_forward", "wide_forward"}, {"_mask_and_shift"}] == missing
