"""The words of the boundary: actions, features and reward terms, each in one list that everything else counts on.

No kernel is imported here, so that a town can be described in milliseconds.
"""

from townlet.dto.town import KINDS

__all__ = ["OBJECT", "OWN", "PEOPLE", "PERSON", "RULES_VERSION", "TERMS", "VERBS", "actions", "features"]

RULES_VERSION = 6
"""Raised when a rule changes what the same numbers mean."""

VERBS = ("wait", "work", "go_home", "leave_queue", "chat", "step_away")
"""The actions that name no object, in order; `use_o` for each object slot follows."""
WAIT, WORK, HOME, LEAVE, CHAT, AWAY = range(6)
USE = len(VERBS)

OWN = (
    "hunger", "hygiene", "energy", "wallet", "day_sin", "day_cos",
    "employed", "on_shift", "to_shift", "shift_left", "arrived", "late", "absent", "excused", "missed", "attendance",
    "site_dx", "site_dy", "site_distance", "home_dx", "home_dy", "home_distance",
    "running", "running_left", "queued", "granted", "granted_for", "queue_place", "queue_waited", "starving",
    "rivalry_max", "rivalry_avoid_count", "absences", "chat_wait",
    "company", "company_trust", "company_familiarity", "company_quality",
    "price", "power", "water", "spike_left", "blackout_left", "outage_left",
    "called", "meet_left", "meet_dx", "meet_dy",
)  # fmt: skip
"""What an agent knows of itself and of the town; `company` is whom it would chat with now."""
(
    HUNGER, HYGIENE, ENERGY, WALLET, DAY_SIN, DAY_COS,
    EMPLOYED, ON_SHIFT, TO_SHIFT, SHIFT_LEFT, ARRIVED, LATE, ABSENT, EXCUSED, MISSED, ATTENDANCE,
    SITE_DX, SITE_DY, SITE_DISTANCE, HOME_DX, HOME_DY, HOME_DISTANCE,
    RUNNING, RUNNING_LEFT, QUEUED, GRANTED, GRANTED_FOR, QUEUE_PLACE, QUEUE_WAITED, STARVING,
    RIVALRY_MAX, RIVALRY_AVOID_COUNT, ABSENCES, CHAT_WAIT,
    COMPANY, COMPANY_TRUST, COMPANY_FAMILIARITY, COMPANY_QUALITY,
    PRICE, POWER, WATER, SPIKE_LEFT, BLACKOUT_LEFT, OUTAGE_LEFT,
    CALLED, MEET_LEFT, MEET_DX, MEET_DY,
) = range(48)  # fmt: skip

HALFWAY = 60
"""Ticks that `to_shift` and `shift_left` show as a half: t is shown as t / (t + HALFWAY), so that minutes
are told apart when few are left; the time of day is in `day_sin` and `day_cos`."""

PEOPLE = ("friend_0", "friend_1", "rival_0", "rival_1")
"""Whom an agent sees: its best two friends and its worst two rivals."""
PERSON = ("dx", "dy", "trust", "familiarity", "rivalry", "same_queue")
"""What it sees of each."""
PERSON_DX, PERSON_DY, PERSON_TRUST, PERSON_FAMILIARITY, PERSON_RIVALRY, PERSON_SAME_QUEUE = range(6)

OBJECT = (*KINDS, "dx", "dy", "distance", "mine", "waiting", "left", "stall", "stock", "cooldown", "rival")
"""What it sees of the object slots: each word for all slots in a row, so that it is written and read in one sweep;
unused slots are zero."""
BOUND = 8.0
"""No feature of a preset is larger than this, nor less than its negative."""
STOCK_SCALE = 20
"""Portions that the feature `stock` shows as 1; it shows at most 2."""
STOVE = KINDS.index("stove")
KIND, DX, DY, DISTANCE, MINE, WAITING, LEFT, STALL, STOCK, COOLDOWN, RIVAL_HERE = 0, *range(len(KINDS), len(OBJECT))

FIRST_PERSON = len(OWN)
PERSON_WIDTH = len(PERSON)
FIRST_OBJECT = FIRST_PERSON + len(PEOPLE) * PERSON_WIDTH
OBJECT_WIDTH = len(OBJECT)

TERMS = ("survival", "wage", "conflict", "late", "absent", "punctuality", "faint", "chat", "eviction", "shaping")
"""The terms of the reward, in order."""
SURVIVAL, WAGE, CONFLICT, LATE_TERM, ABSENT_TERM, PUNCTUALITY, FAINT, CHAT_TERM, EVICTION, SHAPING = range(10)


def actions(object_slots: int) -> tuple[str, ...]:
    """Return the names of the A = 6 + object_slots actions."""
    return (*VERBS, *(f"use_{slot}" for slot in range(object_slots)))


def features(object_slots: int) -> tuple[str, ...]:
    """Return the names of the F features."""
    people = (f"{person}_{name}" for person in PEOPLE for name in PERSON)
    objects = (f"object_{slot}_{name}" for name in OBJECT for slot in range(object_slots))
    return (*OWN, *people, *objects)
