"""What a town is made of: the spec, its checks, and the scenarios that ship with the wheel."""

from collections.abc import Mapping
from types import MappingProxyType

from attrs import evolve, frozen

from townlet.dto.codec import Record, did_you_mean
from townlet.dto.town_checks import faults
from townlet.dto.town_rules import (
    DAY,
    HORIZON,
    KINDS,
    NEEDS,
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
    "HORIZON",
    "KINDS",
    "NEEDS",
    "PERTURBATIONS",
    "SCENARIOS",
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
    "scenario",
]

_NEEDS = MappingProxyType(
    {
        "hunger": NeedSpec(decay=0.0018, weight=1.0),
        "hygiene": NeedSpec(decay=0.0008, weight=0.6),
        "energy": NeedSpec(decay=0.0010, weight=0.8),
    }
)
_AFFORDANCES = MappingProxyType(
    {
        "fridge": AffordanceSpec(serves="hunger", duration=15, hunger=0.40, energy=0.05, price=0.4, stock=14, room=40),
        "shower": AffordanceSpec(
            serves="hygiene", duration=30, hygiene=0.45, energy=-0.03, price=0.1, power=True, water=True
        ),
        "bed": AffordanceSpec(serves="energy", duration=60, energy=0.8),
        "stove": AffordanceSpec(
            serves="", duration=40, hunger=0.40, energy=-0.05, price=0.15, stock=40, room=40, makes=2, power=True
        ),
    }
)
_PERTURBATIONS = MappingProxyType(
    {
        "price_spike": PerturbationSpec(every=2 * DAY, least=60, most=120, low=1.2, high=1.8),
        "blackout": PerturbationSpec(every=3 * DAY, least=30, most=90),
        "outage": PerturbationSpec(every=3 * DAY, least=30, most=90),
        "arranged_meet": PerturbationSpec(every=DAY, least=60, most=120),
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
    relations: RelationSpec = RelationSpec()
    """How agents come to know and trust each other."""
    perturbations: Mapping[str, PerturbationSpec] = _PERTURBATIONS
    """What may upset a day; what is not named never happens."""
    life: LifeSpec = LifeSpec()
    """Fainting and respawn."""
    rewards: RewardSpec = RewardSpec()
    """Weights of the reward terms."""

    def __attrs_post_init__(self) -> None:
        problems = tuple(faults(self))
        if problems:
            raise BadInputError(f"town {self.name!r}: {'; '.join(problems)}")


_SLOW = NeedSpec(decay=0.00004, weight=0.5)
_NO_UPSETS: Mapping[str, PerturbationSpec] = MappingProxyType({})


def _offers(**changes: AffordanceSpec) -> Mapping[str, AffordanceSpec]:
    return MappingProxyType({**_AFFORDANCES, **changes})


_FREE = _offers(**{kind: evolve(offer, price=0.0) for kind, offer in _AFFORDANCES.items()})
_SAVERS = LifeSpec(savings=3.0)
"""Nobody is too poor to eat before the first pay day: where only work or solitude is looked at, poverty blurs it."""
_FULL_FRIDGE = evolve(_AFFORDANCES["fridge"], stock=60, room=60)
_HUNGRY_STOVE = evolve(_AFFORDANCES["stove"], serves="hunger")
"""It refuses the well-fed: learners to whom it mostly gave nothing gave cooking up, and starved beside it."""

SCENARIOS: Mapping[str, TownSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            TownSpec(
                name="small_town",
                agents=8,
                objects=("fridge", "fridge", "stove", "shower", "bed", "bed"),
                affordances=_offers(
                    fridge=evolve(_AFFORDANCES["fridge"], duration=21), stove=evolve(_AFFORDANCES["stove"], duration=45)
                ),
                rewards=RewardSpec(hungry_below=0.2),  # from 0.3 on, learners leave work for meals that could wait
            ),
            TownSpec(
                name="queue_conflict",
                agents=3,
                objects=("shower",),
                needs=MappingProxyType(
                    {"hunger": _SLOW, "hygiene": NeedSpec(decay=0.004, weight=1.0), "energy": _SLOW},
                ),
                affordances=_offers(shower=AffordanceSpec(serves="hygiene", duration=30, hygiene=0.45)),
                jobs=(),
                perturbations=_NO_UPSETS,
            ),
            TownSpec(
                name="kitchen_breakfast",
                agents=6,
                objects=("fridge", "stove", "shower", "bed"),
                affordances=_FREE,
                jobs=(),
            ),
            TownSpec(
                name="employment_punctuality",
                agents=8,
                objects=("fridge", "fridge", "shower", "bed", "bed"),
                affordances=_offers(fridge=_FULL_FRIDGE),
                life=_SAVERS,
                perturbations=_NO_UPSETS,
            ),
            TownSpec(
                name="rivalry_decay",
                agents=4,
                objects=("fridge", "shower", "bed"),
                affordances=_offers(**{**_FREE, "fridge": evolve(_FULL_FRIDGE, price=0.0)}),
                rivalry=RivalrySpec(gain=0.5, decay=0.0005),
                jobs=(),
                perturbations=_NO_UPSETS,
            ),
            TownSpec(
                name="quiet", agents=1, objects=("fridge", "shower", "bed"), life=_SAVERS, perturbations=_NO_UPSETS
            ),
            TownSpec(
                name="crowded",
                agents=16,
                objects=("fridge", "fridge", "stove", "shower", "shower", "bed", "bed"),
                needs=MappingProxyType(
                    {
                        "hunger": NeedSpec(decay=0.0013, weight=1.0),
                        "hygiene": NeedSpec(decay=0.0007, weight=0.6),
                        "energy": NeedSpec(decay=0.0008, weight=0.8),
                    }
                ),
                affordances=_offers(
                    fridge=evolve(_AFFORDANCES["fridge"], price=0.55, stock=30, room=60), stove=_HUNGRY_STOVE
                ),
            ),
            TownSpec(
                name="city",
                agents=64,
                objects=("fridge",) * 5 + ("stove",) * 3 + ("shower",) * 4 + ("bed",) * 6,
                object_slots=32,
                width=48,
                height=48,
                needs=MappingProxyType(
                    {
                        "hunger": NeedSpec(decay=0.0006, weight=1.0),
                        "hygiene": NeedSpec(decay=0.0004, weight=0.6),
                        "energy": NeedSpec(decay=0.0005, weight=0.8),
                    }
                ),
                affordances=_offers(
                    fridge=evolve(_AFFORDANCES["fridge"], price=1.3, stock=14, room=40), stove=_HUNGRY_STOVE
                ),
                jobs=(
                    JobSpec(start=420, end=660, wage=0.016, site_x=12, site_y=12),
                    JobSpec(start=660, end=900, wage=0.016, site_x=35, site_y=12),
                    JobSpec(start=420, end=660, wage=0.016, site_x=12, site_y=35),
                    JobSpec(start=660, end=900, wage=0.016, site_x=35, site_y=35),
                ),
                work=WorkSpec(grace=24, absent_after=60),
                rivalry=RivalrySpec(decay=0.0006),
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
