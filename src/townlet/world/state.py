"""The state of many worlds: one flat buffer, seen as a few arrays of rows.

Arrays of rows have the axes W (worlds), N (agents), O (objects), P (perturbations).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from townlet.dto.town_rules import PERTURBATIONS
from townlet.world.ledger import Ledger
from townlet.world.rows import Agent, Clock, PerturbationState, Relation, TownObject, layout

__all__ = ["State", "Table", "Town", "allocate"]

Row_co = TypeVar("Row_co", covariant=True)


class Table(Protocol[Row_co]):
    """An array of rows with two axes, as the kernels read it."""

    def __len__(self) -> int:
        """Return the length of the first axis."""
        ...

    def __getitem__(self, place: tuple[int, int]) -> Row_co:
        """Return one row."""
        ...


class Town(NamedTuple):
    """State of one world, which every rule reads and changes."""

    clock: Clock
    """Time and random key."""
    ledger: Ledger
    """Counts of the episode."""
    agents: Sequence[Agent]
    """[N]."""
    objects: Sequence[TownObject]
    """[O], the objects."""
    rivalry: NDArray[np.float32]
    """[N, N] in [0, 1], symmetric."""
    ready: NDArray[np.int32]
    """[N, O], the tick from which an agent may use an object again."""
    relations: "Table[Relation]"
    """[N, N], relation i → j."""
    perturbations: Sequence[PerturbationState]
    """[P], the perturbations."""


class State(NamedTuple):
    """All worlds: C-contiguous views of one buffer."""

    clocks: NDArray[Any]
    """[W] of Clock."""
    ledgers: NDArray[Any]
    """[W] of Ledger."""
    agents: NDArray[Any]
    """[W, N] of Agent."""
    objects: NDArray[Any]
    """[W, O] of TownObject."""
    rivalry: NDArray[np.float32]
    """[W, N, N]."""
    ready: NDArray[np.int32]
    """[W, N, O]."""
    relations: NDArray[Any]
    """[W, N, N] of Relation."""
    perturbations: NDArray[Any]
    """[W, P] of PerturbationState."""


def allocate(worlds: int, agents: int, objects: int) -> tuple[NDArray[np.uint8], State]:
    """Return a zeroed buffer and its views; each view begins on a cache line."""
    blocks: list[tuple[np.dtype[Any], tuple[int, ...]]] = [
        (layout(Clock), (worlds,)),
        (layout(Ledger), (worlds,)),
        (layout(Agent), (worlds, agents)),
        (layout(TownObject), (worlds, objects)),
        (np.dtype(np.float32), (worlds, agents, agents)),
        (np.dtype(np.int32), (worlds, agents, objects)),
        (layout(Relation), (worlds, agents, agents)),
        (layout(PerturbationState), (worlds, len(PERTURBATIONS))),
    ]
    sizes = [int(np.prod(add_shaping)) * dtype.itemsize for dtype, add_shaping in blocks]
    starts = np.cumsum([0, *(-(-size // 64) * 64 for size in sizes)])
    buffer = np.zeros(int(starts[-1]), np.uint8)
    views = [
        buffer[start : start + size].view(dtype).reshape(add_shaping)
        for start, size, (dtype, add_shaping) in zip(starts, sizes, blocks, strict=False)
    ]
    return buffer, State(*views)
