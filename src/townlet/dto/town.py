"""What a town is made of: the spec, its checks, and the scenarios that ship with the wheel."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from attrs import frozen

from townlet.dto.codec import Record, did_you_mean
from townlet.errors import BadInputError

__all__ = [
    "DAY",
    "KINDS",
    "NEEDS",
    "SCENARIOS",
    "AffordanceSpec",
    "JobSpec",
    "LifeSpec",
    "NeedSpec",
    "QueueSpec",
    "RewardSpec",
    "RivalrySpec",
    "TownSpec",
    "WorkSpec",
    "scenario",
]

DAY = 1440
"""Ticks in a day; a tick is a minute."""
NEEDS = ("hunger", "hygiene", "energy")
"""What an agent lacks; 1 is satisfied, 0 is desperate."""
KINDS = ("fridge", "shower", "bed")
"""Kinds of object; the position of a kind is its number in the kernels."""


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
    """The need it is meant for; it refuses whoever has more of it than `TownSpec.refuse_above`."""
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
    """Portions an object of this kind holds after its restock at midnight; 0 where it needs none."""


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
    """How grudges grow and fade."""

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
    wallet: float = 3.0
    """Money at respawn."""
    savings: float = 3.0
    """Money at the first birth; who is born after its shift must live on it until the next day's wage."""


@frozen(kw_only=True)
class RewardSpec(Record):
    """Weights of the reward terms, all per tick or per event."""

    alive: float = 0.012
    """Earned by living through a tick."""
    needs: float = 0.02
    """Factor of Σ w·(1 - need)², taken off each tick."""
    wage: float = 2.5
    """Factor of the wage earned in the tick."""
    conflict: float = 0.3
    """Factor of a conflict's intensity, taken off both parties."""
    late: float = 2.0
    """Taken off once when late."""
    lateness: float = 0.02
    """Taken off each tick from then on until arrival."""
    absent: float = 1.0
    """Taken off once when absent."""
    punctual: float = 0.01
    """Earned each tick of work in a shift begun on time."""
    faint: float = 5.0
    """Taken off when fainting."""


_NEEDS = MappingProxyType(
    {
        "hunger": NeedSpec(decay=0.0018, weight=1.0),
        "hygiene": NeedSpec(decay=0.0008, weight=0.6),
        "energy": NeedSpec(decay=0.0010, weight=0.8),
    }
)
_AFFORDANCES = MappingProxyType(
    {
        "fridge": AffordanceSpec(serves="hunger", duration=15, hunger=0.40, energy=0.05, price=0.4, stock=60),
        "shower": AffordanceSpec(serves="hygiene", duration=30, hygiene=0.45, energy=-0.03, price=0.1),
        "bed": AffordanceSpec(serves="energy", duration=60, energy=0.8),
    }
)
_JOBS = (
    JobSpec(start=420, end=660, wage=0.016, site_x=6, site_y=12),
    JobSpec(start=660, end=900, wage=0.016, site_x=17, site_y=12),
)


@frozen(kw_only=True)
class TownSpec(Record):
    """Everything that decides what happens in a town; equal specs and seeds play equal episodes."""

    name: str
    """Name of the scenario."""
    agents: int
    """N, agent slots per world, 1 to 64."""
    objects: tuple[str, ...]
    """Kind of each of the O objects, 1 to 32; where they stand is drawn for each episode."""
    object_slots: int = 8
    """Objects a policy has actions and features for, at least O; towns of equal slots share policies."""
    width: int = 24
    """Columns of the grid, 6 to 48."""
    height: int = 24
    """Rows of the grid, 6 to 48."""
    ticks_per_decision: int = 6
    """Ticks that one action lasts; divides the day."""
    needs: Mapping[str, NeedSpec] = _NEEDS
    """Each of the needs."""
    affordances: Mapping[str, AffordanceSpec] = _AFFORDANCES
    """What each kind of object does."""
    refuse_above: float = 0.6
    """An object refuses an agent whose served need is still above this."""
    jobs: tuple[JobSpec, ...] = _JOBS
    """Jobs, dealt to the agents in turn; none: nobody works."""
    queues: QueueSpec = QueueSpec()
    """How agents wait."""
    rivalry: RivalrySpec = RivalrySpec()
    """How grudges grow and fade."""
    work: WorkSpec = WorkSpec()
    """Duties of the employed."""
    life: LifeSpec = LifeSpec()
    """Fainting and respawn."""
    rewards: RewardSpec = RewardSpec()
    """Weights of the reward terms."""

    def __attrs_post_init__(self) -> None:
        problems = [*_composition(self), *_places(self), *_amounts(self), *_survival(self)]
        if problems:
            raise BadInputError(f"town {self.name!r}: {'; '.join(problems)}")


