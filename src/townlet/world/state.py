"""The state of many worlds: one flat buffer, seen as a few arrays of rows.

Each kind of row is a class whose annotations are both its memory layout and its types; arrays of rows have the axes
W (worlds), N (agents), O (objects).
"""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, get_type_hints

import numpy as np
from numpy.typing import NDArray

__all__ = ["F32", "I32", "NOBODY", "Agent", "Clock", "Ledger", "State", "Thing", "Town", "allocate", "layout", "rows"]

I32 = Annotated[int, np.int32]
U64 = Annotated[int, np.uint64]
F32 = Annotated[float, np.float32]
F64 = Annotated[float, np.float64]

NOBODY = -1
"""No agent, no object, no job."""


class Clock:
    """Where a world stands in its episode."""

    key: U64
    """Randomness of this episode: a function of the seed, the world's id and the episode."""
    tick: I32
    """Ticks played."""
    start: I32
    """Tick of the day at which the episode began."""
    episode: I32
    """Episodes begun; 0 before the first reset."""
    length: I32
    """Ticks of an episode."""


class Ledger:
    """What is counted in a world over its episode; every change of money and meals has a cause here."""

    intensity: F64
    """Sum of the conflicts' intensities."""
    endowed: F64
    """Money given at birth and respawn."""
    wages: F64
    """Money earned."""
    spent: F64
    """Money paid for uses."""
    fined: F64
    """Money taken for lateness and absence."""
    forfeited: F64
    """Money of those who fainted."""
    conflicts: I32
    """Queue conflicts, each counted once."""
    ghosts: I32
    """Those among them in which a granted agent did not come."""
    avoidances: I32
    """Times an agent reached a queue and turned away from a rival in it."""
    deaths: I32
    """Agents that fainted."""
    illegal: I32
    """Actions that were not legal and became waits."""
    scheduled: I32
    """Agent-ticks of duty."""
    paid: I32
    """Agent-ticks of duty worked."""
    starts: I32
    """Shifts that began for somebody."""
    late: I32
    """Shifts begun late."""
    absent: I32
    """Absences recorded."""
    agent_days: I32
    """Whole days of agent slots."""
    sufficient: I32
    """Those among them in which no need fell to 0.3 and nobody fainted."""
    restocked: I32
    """Portions brought, the first ones included."""
    eaten: I32
    """Portions taken."""


class Agent:
    """One agent slot."""

    lot: U64
    """Breaks ties in the queue; drawn on joining."""
    returned: F64
    """Reward over the episode, all lives of the slot."""
    x: I32
    """Column."""
    y: I32
    """Row."""
    home_x: I32
    """Column of its home."""
    home_y: I32
    """Row of its home."""
    hunger: F32
    """1 is fed."""
    hygiene: F32
    """1 is clean."""
    energy: F32
    """1 is rested."""
    wallet: F32
    """Money."""
    intent: I32
    """The action it follows in this decision."""
    queue: I32
    """Object whose queue it stands in or which it uses; NOBODY for none."""
    rank: I32
    """Number that waited when it joined."""
    waited: I32
    """Ticks since it joined."""
    running: I32
    """1 while it uses an object."""
    shunned: I32
    """Object it turned away from in this approach; counted once."""
    starving: I32
    """Ticks of hunger too low to live."""
    respawn: I32
    """Ticks until the slot lives again; 0 while alive."""
    generation: I32
    """Lives of this slot before this one."""
    job: I32
    """Index of its job; NOBODY for none."""
    duty: I32
    """Ticks of the running shift so far."""
    arrived: I32
    """1 once it worked in this shift."""
    late: I32
    """1 once late in this shift."""
    absent: I32
    """1 once recorded absent in this shift."""
    excused: I32
    """1 in a shift that was running when its life began: no duty, but wages if it works."""
    worked: I32
    """Ticks of duty worked in this shift."""
    share_1: F32
    """Worked share of the last shift."""
    share_2: F32
    """Of the one before."""
    share_3: F32
    """Of the one before that."""
    wage: F32
    """Earned this tick."""
    strife: F32
    """Intensity of this tick's conflicts."""
    turned_late: I32
    """1 in the tick it became late."""
    turned_absent: I32
    """1 in the tick its absence was recorded."""
    fainted: I32
    """1 in the tick it fainted."""
    waits: I32
    """Ticks waited in queues over the episode."""
    wanting: I32
    """1 once a need fell to 0.3 or it fainted in the running 24 hours of the episode."""


