"""The arrays of one shard of worlds in memory that two processes share."""

import mmap
import os
import tempfile
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import numpy as np

from townlet.dto.array_fields import AXES, DTYPE
from townlet.dto.boundary import ObservationBatchDTO, StepResult
from townlet.ports import EnvironmentDescription, Tallies

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SharedBlock", "anonymous_file", "gather"]

R = TypeVar("R", ObservationBatchDTO, StepResult, Tallies)

_ALIGNMENT = 64
"""Bytes of a cache line: each array begins on one of its own."""


_FIELDS: "dict[type, tuple[attrs.Attribute[Any], ...]]" = {
    record: tuple(field for field in attrs.fields(record) if AXES in field.metadata)
    for record in (ObservationBatchDTO, StepResult, Tallies)
}
"""The fields with arrays of the records that cross at every decision."""


def anonymous_file() -> int:
    """Return the descriptor of a file in memory without a name: it goes with the last process that holds it.

    Where the system has none, an unlinked temporary file takes its place.
    """
    if hasattr(os, "memfd_create"):
        return os.memfd_create("townlet")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class SharedBlock:
    """What a shard of W worlds is told (`actions`, `chosen`) and what it answers: the arrays of the three records."""

    def __init__(self, description: EnvironmentDescription, worlds: int, descriptor: int) -> None:
        """Map the file of a descriptor, which grows where it is too small; it never shrinks under another process."""
        spec = description.actions
        sizes = {
            "W": worlds,
            "N": description.agents,
            "F": len(description.features),
            "A": spec.logits,
            "M": len(description.metrics),
        }
        kinds: dict[str, tuple[Any, tuple[int, ...]]] = {
            "actions": (spec.dtype, (worlds, description.agents, spec.columns)),
            "chosen": (np.dtype(np.bool_), (worlds,)),
        }
        for fields in _FIELDS.values():
            for field in fields:
                kinds[field.name] = field.metadata[DTYPE][0], tuple(sizes[axis] for axis in field.metadata[AXES])
        offsets, end = dict[str, int](), 0
        for name, (dtype, shape) in kinds.items():
            offsets[name] = end
            end += -(-dtype.itemsize * prod(shape) // _ALIGNMENT) * _ALIGNMENT
        if os.fstat(descriptor).st_size < end:
            os.ftruncate(descriptor, end)
        memory = mmap.mmap(descriptor, end)
        self.arrays: dict[str, NDArray[Any]] = {
            name: np.ndarray(shape, dtype, buffer=memory, offset=offsets[name])
            for name, (dtype, shape) in kinds.items()
        }
        """The arrays by the names of the records' fields; they keep the memory mapped."""

    def write(self, record: ObservationBatchDTO | StepResult | Tallies) -> None:
        """Copy the arrays of a record into the block; ValueError for another shape."""
        for field in _FIELDS[type(record)]:
            values, place = getattr(record, field.name), self.arrays[field.name]
            if values.shape != place.shape:
                raise ValueError(f"{field.name} of shape {list(values.shape)}, expected {list(place.shape)}")
            place[...] = values


def gather(record: type[R], blocks: list[SharedBlock], **parts: Any) -> R:
    """Return a record of the worlds of all blocks in order, as a copy; `parts` are its fields without arrays."""
    for field in _FIELDS[record]:
        shards = [block.arrays[field.name] for block in blocks]
        parts[field.name] = np.concatenate(shards, axis=field.metadata[AXES].index("W"))
    return record(**parts)