def _composition(spec: TownSpec) -> Iterator[str]:
    if not 1 <= spec.agents <= 64:
        yield f"agents is {spec.agents}, expected 1 to 64"
    if not 1 <= len(spec.objects) <= 32:
        yield f"objects lists {len(spec.objects)}, expected 1 to 32"
    if not len(spec.objects) <= spec.object_slots <= 32:
        yield f"object_slots is {spec.object_slots}, expected {len(spec.objects)} (the objects there are) to 32"
    for kind in sorted(set(spec.objects) - set(KINDS)):
        yield f"objects names {kind!r}{did_you_mean(kind, KINDS)}"
    if set(spec.needs) != set(NEEDS):
        yield f"needs has {sorted(spec.needs)}, expected exactly {', '.join(NEEDS)}"
    if set(spec.affordances) != set(KINDS):
        yield f"affordances has {sorted(spec.affordances)}, expected exactly {', '.join(KINDS)}"
    for kind, affordance in spec.affordances.items():
        if affordance.serves not in NEEDS:
            yield f"affordances.{kind}.serves is {affordance.serves!r}{did_you_mean(affordance.serves, NEEDS)}"


def _places(spec: TownSpec) -> Iterator[str]:
    for name, size in (("width", spec.width), ("height", spec.height)):
        if not 6 <= size <= 48:
            yield f"{name} is {size}, expected 6 to 48"
    if spec.width * spec.height < 4 * (len(spec.objects) + len(spec.jobs)):
        yield f"a grid of {spec.width}x{spec.height} is too small for {len(spec.objects)} objects"
    if len(spec.jobs) > 8:
        yield f"jobs lists {len(spec.jobs)}, expected at most 8"
    for number, job in enumerate(spec.jobs):
        if not (0 <= job.site_x < spec.width and 0 <= job.site_y < spec.height):
            yield f"jobs[{number}] has its site at ({job.site_x}, {job.site_y}), outside {spec.width}x{spec.height}"
        if not 0 <= job.start < job.end <= DAY:
            yield f"jobs[{number}] runs from {job.start} to {job.end}, expected 0 ≤ start < end ≤ {DAY} (same day)"


def _amounts(spec: TownSpec) -> Iterator[str]:
    if spec.ticks_per_decision < 1 or DAY % spec.ticks_per_decision:
        yield f"ticks_per_decision is {spec.ticks_per_decision}, expected a divisor of {DAY}"
    if not 0 < spec.life.respawn_min <= spec.life.respawn_max:
        yield f"life.respawn_min is {spec.life.respawn_min}, expected 1 to respawn_max {spec.life.respawn_max}"
    for name, share in (("refuse_above", spec.refuse_above), ("life.needs", spec.life.needs)):
        if not 0 <= share <= 1:
            yield f"{name} is {share}, expected 0 to 1"
    parts: dict[str, Record] = {
        "queues": spec.queues, "rivalry": spec.rivalry, "work": spec.work, "life": spec.life, "rewards": spec.rewards,
        **{f"needs.{name}": need for name, need in spec.needs.items()},
        **{f"jobs[{number}]": job for number, job in enumerate(spec.jobs)},
    }  # fmt: skip
    for part, record in parts.items():
        for field, value in record.model_dump().items():
            if value < 0:
                yield f"{part}.{field} is {value}, expected at least 0"
    for kind, affordance in spec.affordances.items():
        if affordance.duration < 1 or affordance.price < 0 or affordance.stock < 0:
            yield f"affordances.{kind} needs a duration of at least 1 and no negative price or stock"


def _gain(affordance: AffordanceSpec) -> float:
    return {"hunger": affordance.hunger, "hygiene": affordance.hygiene, "energy": affordance.energy}[affordance.serves]


def _survival(spec: TownSpec) -> Iterator[str]:
    if set(spec.needs) != set(NEEDS) or not set(spec.objects) <= set(spec.affordances):
        return
    offered = [a for kind, a in sorted(spec.affordances.items()) if kind in spec.objects and a.serves in NEEDS]
    if any(_gain(affordance) <= 0 for affordance in offered):
        yield "an affordance must add to the need it serves"
        return
    load = sum(a.duration * spec.needs[a.serves].decay / _gain(a) for a in offered)
    if load >= 0.5:
        yield (
            f"needs cannot be met: Σ duration·decay/gain is {load:.2f} of an agent's time, expected below 0.5; "
            "lower a decay or raise a gain"
        )
    if all(a.serves != "hunger" for a in offered) and spec.needs["hunger"].decay * DAY > 0.5:
        yield "nothing here feeds anyone: add a fridge, or let hunger fall by at most 0.5 a day"


_SLOW = NeedSpec(decay=0.00004, weight=0.5)

SCENARIOS: Mapping[str, TownSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            TownSpec(name="small_town", agents=8, objects=("fridge", "fridge", "shower", "bed", "bed")),
            TownSpec(
                name="queue_conflict",
                agents=3,
                objects=("shower",),
                needs=MappingProxyType(
                    {"hunger": _SLOW, "hygiene": NeedSpec(decay=0.004, weight=1.0), "energy": _SLOW},
                ),
                affordances=MappingProxyType(
                    {**_AFFORDANCES, "shower": AffordanceSpec(serves="hygiene", duration=30, hygiene=0.45)}
                ),
                jobs=(),
            ),
        )
    }
)
"""The presets, by name: each exercises one thing, small_town all of them."""


def scenario(name: str) -> TownSpec:
    """Return a preset by name; BadInputError naming the nearest known one."""
    if name not in SCENARIOS:
        raise BadInputError(f"unknown scenario {name!r}{did_you_mean(name, sorted(SCENARIOS))}")
    return SCENARIOS[name]
