"""The state of many worlds: one flat buffer, seen as a few arrays of rows.

Each kind of row is a class whose annotations are both its memory layout and its types; arrays of rows have the axes
W (worlds), N (agents), O (objects).
"""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, Protocol, TypeVar, get_type_hints

import numpy as np
from numpy.typing import NDArray

from townlet.dto.bylaws import PERTURBATIONS

__all__ = [
    "F32",
    "I32",
    "NEVER",
    "NOBODY",
    "Agent",
    "Clock",
    "Ledger",
    "State",
    "Thing",
    "Town",
    "Upset",
    "allocate",
    "layout",
    "rows",
]

Row_co = TypeVar("Row_co", covariant=True)
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


class Upset:
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
    """Those among them in which every need stayed above `content` and nobody fainted."""
    restocked: I32
    """Meals brought, the first ones included."""
    eaten: I32
    """Meals taken."""
    cooked: I32
    """Meals cooked."""
    delivered: I32
    """Raw portions brought, the first ones included."""
    used: I32
    """Raw portions cooked."""
    escalated: I32
    """Conflicts after which the same two avoided each other: each in a chain of conflicts, none a day after the one
    before, the last at most a day before the avoidance."""
    handovers: I32
    """Polite handovers."""
    chats: I32
    """Chats that went well."""
    coolings: I32
    """Chats that did not."""
    meals_shared: I32
    """Pairs of meals eaten together."""
    meetings: I32
    """Arranged meetings that were kept."""
    helped: I32
    """Times somebody late was stood in for, once per colleague."""
    taken: I32
    """Times the shift of somebody absent was done, once per colleague."""
    evictions: I32
    """Agents evicted."""


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
    larder: I32
    """The nearest object that keeps meals, for one that makes them; NOBODY for none."""
    heir: I32
    """Who is to follow on the use that just ended; NOBODY for the head of the queue."""
    uses: I32
    """Uses finished in the episode."""
    busy: I32
    """Ticks of running in the episode."""


class Tie:
    """What lies between an agent and another, grudges apart."""

    trust: F32
    """In [-1, 1]."""
    familiarity: F32
    """In [-1, 1]."""
    feuds: I32
    """Conflicts of the running chain that no avoidance has followed yet; the same both ways."""
    feud_at: I32
    """Tick of the last conflict; the same both ways."""


class Table(Protocol[Row_co]):
    """An array of rows with two axes, as the kernels read it."""

    def __len__(self) -> int:
        """Return the length of the first axis."""
        ...

    def __getitem__(self, place: tuple[int, int]) -> Row_co:
        """Return one row."""
        ...


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
    ties: "Table[Tie]"
    """[N, N], of the first towards the second."""
    upsets: Sequence[Upset]
    """[P], the perturbations."""


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
    ties: NDArray[Any]
    """[W, N, N] of Tie."""
    upsets: NDArray[Any]
    """[W, P] of Upset."""


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
        (layout(Tie), (worlds, agents, agents)),
        (layout(Upset), (worlds, len(PERTURBATIONS))),
    ]
    sizes = [int(np.prod(shape)) * dtype.itemsize for dtype, shape in blocks]
    starts = np.cumsum([0, *(-(-size // 64) * 64 for size in sizes)])
    buffer = np.zeros(int(starts[-1]), np.uint8)
    views = [
        buffer[start : start + size].view(dtype).reshape(shape)
        for start, size, (dtype, shape) in zip(starts, sizes, blocks, strict=False)
    ]
    return buffer, State(*views)
