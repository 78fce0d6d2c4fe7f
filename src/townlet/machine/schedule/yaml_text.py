"""Writer of YAML: plain data as text, and values set in a text whose comments stay."""

import io
from collections.abc import Iterable, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from townlet.machine.schedule.yaml_source import read

__all__ = ["dump", "edit"]

_WIDTH = 4096
"""Columns of a line; a shorter one would break lines that nobody edited."""
Path = tuple[str | int, ...]


def dump(plain: object) -> bytes:
    """Return plain data as YAML in block style."""
    text, yaml = io.BytesIO(), YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.dump(plain, text)
    return text.getvalue()


def edit(text: bytes, edits: Iterable[tuple[Path, str]], data: Any) -> bytes:
    """Return YAML with values, themselves YAML, set at paths; what it must mean afterwards is `data`.

    Where each value takes the place of another on one line, every other byte stays. Else comments and order stay, but
    not the padding. Where the edited text would mean something else, `data` is written anew, without comments.
    """
    edits = tuple(edits)
    for attempt in (_replaced, _rewritten):
        edited = attempt(text, edits)
        if edited is not None and repr(read(edited).data) == repr(data):
            return edited
    return dump(data)


def _replaced(text: bytes, edits: Sequence[tuple[Path, str]]) -> bytes | None:
    """Return a text in which values of one line were replaced; None where an edit is another one."""
    whole = text.decode()
    for path, value in edits:
        marks = _one_line(whole, path)
        if marks is None or len(value.strip().splitlines()) > 1:
            return None
        start, end = marks
        whole = whole[:start] + (value.strip() or "null") + whole[end:]
    return whole.encode()


def _one_line(text: str, path: Path) -> tuple[int, int] | None:
    """Return where a value begins and ends; None where it is not there, is empty, or spans lines."""
    node = YAML(pure=True).compose(text)
    for key in path:
        if isinstance(node, MappingNode):
            node = next((value for name, value in node.value if name.value == key), None)
        elif isinstance(node, SequenceNode) and isinstance(key, int):
            node = node.value[key]
        else:
            return None
    if not isinstance(node, ScalarNode) and not getattr(node, "flow_style", False):
        return None
    start, end = node.start_mark.index, node.end_mark.index
    return (start, end) if start < end and len(text[start:end].splitlines()) == 1 else None


def _rewritten(text: bytes, edits: Sequence[tuple[Path, str]]) -> bytes:
    """Return a text that was read with its comments, edited, and written again."""
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
    return edited.getvalue()
