"""The rules of a town: a record for each, with default numbers; tables of needs, object kinds and perturbations."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from attrs import frozen

from townlet.dto.codec import Record

__all__ = [
    "DAY",
    "HORIZON",
    "KINDS",
    "NEEDS",
    "NEED_TABLE",
    "OBJECT_KIND_TABLE",
    "PERTURBATIONS",
    "PERTURBATION_TABLE",
    "AffordanceSpec",
    "JobSpec",
    "LifeSpec",
    "NeedSpec",
    "ObjectKind",
    "PerturbationSpec",
    "QueueSpec",
    "RelationSpec",
    "RewardSpec",
    "RivalrySpec",
    "WorkSpec",
]

DAY = 1440
"""Ticks in a day; a tick is a minute."""
HORIZON = 500
"""Ticks the rewards are designed to be discounted over: gamma = 1 - ticks_per_decision / HORIZON."""


@frozen(kw_only=True)
class NeedSpec(Record):
    """How one need falls and how much its emptiness hurts."""

    decay: float
    """Lost per tick."""
    weight: float
    """w in the survival reward, which falls by w·(1 - need)²."""


@frozen(kw_only=True)
class AffordanceSpec(Record):
    """What one kind of object does to its user; effects come at the end, an aborted use costs nothing but time."""

    serves: str
    """The need it serves; it refuses agents above `TownSpec.refuse_above`. Empty: none (an object that makes meals)."""
    duration: int
    """Ticks of one use."""
    hunger: float = 0.0
    """Added to hunger at the end."""
    hygiene: float = 0.0
    """Added to hygiene at the end."""
    energy: float = 0.0
    """Added to energy at the end."""
    price: float = 0.0
    """Money, paid once at the end; who has less may not start."""
    stock: int = 0
    """Portions an object of this kind holds at least after its restock at midnight; 0 where it needs none."""
    makes: int = 0
    """Meals that a use puts into the nearest fridge; refused where they find no room."""
    room: int = 0
    """Portions it has room for, the cooked ones included."""
    power: bool = False
    """Stands still in a blackout."""
    water: bool = False
    """Stands still in an outage."""

    def effect(self, need: str) -> float:
        """Return what a use adds to a need; the fields above bear the names of the needs."""
        return float(getattr(self, need))


@frozen(kw_only=True)
class JobSpec(Record):
    """A shift that repeats every day, at a fixed place."""

    start: int
    """First tick of the shift, counted from midnight."""
    end: int
    """First tick after it."""
    wage: float
    """Money per tick of working on site."""
    site_x: int
    """Column of the site."""
    site_y: int
    """Row of the site."""


@frozen(kw_only=True)
class QueueSpec(Record):
    """How agents wait for an object."""

    join_distance: int = 4
    """Tiles within which an agent joins the queue of the object it chose."""
    age_weight: float = 0.1
    """Places gained per tick of waiting: order = rank - age_weight·waited."""
    ghost_step_after: int = 6
    """Ticks a granted agent may take to start before it goes to the tail."""
    stall_patience: int = 10
    """Ticks of waiting on a running user that make one conflict."""
    cooldown: int = 10
    """Ticks before an agent may use the same object again."""


@frozen(kw_only=True)
class RivalrySpec(Record):
    """How rivalry grows and fades."""

    gain: float = 0.25
    """Added to both parties' rivalry per unit of a conflict's intensity."""
    decay: float = 0.0002
    """Lost per tick."""
    avoid: float = 0.5
    """From here on one will not stand in a queue with the other."""
    urgent: float = 0.12
    """A need below this makes an agent queue with anyone."""


@frozen(kw_only=True)
class WorkSpec(Record):
    """What is expected of those who have a job."""

    grace: int = 6
    """Ticks after the start of a shift that still count as on time; never shorter than one decision."""
    absent_after: int = 30
    """Ticks without arrival after which the absence is recorded."""
    late_fine: float = 0.1
    """Money taken for being late."""
    absent_fine: float = 0.2
    """Money taken for being absent."""
    absences: int = 3
    """Absences within seven days that cost an agent its place in town; 0: nobody is evicted."""
    evictions: int = 2
    """Most evictions in a day; who is spared may go the next day."""


@frozen(kw_only=True)
class RelationSpec(Record):
    """How trust and familiarity, both in [-1, 1], come about; strangers stand at 0."""

    chat_distance: int = 1
    """Tiles within which two can chat."""
    chat_cooldown: int = 30
    """Ticks before either of two who chatted may chat again."""
    chat_trust: float = 0.05
    """Trust gained by a good chat, times its quality."""
    chat_familiarity: float = 0.10
    """Familiarity gained by a good chat, times its quality."""
    chat_coolness: float = 0.05
    """Familiarity lost and rivalry gained by a chat that fails."""
    meal_trust: float = 0.1
    """Trust gained by a shared meal or a meeting kept."""
    meal_familiarity: float = 0.25
    """Familiarity gained by a shared meal or a meeting kept."""
    meal_distance: int = 4
    """Tiles within which two meals, the later begun before or just as the earlier ended, are a shared one."""
    handover: float = 0.05
    """Trust and familiarity gained, and rivalry lost, by a polite handover."""
    handover_place: float = 0.05
    """What each place further back in the queue takes off the regard in which a successor is chosen."""
    helped_trust: float = 0.2
    """Trust gained by both when one is late and the other stands in for it."""
    helped_familiarity: float = 0.1
    """Familiarity gained by both then."""
    shift_trust: float = 0.1
    """Trust lost by the absent towards those who did its work."""
    shift_rivalry: float = 0.3
    """Rivalry gained between them."""
    fade: float = 0.01
    """Trust and familiarity lost per hour, towards 0."""


@frozen(kw_only=True)
class PerturbationSpec(Record):
    """One kind of perturbation: how often, how long, how much."""

    every: int
    """Mean ticks of calm between two, beyond the cooldown; the gap is drawn uniformly up to twice this."""
    least: int
    """Fewest ticks it lasts."""
    most: int
    """Most ticks it lasts."""
    cooldown: int = 60
    """Ticks after its end in which it does not return."""
    cap: int = 2
    """Most that begin in a day."""
    low: float = 1.0
    """Least factor on prices."""
    high: float = 1.0
    """Largest factor on prices."""


@frozen(kw_only=True)
class LifeSpec(Record):
    """When an agent faints and how its slot comes back."""

    faint_at: float = 0.03
    """Hunger at or below this starves."""
    faint_after: int = 30
    """Ticks of starving until the agent faints."""
    respawn_min: int = 5
    """Least ticks until the slot lives again."""
    respawn_max: int = 20
    """Most ticks until the slot lives again."""
    needs: float = 0.6
    """Every need at respawn."""
    content: float = 0.1
    """An agent whose needs all stay above this for 24 hours counts as self-sufficient."""
    wallet: float = 3.0
    """Money at respawn."""
    savings: float = 2.0
    """Money at the first birth; who is born after its shift must live on it until the next day's wage."""


