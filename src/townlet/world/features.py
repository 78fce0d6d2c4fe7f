"""Tables of actions, features and reward terms; the constant of a row is its position.

No kernel is imported here, so that a town can be described in milliseconds.
"""

from typing import NamedTuple

from townlet.dto.town_rules import KINDS, NEEDS

__all__ = [
    "ACTION_TABLE",
    "OBJECT_TABLE",
    "OWN_TABLE",
    "PEOPLE",
    "PERSON_TABLE",
    "RULES_VERSION",
    "TERMS",
    "TERM_TABLE",
    "actions",
    "features",
]

RULES_VERSION = 6
"""Raised when a rule changes what the same numbers mean."""


class Row(NamedTuple):
    """One row of a table."""

    name: str
    """The name that policies, data sets and reports store."""
    unit: str
    """What 1 stands for."""
    source: str
    """What the number is."""


class Table(list[Row]):
    """Rows in their order."""

    def add(self, name: str, unit: str, source: str) -> int:
        """Append a row and return its position."""
        self.append(Row(name, unit, source))
        return len(self) - 1

    def names(self) -> tuple[str, ...]:
        """Return the names in their order."""
        return tuple(row.name for row in self)


ACTION_TABLE = Table()
WAIT = ACTION_TABLE.add("wait", "action", "does nothing; keeps a place in a queue")
WORK = ACTION_TABLE.add("work", "action", "walks to the site of its job and works there")
HOME = ACTION_TABLE.add("go_home", "action", "walks home")
LEAVE = ACTION_TABLE.add("leave_queue", "action", "leaves its queue")
CHAT = ACTION_TABLE.add(
    "chat", "action", "chats with the nearest agent in reach, or walks to the meeting it is invited to"
)
AWAY = ACTION_TABLE.add("step_away", "action", "walks away from the nearest agent")
"""Actions that name no object; `use_o` for each object slot follows."""
USE = len(ACTION_TABLE)

OWN_TABLE = Table()
"""What an agent observes of itself and of the town; `company` is the agent it would chat with now."""
FIRST_NEED = len(OWN_TABLE)
for _need in NEEDS:
    OWN_TABLE.add(_need, "level", "1 is satisfied, 0 is desperate")
HUNGER = FIRST_NEED + NEEDS.index("hunger")
WALLET = OWN_TABLE.add("wallet", "4 coins", "money, cut off at 8 coins")
DAY_SIN = OWN_TABLE.add("day_sin", "1", "sine of the time of day")
DAY_COS = OWN_TABLE.add("day_cos", "1", "cosine of the time of day")
EMPLOYED = OWN_TABLE.add("employed", "flag", "has a job")
ON_SHIFT = OWN_TABLE.add("on_shift", "flag", "its shift is running")
TO_SHIFT = OWN_TABLE.add("to_shift", "t / (t + 60)", "ticks t until its shift begins")
SHIFT_LEFT = OWN_TABLE.add("shift_left", "t / (t + 60)", "ticks t until its shift ends")
ARRIVED = OWN_TABLE.add("arrived", "flag", "has worked in this shift")
LATE = OWN_TABLE.add("late", "flag", "was late in this shift")
ABSENT = OWN_TABLE.add("absent", "flag", "was recorded absent in this shift")
EXCUSED = OWN_TABLE.add("excused", "flag", "its life began in this shift")
MISSED = OWN_TABLE.add("missed", "absent_after", "ticks of this shift missed")
ATTENDANCE = OWN_TABLE.add("attendance", "share", "mean worked share of the last three shifts")
SITE_DX = OWN_TABLE.add("site_dx", "24 tiles", "columns to the site")
SITE_DY = OWN_TABLE.add("site_dy", "24 tiles", "rows to the site")
SITE_DISTANCE = OWN_TABLE.add("site_distance", "24 tiles", "distance to the site")
HOME_DX = OWN_TABLE.add("home_dx", "24 tiles", "columns to its home")
HOME_DY = OWN_TABLE.add("home_dy", "24 tiles", "rows to its home")
HOME_DISTANCE = OWN_TABLE.add("home_distance", "24 tiles", "distance to its home")
RUNNING = OWN_TABLE.add("running", "flag", "uses an object")
RUNNING_LEFT = OWN_TABLE.add("running_left", "hour", "time until the use ends")
QUEUED = OWN_TABLE.add("queued", "flag", "has a place in a queue or holds the object")
GRANTED = OWN_TABLE.add("granted", "flag", "holds the object")
GRANTED_FOR = OWN_TABLE.add("granted_for", "10 ticks", "time since the grant without a start")
QUEUE_PLACE = OWN_TABLE.add("queue_place", "8 agents", "agents before it in the queue")
QUEUE_WAITED = OWN_TABLE.add("queue_waited", "hour", "time since it joined, cut off at 8 hours")
STARVING = OWN_TABLE.add("starving", "faint_after", "ticks of starving")
RIVALRY_MAX = OWN_TABLE.add("rivalry_max", "rivalry", "largest rivalry")
RIVALRY_AVOID_COUNT = OWN_TABLE.add("rivalry_avoid_count", "8 agents", "agents whose queues it avoids")
ABSENCES = OWN_TABLE.add("absences", "3 absences", "absences in the last seven days")
CHAT_WAIT = OWN_TABLE.add("chat_wait", "hour", "time until it may chat again")
COMPANY = OWN_TABLE.add("company", "flag", "has somebody to chat with now")
COMPANY_TRUST = OWN_TABLE.add("company_trust", "trust", "trust towards the chat partner")
COMPANY_FAMILIARITY = OWN_TABLE.add("company_familiarity", "familiarity", "familiarity with the chat partner")
COMPANY_QUALITY = OWN_TABLE.add("company_quality", "quality", "quality of a chat with the partner")
PRICE = OWN_TABLE.add("price", "factor", "factor on prices, less 1")
POWER = OWN_TABLE.add("power", "flag", "power is on")
WATER = OWN_TABLE.add("water", "flag", "water is on")
SPIKE_LEFT = OWN_TABLE.add("spike_left", "hour", "time until prices return")
BLACKOUT_LEFT = OWN_TABLE.add("blackout_left", "hour", "time until power returns")
OUTAGE_LEFT = OWN_TABLE.add("outage_left", "hour", "time until water returns")
CALLED = OWN_TABLE.add("called", "flag", "is invited to a meeting")
MEET_LEFT = OWN_TABLE.add("meet_left", "hour", "time until the meeting is over")
MEET_DX = OWN_TABLE.add("meet_dx", "24 tiles", "columns to the meeting")
MEET_DY = OWN_TABLE.add("meet_dy", "24 tiles", "rows to the meeting")

