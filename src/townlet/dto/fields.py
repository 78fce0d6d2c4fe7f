"""Kinds of record fields: metrics with unit and direction, and the words beneath them."""

import ast
import inspect
import textwrap
from enum import StrEnum
from functools import cache
from typing import Any

import attrs

__all__ = ["Direction", "field_docs", "is_semantic", "metric", "nonsemantic"]

UNIT = "unit"
DIRECTION = "direction"
LOW = "low"
HIGH = "high"
SEMANTIC = "semantic"
SINCE = "since"


class Direction(StrEnum):
    """Which way a metric improves."""

    HIGHER = "higher"
    LOWER = "lower"
    NONE = "none"


def metric(
    unit: str,
    better: Direction = Direction.NONE,
    *,
    low: float | None = None,
    high: float | None = None,
    default: Any = attrs.NOTHING,
    semantic: bool = True,
    since: int = 1,
) -> Any:
    """Return a field that guards may judge: its unit, better direction and range travel in the metadata.

    `low` and `high` are the least and the largest value it can have; `check` refuses a limit that no value in between
    can reach. `semantic=False` marks what may differ between two runs of the same bits (durations, rates).
    `since` is the version of the record that added the metric: at its default it is no part of the semantic hash.
    """
    metadata = {UNIT: unit, DIRECTION: better, LOW: low, HIGH: high, SEMANTIC: semantic, SINCE: since}
    return attrs.field(default=default, metadata=metadata)


def nonsemantic(default: Any = attrs.NOTHING) -> Any:
    """Return a field that two equal runs may disagree on (times, paths, pids); the semantic hash leaves it out."""
    return attrs.field(default=default, metadata={SEMANTIC: False})


def is_semantic(attribute: "attrs.Attribute[Any]") -> bool:
    """Tell whether a field belongs to what two equal runs must agree on."""
    return bool(attribute.metadata.get(SEMANTIC, True))


@cache
def field_docs(cls: type) -> dict[str, str]:
    """Return the docstring under each field of a record, inherited ones first.

    The same sentence feeds the command line's help, the JSON Schema and the reference page.
    """
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not attrs.has(base) or "__attrs_attrs__" not in vars(base):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef)
        for statement, following in zip(body.body, body.body[1:], strict=False):
            if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
                continue
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                docs[statement.target.id] = inspect.cleandoc(str(following.value.value))
    return docs
