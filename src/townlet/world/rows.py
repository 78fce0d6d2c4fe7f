"""What a world is made of: each kind of row is a class whose annotations are both its memory layout and its types."""

from typing import Annotated, Any, get_type_hints

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "F32",
    "F64",
    "I32",
    "NEVER",
    "NOBODY",
    "U64",
    "Agent",
    "Clock",
    "PerturbationState",
    "Relation",
    "TownObject",
    "layout",
    "rows",
]  # fmt: skip

I32 = Annotated[int, np.int32]
U64 = Annotated[int, np.uint64]
F32 = Annotated[float, np.float32]
F64 = Annotated[float, np.float64]

NOBODY = -1
"""No agent, no object, no job."""
NEVER = -(1 << 20)
"""A tick before all others."""


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
    price: F32
    """Factor on all prices."""
    power: I32
    """1 while there is power."""
    water: I32
    """1 while there is water."""
    evictions: I32
    """Evictions of the day."""


class PerturbationState:
    """One kind of perturbation in a world."""

    begins: I32
    """Tick at which the next one begins, or the running one began."""
    ends: I32
    """First tick after the running one; at most `begins` while none runs."""
    day: I32
    """Day of the last one."""
    today: I32
    """How many began on that day."""
    count: I32
    """How many began in the episode."""
    size: F32
    """Factor on prices of the running one."""
    guest_a: I32
    """One who is called to a meeting; NOBODY for none."""
    guest_b: I32
    """The other."""
    x: I32
    """Column of the meeting."""
    y: I32
    """Row of the meeting."""


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
    evicted: I32
    """1 in the tick it was evicted."""
    ring: I32
    """Absences of the last seven days, a bit for each, today's the lowest."""
    chat_from: I32
    """Tick from which it may chat again."""
    ate: I32
    """Tick at which it ended its last meal; NEVER before the first."""
    joy: F32
    """Reward of this tick's chats."""
    potential: F32
    """phi of the shaping at the end of the last decision."""
    called: I32
    """1 while it is called to a meeting."""
    waits: I32
    """Ticks waited in queues over the episode."""
    wanting: I32
    """1 once a need fell to `content` or it fainted in the running 24 hours of the episode."""


class TownObject:
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
    larder: I32
    """The nearest object that keeps meals, for one that makes them; NOBODY for none."""
    heir: I32
    """Who is to follow on the use that just ended; NOBODY for the head of the queue."""
    uses: I32
    """Uses finished in the episode."""
    busy: I32
    """Ticks of running in the episode."""


class Relation:
    """What lies between an agent and another, grudges apart."""

    trust: F32
    """In [-1, 1]."""
    familiarity: F32
    """In [-1, 1]."""
    feuds: I32
    """Conflicts of the running chain that no avoidance has followed yet; the same both ways."""
    feud_at: I32
    """Tick of the last conflict; the same both ways."""


def layout(row: type) -> np.dtype[Any]:
    """Return the memory layout of a kind of row: its annotations, the widest first so that nothing is padded."""
    fields = [(name, np.dtype(hint.__metadata__[0])) for name, hint in get_type_hints(row, include_extras=True).items()]
    fields.sort(key=lambda field: -field[1].itemsize)
    return np.dtype((np.record, np.dtype(fields, align=True)))


def rows(row: type, *shape: int) -> NDArray[Any]:
    """Return an array of zeroed rows."""
    return np.zeros(shape, layout(row))