HALFWAY = 60
"""Ticks that `to_shift` and `shift_left` show as 0.5: t is shown as t / (t + HALFWAY), which resolves short times
finely; the time of day is in `day_sin` and `day_cos`."""

PEOPLE = ("friend_0", "friend_1", "rival_0", "rival_1")
"""The two best friends and the two worst rivals of an agent."""
PERSON_TABLE = Table()
"""What an agent observes of each of them."""
PERSON_DX = PERSON_TABLE.add("dx", "24 tiles", "columns to the other")
PERSON_DY = PERSON_TABLE.add("dy", "24 tiles", "rows to the other")
PERSON_TRUST = PERSON_TABLE.add("trust", "trust", "trust towards the other")
PERSON_FAMILIARITY = PERSON_TABLE.add("familiarity", "familiarity", "familiarity with the other")
PERSON_RIVALRY = PERSON_TABLE.add("rivalry", "rivalry", "rivalry with the other")
PERSON_SAME_QUEUE = PERSON_TABLE.add("same_queue", "flag", "both have a place at the same object")

OBJECT_TABLE = Table()
"""What an agent observes of the object slots: each row for all slots side by side, so that one pass
writes and reads it; unused slots are zero."""
for _kind in KINDS:
    OBJECT_TABLE.add(_kind, "flag", f"is a {_kind}")
FRIDGE, STOVE = KINDS.index("fridge"), KINDS.index("stove")
DX = OBJECT_TABLE.add("dx", "24 tiles", "columns to the object")
DY = OBJECT_TABLE.add("dy", "24 tiles", "rows to the object")
DISTANCE = OBJECT_TABLE.add("distance", "24 tiles", "distance to the object")
MINE = OBJECT_TABLE.add("mine", "flag", "it has a place in the queue or holds the object")
WAITING = OBJECT_TABLE.add("waiting", "8 agents", "agents in the queue, the holder not among them")
LEFT = OBJECT_TABLE.add("left", "hour", "time until the present use ends")
STALL = OBJECT_TABLE.add("stall", "stall_patience", "ticks somebody waited on the user since the last conflict")
STOCK = OBJECT_TABLE.add("stock", "20 portions", "portions, cut off at 40")
COOLDOWN = OBJECT_TABLE.add("cooldown", "10 ticks", "time until it may use the object again")
RIVAL_HERE = OBJECT_TABLE.add("rival", "flag", "an agent it avoids has a place there")
BOUND = 8.0
"""No feature of a preset is larger than this, nor less than its negative."""
STOCK_SCALE = 20
"""Portions that the feature `stock` shows as 1; it shows at most 2."""

FIRST_PERSON = len(OWN_TABLE)
PERSON_WIDTH = len(PERSON_TABLE)
FIRST_OBJECT = FIRST_PERSON + len(PEOPLE) * PERSON_WIDTH
OBJECT_WIDTH = len(OBJECT_TABLE)

TERM_TABLE = Table()
"""Terms of the reward."""
SURVIVAL = TERM_TABLE.add("survival", "reward", "being alive, less the penalties for low needs")
WAGE = TERM_TABLE.add("wage", "reward", "money earned at work")
CONFLICT = TERM_TABLE.add("conflict", "reward", "intensity of its queue conflicts")
LATE_TERM = TERM_TABLE.add("late", "reward", "becoming late, and each tick until arrival")
ABSENT_TERM = TERM_TABLE.add("absent", "reward", "becoming absent")
PUNCTUALITY = TERM_TABLE.add(
    "punctuality", "reward", "ticks of work in a shift of which no more than the grace was missed"
)
FAINT = TERM_TABLE.add("faint", "reward", "fainting")
CHAT_TERM = TERM_TABLE.add("chat", "reward", "chats that went well")
EVICTION = TERM_TABLE.add("eviction", "reward", "being evicted")
SHAPING = TERM_TABLE.add("shaping", "reward", "potential shaping")
TERMS = TERM_TABLE.names()
"""Names of the terms."""


def actions(object_slots: int) -> tuple[str, ...]:
    """Return the names of the A = 6 + object_slots actions."""
    return (*ACTION_TABLE.names(), *(f"use_{slot}" for slot in range(object_slots)))


def features(object_slots: int) -> tuple[str, ...]:
    """Return the names of the F features."""
    people = (f"{person}_{name}" for person in PEOPLE for name in PERSON_TABLE.names())
    objects = (f"object_{slot}_{name}" for name in OBJECT_TABLE.names() for slot in range(object_slots))
    return (*OWN_TABLE.names(), *people, *objects)
