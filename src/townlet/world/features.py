"""The words of the boundary: actions, features and reward terms, each in one list that everything else counts on.

No kernel is imported here, so that a town can be described in milliseconds.
"""

from townlet.dto.town import KINDS

__all__ = ["OBJECT", "OWN", "RIVAL", "RIVALS", "RULES_VERSION", "TERMS", "VERBS", "actions", "features"]

RULES_VERSION = 1
"""Raised when a rule changes what the same numbers mean."""

VERBS = ("wait", "work", "go_home", "leave_queue", "chat", "step_away")
"""The actions that name no object, in order; `use_o` for each object slot follows."""
WAIT, WORK, HOME, LEAVE, CHAT, AWAY = range(6)
USE = len(VERBS)

OWN = (
    "hunger", "hygiene", "energy", "wallet", "day_sin", "day_cos",
    "employed", "on_shift", "to_shift", "shift_left", "arrived", "late", "absent", "excused", "duty", "attendance",
    "site_dx", "site_dy", "site_distance", "home_dx", "home_dy", "home_distance",
    "running", "running_left", "queued", "granted", "granted_for", "queue_place", "queue_waited", "starving",
    "rivalry_max", "rivalry_avoid_count",
)  # fmt: skip
"""What an agent knows of itself."""
(
    HUNGER, HYGIENE, ENERGY, WALLET, DAY_SIN, DAY_COS,
    EMPLOYED, ON_SHIFT, TO_SHIFT, SHIFT_LEFT, ARRIVED, LATE, ABSENT, EXCUSED, DUTY, ATTENDANCE,
    SITE_DX, SITE_DY, SITE_DISTANCE, HOME_DX, HOME_DY, HOME_DISTANCE,
    RUNNING, RUNNING_LEFT, QUEUED, GRANTED, GRANTED_FOR, QUEUE_PLACE, QUEUE_WAITED, STARVING,
    RIVALRY_MAX, RIVALRY_AVOID_COUNT,
) = range(32)  # fmt: skip

RIVALS = 2
"""How many of its worst rivals an agent sees."""
RIVAL = ("dx", "dy", "rivalry", "same_queue")
"""What it sees of each."""
RIVAL_DX, RIVAL_DY, RIVAL_RIVALRY, RIVAL_SAME_QUEUE = range(4)

OBJECT = (*KINDS, "dx", "dy", "distance", "mine", "waiting", "left", "stall", "stock", "cooldown", "rival")
"""What it sees of each object slot; unused slots are zero."""
KIND, DX, DY, DISTANCE, MINE, WAITING, LEFT, STALL, STOCK, COOLDOWN, RIVAL_HERE = 0, *range(len(KINDS), len(OBJECT))

FIRST_RIVAL = len(OWN)
FIRST_OBJECT = FIRST_RIVAL + RIVALS * len(RIVAL)
RIVAL_WIDTH = len(RIVAL)
OBJECT_WIDTH = len(OBJECT)

TERMS = ("survival", "wage", "conflict", "late", "absent", "punctuality", "faint")
"""The terms of the reward, in order."""
SURVIVAL, WAGE, CONFLICT, LATE_TERM, ABSENT_TERM, PUNCTUALITY, FAINT = range(7)


def actions(object_slots: int) -> tuple[str, ...]:
    """Return the names of the A = 6 + object_slots actions."""
    return (*VERBS, *(f"use_{slot}" for slot in range(object_slots)))


def features(object_slots: int) -> tuple[str, ...]:
    """Return the names of the F features."""
    rivals = (f"rival_{number}_{name}" for number in range(RIVALS) for name in RIVAL)
    objects = (f"object_{slot}_{name}" for slot in range(object_slots) for name in OBJECT)
    return (*OWN, *rivals, *objects)
