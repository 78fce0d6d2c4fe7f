"""Kinds of record fields: metrics with unit and direction, arrays with dtype and axes, and the words beneath them."""

import ast
import inspect
import textwrap
from enum import StrEnum
from functools import cache
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

__all__ = ["Direction", "array", "field_docs", "is_semantic", "metric", "nonsemantic"]

AXES = "axes"
DTYPE = "dtype"
UNIT = "unit"
DIRECTION = "direction"
LOW = "low"
HIGH = "high"
SEMANTIC = "semantic"


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
) -> Any:
    """Return a field that guards may judge: its unit, better direction and range travel in the metadata.

    `low` and `high` are the least and the largest value it can have; `check` refuses a limit that no value in between
    can reach. `semantic=False` marks what may differ between two runs of the same bits (durations, rates).
    """
    metadata = {UNIT: unit, DIRECTION: better, LOW: low, HIGH: high, SEMANTIC: semantic}
    return attrs.field(default=default, metadata=metadata)


def nonsemantic(default: Any = attrs.NOTHING) -> Any:
    """Return a field that two equal runs may disagree on (times, paths, pids); the semantic hash leaves it out."""
    return attrs.field(default=default, metadata={SEMANTIC: False})


def is_semantic(attribute: "attrs.Attribute[Any]") -> bool:
    """Tell whether a field belongs to what two equal runs must agree on."""
    return bool(attribute.metadata.get(SEMANTIC, True))


def _read_only(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    view = value.view()
    view.flags.writeable = False
    return view


def _check_array(instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    where = f"{type(instance).__name__}.{attribute.name}"
    axes, dtype = attribute.metadata[AXES], attribute.metadata[DTYPE]
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{where}: expected an array [{' '.join(axes)}], found {type(value).__name__}")
    if value.dtype != dtype:
        raise TypeError(f"{where}: expected dtype {dtype}, found {value.dtype}")
    if value.ndim != len(axes):
        raise ValueError(f"{where}: expected axes [{' '.join(axes)}], found shape {value.shape}")
    sizes = dict(zip(axes, value.shape, strict=True))
    for other in attrs.fields(type(instance)):
        if other.name == attribute.name:
            break
        if AXES not in other.metadata:
            continue
        shape = getattr(instance, other.name).shape
        for axis, size in zip(other.metadata[AXES], shape, strict=True):
            if sizes.get(axis, size) != size:
                raise ValueError(f"{where}: axis {axis} is {sizes[axis]}, but {size} in {other.name}")


def _same_array(left: NDArray[Any], right: NDArray[Any]) -> bool:
    return bool(np.array_equal(left, right))


def array(axes: str, dtype: Any, *, default: Any = attrs.NOTHING) -> Any:
    """Return a read-only array field with named axes, for example ``array("W N F", np.float32)``.

    Raises (when the record is built) TypeError for a wrong dtype, ValueError for a wrong rank or for an axis whose
    size differs from that of the same letter in an earlier field.
    """
    return attrs.field(
        default=default,
        converter=_read_only,
        validator=_check_array,
        eq=attrs.cmp_using(eq=_same_array),
        hash=False,
        metadata={AXES: tuple(axes.split()), DTYPE: np.dtype(dtype)},
    )


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
