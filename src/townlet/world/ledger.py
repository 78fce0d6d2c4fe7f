"""The ledger of a world: what is counted over its episode."""

from townlet.world.rows import F64, I32

__all__ = ["Ledger"]


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
