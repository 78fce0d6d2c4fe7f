"""Markdown tables of records, and the sentence under each page that says where it comes from."""

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from townlet.dto.evolution import disk_name
from townlet.dto.fields import field_docs, is_semantic

__all__ = ["BUILT_IN", "FIELDS", "MADE", "ROOT", "field_rows", "first_sentence", "table"]

ROOT = Path(__file__).parents[2]
MADE = "This page is generated from the code (`{}`) by `python docs/_extensions/reference_pages.py`."
BUILT_IN = ("capture", "replay", "bc", "ppo", "evaluate", "promote", "rollback")
FIELDS = ("field", "meaning", "type", "in the semantic hash")
"""Heading of a table of `field_rows`."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table and an empty line; a bar within a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines] + [""]


def _cell(text: str) -> str:
    return " ".join(text.replace("``", "`").split()).replace("|", r"\|")


def first_sentence(cls: type) -> str:
    """Return the first paragraph of a class's docstring."""
    return inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0].replace("\n", " ").replace("``", "`")


def _type(annotation: Any) -> str:
    """Return a field's type as the source writes it, without the modules of its names."""
    text = annotation.__name__ if isinstance(annotation, type) and "[" not in str(annotation) else str(annotation)
    return f"`{re.sub(r'(?:[a-z_]+[.])+', '', text).replace('NoneType', 'None')}`"


def field_rows(cls: type) -> Iterator[list[str]]:
    """Yield name, meaning, type and a place in the semantic hash of each field of a record."""
    docs = field_docs(cls)
    for field in attrs.fields(cls):
        yield [f"`{disk_name(field)}`", docs[field.name], _type(field.type), "yes" if is_semantic(field) else "no"]
