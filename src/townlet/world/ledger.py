"""Counts of a world over its episode."""

from townlet.world.rows import F64, I32

__all__ = ["Ledger"]


class Ledger:
    """Counts of one episode; every change of money and meals is counted under its cause."""

    intensity: F64
    """Sum of the conflicts' intensities."""
    initial_money: F64
    """Money given at birth and respawn."""
    wages: F64
    """Money earned."""
    spending: F64
    """Money paid for uses."""
    fines: F64
    """Money taken for lateness and absence."""
    forfeits: F64
    """Money lost when lives ended."""
    conflicts: I32
    """Queue conflicts, each counted once."""
    ghost_steps: I32
    """Conflicts in which the holder did not start in time."""
    avoidances: I32
    """Times an agent avoided a queue because of a rival."""
    deaths: I32
    """Agents that fainted."""
    illegal_actions: I32
    """Actions that were not legal and became waits."""
    duty_ticks: I32
    """Agent-ticks of duty."""
    worked_ticks: I32
    """Agent-ticks of duty worked."""
    shift_starts: I32
    """Shifts that began for somebody."""
    late_starts: I32
    """Shifts begun late."""
    recorded_absences: I32
    """Absences recorded."""
    agent_days: I32
    """Whole days of agent slots."""
    sufficient_days: I32
    """Agent-days in which every need stayed above `content` and the agent did not faint."""
    meals_restocked: I32
    """Meals brought, the first ones included."""
    meals_eaten: I32
    """Meals taken."""
    meals_cooked: I32
    """Meals cooked."""
    raw_delivered: I32
    """Raw portions brought, the first ones included."""
    raw_used: I32
    """Raw portions cooked."""
    escalations: I32
    """Conflicts after which the same two avoided each other: each in a chain of conflicts, none a day after the one
    before, the last at most a day before the avoidance."""
    handovers: I32
    """Polite handovers."""
    chats: I32
    """Chats that went well."""
    failed_chats: I32
    """Chats that failed."""
    meals_shared: I32
    """Pairs of meals eaten together."""
    meetings: I32
    """Arranged meetings at which both agents arrived."""
    late_helps: I32
    """Late agents helped, once per colleague at work."""
    shift_takeovers: I32
    """Shifts of absent agents taken over, once per colleague at work."""
    evictions: I32
    """Agents evicted."""
