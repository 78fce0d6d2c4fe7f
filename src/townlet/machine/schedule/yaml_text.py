"""Writer of YAML: plain data as text, and values set in a text whose comments stay."""

import io
from collections.abc import Iterable
from typing import Any

from ruamel.yaml import YAML

from townlet.machine.schedule.yaml_source import read

__all__ = ["dump", "edit"]

_WIDTH = 4096
"""Columns of a line; a shorter one would break lines that nobody edited."""


def dump(plain: object) -> bytes:
    """Return plain data as YAML in block style."""
    text, yaml = io.BytesIO(), YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.dump(plain, text)
    return text.getvalue()


def edit(text: bytes, edits: Iterable[tuple[tuple[str | int, ...], str]], data: Any) -> bytes:
    """Return YAML with values, themselves YAML, set at paths; what it must mean afterwards is `data`.

    Comments and order stay. Where the edited text would mean something else, `data` is written anew, without comments.
    """
    yaml, edited = YAML(), io.BytesIO()
    yaml.preserve_quotes, yaml.width = True, _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    tree = yaml.load(text.decode("utf-8-sig"))
    for (*above, last), value in edits:
        block = tree
        for key in above:
            if not isinstance(block, list) and block.get(key) is None:
                block[key] = {}
            block = block[key]
        block[last] = YAML().load(value)
    yaml.dump(tree, edited)
    return edited.getvalue() if repr(read(edited.getvalue()).data) == repr(data) else dump(data)
