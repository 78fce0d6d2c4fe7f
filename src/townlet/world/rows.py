"""Rows of the town's state: the annotations of a class are both its memory layout and its types."""

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
    """Time, utilities and random key of a world."""

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
    """State of one kind of perturbation."""

    begins: I32
    """Tick at which the next one begins, or the running one began."""
    ends: I32
    """First tick after the running one; at most `begins` while none runs."""
    day: I32
    """Day of the last one."""
    count_today: I32
    """How many began on that day."""
    count: I32
    """How many began in the episode."""
    size: F32
    """Factor on prices of the running one."""
    invitee_a: I32
    """First agent invited to the meeting; NOBODY for none."""
    invitee_b: I32
    """Second agent invited."""
    x: I32
    """Column of the meeting."""
    y: I32
    """Row of the meeting."""


class Agent:
    """One agent slot."""

    tie_break: U64
    """Random number that orders agents of equal rank in a queue; drawn on joining."""
    episode_return: F64
    """Sum of rewards over the episode, all lives of the slot."""
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
    """Action of this decision."""
    queue: I32
    """Object whose queue it stands in or which it uses; NOBODY for none."""
    rank: I32
    """Queue length when it joined."""
    waited: I32
    """Ticks since it joined."""
    running: I32
    """1 while it uses an object."""
    avoided_object: I32
    """Object whose queue it avoided because of a rival, so that one approach counts once; NOBODY for none."""
    starving: I32
    """Consecutive ticks of hunger at or below `faint_at`."""
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
    """Money earned this tick."""
    conflict_sum: F32
    """Sum of the intensities of this tick's conflicts."""
    turned_late: I32
    """1 in the tick it became late."""
    turned_absent: I32
    """1 in the tick its absence was recorded."""
    fainted: I32
    """1 in the tick it fainted."""
    evicted: I32
    """1 in the tick it was evicted."""
    absence_bits: I32
    """Absences of the last seven days, one bit per day; the lowest bit is today."""
    chat_from: I32
    """Tick from which it may chat again."""
    last_meal: I32
    """Tick at which its last meal ended; NEVER before the first."""
    chat_reward: F32
    """Reward of this tick's chats."""
    potential: F32
    """phi of the shaping at the end of the last decision."""
    called: I32
    """1 while it is invited to a meeting."""
    waits: I32
    """Ticks waited in queues over the episode."""
    need_unmet: I32
    """1 once a need fell to `content`, or it fainted, within the present 24 hours of the episode."""


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
    rank_base: I32
    """`waiting` before this tick's requests: agents that join in the same tick get the same rank."""
    stock: I32
    """Portions left."""
    nearest_fridge: I32
    """Index of the nearest object that stores meals, for an object that makes meals; NOBODY for none."""
    next_holder: I32
    """Agent that the last user chose as next holder; NOBODY: the head of the queue."""
    uses: I32
    """Uses finished in the episode."""
    busy: I32
    """Ticks of running in the episode."""


class Relation:
    """Directed relation i → j: trust and familiarity. Rivalry is stored separately."""

    trust: F32
    """In [-1, 1]."""
    familiarity: F32
    """In [-1, 1]."""
    chain_length: I32
    """Conflicts of the pair since its last avoidance, at most a day apart; equal in both directions."""
    chain_tick: I32
    """Tick of the last conflict of that chain; equal in both directions."""


def layout(row: type) -> np.dtype[Any]:
    """Return the memory layout of a row class: its annotations, widest first, so that nothing is padded."""
    fields = [(name, np.dtype(hint.__metadata__[0])) for name, hint in get_type_hints(row, include_extras=True).items()]
    fields.sort(key=lambda field: -field[1].itemsize)
    return np.dtype((np.record, np.dtype(fields, align=True)))


def rows(row: type, *add_shaping: int) -> NDArray[Any]:
    """Return an array of zeroed rows."""
    return np.zeros(add_shaping, layout(row))
