"""Fields that hold arrays, with dtype and named axes."""

from functools import cache
from itertools import takewhile
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from townlet.dto.problems import Problem, RecordError

__all__ = ["AXES", "DTYPE", "array"]

AXES = "axes"
DTYPE = "dtype"


def _read_only(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    view = value.view()
    view.flags.writeable = False
    return view


def _refusal(instance: Any, attribute: "attrs.Attribute[Any]", message: str) -> RecordError:
    return RecordError(type(instance).__name__, (Problem((attribute.name,), message),))


def _check_array(instance: Any, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    axes, dtypes = attribute.metadata[AXES], attribute.metadata[DTYPE]
    if not isinstance(value, np.ndarray):
        raise _refusal(instance, attribute, f"expected an array [{' '.join(axes)}], found {type(value).__name__}")
    if value.dtype not in dtypes:
        raise _refusal(instance, attribute, f"expected dtype {' or '.join(map(str, dtypes))}, found {value.dtype}")
    if value.ndim != len(axes):
        raise _refusal(instance, attribute, f"expected axes [{' '.join(axes)}], found shape {value.shape}")
    sizes = dict(zip(axes, value.shape, strict=True))
    for name, other_axes in _earlier_arrays(instance.__class__, attribute.name):
        for axis, size in zip(other_axes, getattr(instance, name).shape, strict=True):
            if sizes.get(axis, size) != size:
                raise _refusal(instance, attribute, f"axis {axis} is {sizes[axis]}, but {size} in {name}")


@cache
def _earlier_arrays(record: type, name: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return name and axes of the array fields before one, looked up once: records are built at every decision."""
    fields = takewhile(lambda field: field.name != name, attrs.fields(record))
    return tuple((field.name, field.metadata[AXES]) for field in fields if AXES in field.metadata)


def _same_array(left: NDArray[Any], right: NDArray[Any]) -> bool:
    return bool(np.array_equal(left, right))


def array(axes: str, *dtypes: Any, default: Any = attrs.NOTHING) -> Any:
    """Return a read-only array field with named axes, for example ``array("W N F", np.float32)``.

    Of several `dtypes` any is accepted. A record is refused (RecordError) for a wrong dtype, a wrong rank, or an axis
    whose size differs from that of the same letter in an earlier field.
    """
    return attrs.field(
        default=default,
        converter=_read_only,
        validator=_check_array,
        eq=attrs.cmp_using(eq=_same_array),
        hash=False,
        metadata={AXES: tuple(axes.split()), DTYPE: tuple(np.dtype(each) for each in dtypes)},
    )
