"""Sphinx reads the repository's pages as they are: navigation from the index, notebooks, links to folders, diagrams."""

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from myst_parser.sphinx_ import Parser as MystParser
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from townlet.dto.codec import structure
from townlet.dto.schedule import ScheduleSpec
from townlet.machine.schedule.diagram import mermaid
from townlet.machine.schedule.yaml_source import read as read_document
from townlet.report.html.drawing.schedule import schedule_drawing

_HEADING = re.compile(r"^## (.+)$")
_ITEM = re.compile(r"^ *- \[([^\]]+)\]\(([^)#]+)\)")
_REDIRECT = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Townlet</title>'
    '<meta http-equiv="refresh" content="0; url={0}"><a href="{0}">Townlet</a></html>\n'
)


def toctrees(text: str, folder: str) -> str:
    """Return one hidden toctree for each heading of the index: the pages that its list links to, under those words."""
    sections: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if heading := _HEADING.match(line):
            sections.append((heading[1], []))
        elif (item := _ITEM.match(line)) and sections:
            page = os.path.normpath(f"{folder}/{item[2]}").rpartition(".")[0]
            sections[-1][1].append(f"{item[1]} </{page}>")
    trees = (
        "\n".join(("```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```"))
        for caption, pages in sections
        if pages
    )
    return "\n\n".join(trees)


def _add_navigation(app: Sphinx, docname: str, source: list[str]) -> None:
    if docname == app.config.root_doc:
        source[0] += "\n" + toctrees(source[0], docname.rpartition("/")[0]) + "\n"


class NotebookParser(MystParser):
    """Reads a notebook as the Markdown of its cells; the tests run them, and no outputs are stored."""

    supported = ("notebook",)

    def parse(self, inputstring: str, document: nodes.document) -> None:
        """Parse the cells from top to bottom, code as Python."""
        super().parse(notebook_text(json.loads(inputstring)), document)


def notebook_text(notebook: dict[str, Any]) -> str:
    """Return the cells of a notebook as Markdown."""
    cells = ((cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"])
    return "\n\n".join(text if kind == "markdown" else f"```python\n{text}\n```" for kind, text in cells) + "\n"


class FolderLinks(SphinxTransform):
    """Makes links to folders plain text: a code forge shows a folder, and a site has none to show."""

    default_priority = 5

    def apply(self, **_: Any) -> None:
        """Replace each reference that a page makes to a folder of the repository by its text."""
        folder = (Path(self.app.srcdir) / self.env.docname).parent
        for node in list(self.document.findall(addnodes.pending_xref)):
            target = str(node.get("reftarget", ""))
            if target and ":" not in target and (folder / target).is_dir():
                node.replace_self(nodes.literal(text=node.astext()))


_FRAME = '<div class="machine" tabindex="0" role="region" aria-label="Drawing of a machine">'


class DiagramDrawing(SphinxTransform):
    """Shows a Mermaid diagram of a shipped schedule as our own drawing of it: Mermaid's takes a script of another host.

    A diagram of anything else stays text.
    """

    default_priority = 5

    def apply(self, **_: Any) -> None:
        """Replace each diagram by the drawing, or take its language away."""
        for node in list(self.document.findall(nodes.literal_block)):
            if node.get("language") != "mermaid":
                continue
            drawing = _drawings().get(node.astext().strip())
            if drawing is None:
                node["language"] = "text"
            else:
                node.replace_self(nodes.raw(text=f"{_FRAME}{drawing}</div>", format="html"))


@cache
def _drawings() -> dict[str, str]:
    """Return the drawing of each shipped schedule by the text of its diagram."""
    folder = Path(__file__).parents[2] / "schedules"
    texts = (path.read_bytes() for path in sorted(folder.glob("*.yaml")))
    schedules = [structure(read_document(text).data, ScheduleSpec) for text in texts]
    return {mermaid(schedule).strip(): schedule_drawing(schedule) for schedule in schedules}


def _write_entrance(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        target = f"{app.config.root_doc}.html"
        (Path(app.outdir) / "index.html").write_text(_REDIRECT.format(target), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register all of it."""
    app.add_source_suffix(".ipynb", "notebook")
    app.add_source_parser(NotebookParser)
    app.add_transform(FolderLinks)
    app.add_transform(DiagramDrawing)
    app.connect("source-read", _add_navigation)
    app.connect("build-finished", _write_entrance)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