class Thing:
    """One object."""

    kind: I32
    """Index into the affordances."""
    x: I32
    """Column."""
    y: I32
    """Row."""
    holder: I32
    """Agent it is granted to; NOBODY while free."""
    running: I32
    """1 while the holder uses it."""
    progress: I32
    """Ticks of the running use."""
    granted: I32
    """Ticks since the grant without a start."""
    stall: I32
    """Ticks somebody waited on the running user since the last conflict."""
    waiting: I32
    """Agents in the queue, the holder not among them."""
    line: I32
    """`waiting` before this tick's requests: who joins together gets the same rank."""
    stock: I32
    """Portions left."""
    uses: I32
    """Uses finished in the episode."""
    busy: I32
    """Ticks of running in the episode."""


class Town(NamedTuple):
    """One world: what every rule reads and changes."""

    clock: Clock
    """Time and randomness."""
    ledger: Ledger
    """What is counted."""
    agents: Sequence[Agent]
    """[N]."""
    things: Sequence[Thing]
    """[O], the objects."""
    rivalry: NDArray[np.float32]
    """[N, N] in [0, 1], symmetric."""
    ready: NDArray[np.int32]
    """[N, O], the tick from which an agent may use an object again."""


class State(NamedTuple):
    """All worlds: C-contiguous views of one buffer."""

    clocks: NDArray[Any]
    """[W] of Clock."""
    ledgers: NDArray[Any]
    """[W] of Ledger."""
    agents: NDArray[Any]
    """[W, N] of Agent."""
    things: NDArray[Any]
    """[W, O] of Thing."""
    rivalry: NDArray[np.float32]
    """[W, N, N]."""
    ready: NDArray[np.int32]
    """[W, N, O]."""


def layout(row: type) -> np.dtype[Any]:
    """Return the memory layout of a kind of row: its annotations, the widest first so that nothing is padded."""
    fields = [(name, np.dtype(hint.__metadata__[0])) for name, hint in get_type_hints(row, include_extras=True).items()]
    fields.sort(key=lambda field: -field[1].itemsize)
    return np.dtype((np.record, np.dtype(fields, align=True)))


def rows(row: type, *shape: int) -> NDArray[Any]:
    """Return an array of zeroed rows."""
    return np.zeros(shape, layout(row))


def allocate(worlds: int, agents: int, objects: int) -> tuple[NDArray[np.uint8], State]:
    """Return a zeroed buffer and its views; each view begins on a cache line."""
    blocks: list[tuple[np.dtype[Any], tuple[int, ...]]] = [
        (layout(Clock), (worlds,)),
        (layout(Ledger), (worlds,)),
        (layout(Agent), (worlds, agents)),
        (layout(Thing), (worlds, objects)),
        (np.dtype(np.float32), (worlds, agents, agents)),
        (np.dtype(np.int32), (worlds, agents, objects)),
    ]
    sizes = [int(np.prod(shape)) * dtype.itemsize for dtype, shape in blocks]
    starts = np.cumsum([0, *(-(-size // 64) * 64 for size in sizes)])
    buffer = np.zeros(int(starts[-1]), np.uint8)
    views = [
        buffer[start : start + size].view(dtype).reshape(shape)
        for start, size, (dtype, shape) in zip(starts, sizes, blocks, strict=False)
    ]
    return buffer, State(*views)
