"""Fields that hold arrays, with dtype and named axes."""

from functools import cache
from itertools import takewhile
from typing import Any, TypeVar

import attrs
import numpy as np
from numpy.typing import NDArray

from townlet.dto.problems import Problem, RecordError

__all__ = ["AXES", "DTYPE", "array", "trusted"]

T = TypeVar("T")

AXES = "axes"
DTYPE = "dtype"


def _refusal(instance: Any, attribute: "attrs.Attribute[Any]", message: str) -> RecordError:
    return RecordError(type(instance).__name__, (Problem((attribute.name,), message),))


def _checked(value: Any, instance: Any, attribute: "attrs.Attribute[Any]") -> NDArray[Any]:
    """Return an array as a read-only view; it is checked against the fields before it, which are set already."""
    axes, dtypes, shared = _expected(instance.__class__, attribute.name)
    if not isinstance(value, np.ndarray):
        raise _refusal(instance, attribute, f"expected an array [{' '.join(axes)}], found {type(value).__name__}")
    if value.dtype not in dtypes:
        raise _refusal(instance, attribute, f"expected dtype {' or '.join(map(str, dtypes))}, found {value.dtype}")
    shape = value.shape
    if len(shape) != len(axes):
        raise _refusal(instance, attribute, f"expected axes [{' '.join(axes)}], found shape {shape}")
    for place, name, other_place in shared:
        size = getattr(instance, name).shape[other_place]
        if shape[place] != size:
            raise _refusal(instance, attribute, f"axis {axes[place]} is {shape[place]}, but {size} in {name}")
    view = value.view()
    view.setflags(write=False)
    return view


@cache
def _expected(record: type, name: str) -> tuple[tuple[str, ...], tuple[Any, ...], tuple[tuple[int, str, int], ...]]:
    """Return the axes and dtypes of an array field, and where each axis that it shares stands in an earlier field.

    They are looked up once: records are built at every decision. One earlier field is enough for an axis, for those
    before agree with each other.
    """
    first: dict[str, tuple[str, int]] = {}
    for field in takewhile(lambda field: field.name != name, attrs.fields(record)):
        for place, axis in enumerate(field.metadata.get(AXES, ())):
            first.setdefault(axis, (field.name, place))
    metadata = getattr(attrs.fields(record), name).metadata
    axes: tuple[str, ...] = metadata[AXES]
    shared = tuple((place, *first[axis]) for place, axis in enumerate(axes) if axis in first)
    return axes, metadata[DTYPE], shared


def _same_array(left: NDArray[Any], right: NDArray[Any]) -> bool:
    return bool(np.array_equal(left, right))


def array(axes: str, *dtypes: Any, default: Any = attrs.NOTHING) -> Any:
    """Return a read-only array field with named axes, for example ``array("W N F", np.float32)``.

    Of several `dtypes` any is accepted. A record is refused (RecordError) for a wrong dtype, a wrong rank, or an axis
    whose size differs from that of the same letter in an earlier field.
    """
    return attrs.field(
        default=default,
        converter=attrs.Converter(_checked, takes_self=True, takes_field=True),
        eq=attrs.cmp_using(eq=_same_array),
        hash=False,
        metadata={AXES: tuple(axes.split()), DTYPE: tuple(np.dtype(each) for each in dtypes)},
    )


def trusted(record: type[T], **fields: Any) -> T:
    """Return a record without checking it, of arrays that were made for it: nobody may write to them from here on.

    It is for an environment that builds records of its own arrays at every decision, where checks would take longer
    than the decision of one world. All fields must be given, and a test must build the same record with its checks.
    """
    built = object.__new__(record)
    for name, value in fields.items():
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
        object.__setattr__(built, name, value)
    return built
