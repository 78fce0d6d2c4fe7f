"""TownSpec, the parameters of a town, and the checks that refuse a town in which nobody could live."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from attrs import frozen

from townlet.dto.codec import Record, did_you_mean
from townlet.dto.town_rules import (
    DAY,
    HORIZON,
    KINDS,
    NEED_TABLE,
    NEEDS,
    OBJECT_KIND_TABLE,
    PERTURBATION_TABLE,
    PERTURBATIONS,
    AffordanceSpec,
    JobSpec,
    LifeSpec,
    NeedSpec,
    PerturbationSpec,
    QueueSpec,
    RelationSpec,
    RewardSpec,
    RivalrySpec,
    WorkSpec,
)
from townlet.errors import BadInputError

__all__ = [
    "DAY",
    "DEFAULT_AFFORDANCES",
    "HORIZON",
    "KINDS",
    "MOST_DAYS",
    "MOST_WORLDS",
    "NEEDS",
    "PERTURBATIONS",
    "AffordanceSpec",
    "JobSpec",
    "LifeSpec",
    "NeedSpec",
    "PerturbationSpec",
    "QueueSpec",
    "RelationSpec",
    "RewardSpec",
    "RivalrySpec",
    "TownSpec",
    "WorkSpec",
]

MOST_WORLDS = 1 << 20
"""The most worlds of a batch."""
MOST_DAYS = 10_000
"""The longest episode in days."""
DEFAULT_AFFORDANCES: Mapping[str, AffordanceSpec] = MappingProxyType(
    {name: kind.affordance for name, kind in OBJECT_KIND_TABLE.items()}
)
"""What each kind of object does unless a scenario says otherwise."""
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
    needs: Mapping[str, NeedSpec] = NEED_TABLE
    """Each of the needs."""
    affordances: Mapping[str, AffordanceSpec] = DEFAULT_AFFORDANCES
    """What each kind of object does."""
    refuse_above: float = 0.6
    """An object refuses an agent whose served need is still above this."""
    jobs: tuple[JobSpec, ...] = _JOBS
    """Jobs, dealt to the agents in turn; none: nobody works."""
    queues: QueueSpec = QueueSpec()
    """How agents wait."""
    rivalry: RivalrySpec = RivalrySpec()
    """How rivalry grows and fades."""
    work: WorkSpec = WorkSpec()
    """Duties of the employed."""
    relations: RelationSpec = RelationSpec()
    """How agents come to know and trust each other."""
    perturbations: Mapping[str, PerturbationSpec] = PERTURBATION_TABLE
    """Kinds of perturbation; a kind that is not named never happens."""
    life: LifeSpec = LifeSpec()
    """Fainting and respawn."""
    rewards: RewardSpec = RewardSpec()
    """Weights of the reward terms."""

    def __attrs_post_init__(self) -> None:
        problems = tuple(_problems(self))
        if problems:
            raise BadInputError(f"town {self.name!r}: {'; '.join(problems)}")


def _problems(spec: TownSpec) -> Iterator[str]:
    """Yield every reason for which nobody could live in a town."""
    yield from _composition(spec)
    yield from _places(spec)
    yield from _amounts(spec)
    yield from _survival(spec)


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
        if affordance.serves not in NEEDS and not (affordance.serves == "" and affordance.makes > 0):
            yield f"affordances.{kind}.serves is {affordance.serves!r}{did_you_mean(affordance.serves, NEEDS)}"
    makers = sorted(kind for kind in set(spec.objects) & set(spec.affordances) if spec.affordances[kind].makes > 0)
    if makers and not any(_keeps_meals(spec, kind) for kind in spec.objects):
        yield f"objects has a {makers[0]} but nothing that keeps its meals; add a fridge"
    for name in sorted(set(spec.perturbations) - set(PERTURBATIONS)):
        yield f"perturbations names {name!r}{did_you_mean(name, PERTURBATIONS)}"


def _keeps_meals(spec: TownSpec, kind: str) -> bool:
    offer = spec.affordances.get(kind)
    return offer is not None and offer.stock > 0 and offer.makes == 0


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
        "queues": spec.queues,
        "rivalry": spec.rivalry,
        "work": spec.work,
        "life": spec.life,
        "rewards": spec.rewards,
        "relations": spec.relations,
        **{f"perturbations.{name}": perturbation for name, perturbation in spec.perturbations.items()},
        **{f"needs.{name}": need for name, need in spec.needs.items()},
        **{f"jobs[{number}]": job for number, job in enumerate(spec.jobs)},
    }
    for part, record in parts.items():
        for field, value in record.model_dump().items():
            if value < 0:
                yield f"{part}.{field} is {value}, expected at least 0"
    for kind, affordance in spec.affordances.items():
        if affordance.duration < 1 or min(affordance.price, affordance.stock, affordance.makes) < 0:
            yield f"affordances.{kind} needs a duration of at least 1 and no negative price, stock or makes"
        if affordance.room < affordance.stock:
            yield f"affordances.{kind}.room is {affordance.room}, less than its stock of {affordance.stock}"
    for name, perturbation in spec.perturbations.items():
        if not (
            perturbation.every >= 1
            and 1 <= perturbation.least <= perturbation.most
            and 0 < perturbation.low <= perturbation.high
        ):
            yield f"perturbations.{name} needs every ≥ 1, 1 ≤ least ≤ most and 0 < low ≤ high"


def _survival(spec: TownSpec) -> Iterator[str]:
    if set(spec.needs) != set(NEEDS) or not set(spec.objects) <= set(spec.affordances):
        return
    offered = [a for kind, a in sorted(spec.affordances.items()) if kind in spec.objects and a.serves in NEEDS]
    makers = [a for kind, a in sorted(spec.affordances.items()) if kind in spec.objects and a.makes > 0]
    if any(affordance.effect(affordance.serves) <= 0 for affordance in offered):
        yield "an affordance must add to the need it serves"
        return
    uses = [(a, spec.needs[a.serves].decay / a.effect(a.serves)) for a in offered if a.makes == 0]
    meals = sum(rate for a, rate in uses if a.stock > 0)
    load = sum(a.duration * rate for a, rate in uses)
    load += sum(a.duration / a.makes * meals for a in makers)
    if load >= 0.5:
        yield (
            f"needs cannot be met: Σ duration·decay/gain is {load:.2f} of an agent's time, expected below 0.5; "
            "lower a decay or raise a gain"
        )
    if all(a.serves != "hunger" for a in offered) and spec.needs["hunger"].decay * DAY > 0.5:
        yield "nothing here feeds anyone: add a fridge, or let hunger fall by at most 0.5 a day"