@frozen(kw_only=True)
class RewardSpec(Record):
    """Weights of the reward terms, all per tick or per event."""

    alive: float = 0.012
    """Earned by living through a tick."""
    needs: float = 0.02
    """Factor of Σ w·(1 - need)², taken off each tick."""
    hungry: float = 0.1
    """Taken off each tick besides, times how far hunger lies below `hungry_below`: the way to a faint goes down."""
    hungry_below: float = 0.3
    """Level of hunger under which that begins."""
    wage: float = 2.5
    """Factor of the wage earned in the tick."""
    conflict: float = 0.3
    """Factor of a conflict's intensity, taken off both parties."""
    late: float = 6.0
    """Taken off once when late."""
    lateness: float = 0.02
    """Taken off each tick from then on until arrival."""
    absent: float = 1.0
    """Taken off once when absent."""
    punctual: float = 0.02
    """Earned each tick of work in a shift of which no more than the grace was missed."""
    faint: float = 5.0
    """Taken off when fainting."""
    chat: float = 0.01
    """Earned by both per good chat, times its quality."""
    chat_trust: float = 0.06
    """Earned besides per unit of trust, times the quality."""
    chat_familiarity: float = 0.04
    """Earned besides per unit of familiarity, times the quality."""
    eviction: float = 5.0
    """Taken off when evicted."""
    shaping: float = 0.0
    """Potential shaping gamma·phi' - phi with phi = shaping·Σ w·need; 0: off. It changes no optimal policy."""


NEED_TABLE: Mapping[str, NeedSpec] = MappingProxyType(
    {
        "hunger": NeedSpec(decay=0.0018, weight=1.0),
        "hygiene": NeedSpec(decay=0.0008, weight=0.6),
        "energy": NeedSpec(decay=0.0010, weight=0.8),
    }
)
"""Needs with their default numbers; 1 is satisfied, 0 is desperate. A need is also a field of `AffordanceSpec` and
`townlet.world.rows.Agent`, read by `townlet.world.needs.level`."""
NEEDS = tuple(NEED_TABLE)
"""Names of the needs; the position of a name is its number in the kernels."""


class ObjectKind(NamedTuple):
    """One kind of object."""

    letter: str
    """Its letter in a town drawn as text."""
    colour: tuple[int, int, int]
    """Its colour in a picture: red, green, blue in 0 to 255."""
    affordance: AffordanceSpec
    """What it does by default; the teachers rely on the need that it serves here."""


OBJECT_KIND_TABLE: Mapping[str, ObjectKind] = MappingProxyType(
    {
        "fridge": ObjectKind(
            "F",
            (86, 152, 196),
            AffordanceSpec(serves="hunger", duration=15, hunger=0.40, energy=0.05, price=0.4, stock=14, room=40),
        ),
        "shower": ObjectKind(
            "S",
            (118, 196, 178),
            AffordanceSpec(
                serves="hygiene", duration=30, hygiene=0.45, energy=-0.03, price=0.1, power=True, water=True
            ),
        ),
        "bed": ObjectKind("B", (164, 132, 198), AffordanceSpec(serves="energy", duration=60, energy=0.8)),
        "stove": ObjectKind(
            "C",
            (214, 122, 84),
            AffordanceSpec(
                serves="", duration=40, hunger=0.40, energy=-0.05, price=0.15, stock=40, room=40, makes=2, power=True
            ),
        ),
    }
)
"""Kinds of object."""
KINDS = tuple(OBJECT_KIND_TABLE)
"""Names of the kinds; the position of a name is its number in the kernels."""
PERTURBATION_TABLE: Mapping[str, PerturbationSpec] = MappingProxyType(
    {
        "price_spike": PerturbationSpec(every=2 * DAY, least=60, most=120, low=1.2, high=1.8),
        "blackout": PerturbationSpec(every=3 * DAY, least=30, most=90),
        "outage": PerturbationSpec(every=3 * DAY, least=30, most=90),
        "arranged_meet": PerturbationSpec(every=DAY, least=60, most=120),
    }
)
"""Kinds of perturbation with their default numbers."""
PERTURBATIONS = tuple(PERTURBATION_TABLE)
"""Names of the perturbations; the position of a name is its number in the kernels."""
