"""The scenarios that ship with the wheel: one TownSpec for each name."""

from collections.abc import Mapping
from types import MappingProxyType

from attrs import evolve

from townlet.dto.codec import did_you_mean
from townlet.dto.town import DEFAULT_AFFORDANCES, TownSpec
from townlet.dto.town_rules import (
    NEED_TABLE,
    NEEDS,
    AffordanceSpec,
    JobSpec,
    LifeSpec,
    NeedSpec,
    PerturbationSpec,
    RewardSpec,
    RivalrySpec,
    WorkSpec,
)
from townlet.errors import BadInputError

__all__ = ["SCENARIOS", "scenario"]

_SLOW_NEED = NeedSpec(decay=0.00004, weight=0.5)
_NO_PERTURBATIONS: Mapping[str, PerturbationSpec] = MappingProxyType({})


def _needs(**changes: NeedSpec) -> Mapping[str, NeedSpec]:
    return MappingProxyType({**NEED_TABLE, **changes})


def _affordances(**changes: AffordanceSpec) -> Mapping[str, AffordanceSpec]:
    return MappingProxyType({**DEFAULT_AFFORDANCES, **changes})


_FREE_AFFORDANCES = _affordances(
    **{kind: evolve(affordance, price=0.0) for kind, affordance in DEFAULT_AFFORDANCES.items()}
)
_MORE_SAVINGS = LifeSpec(savings=3.0)
"""Money for meals until the first wage, where poverty would blur what the scenario studies."""
_FULL_FRIDGE = evolve(DEFAULT_AFFORDANCES["fridge"], stock=60, room=60)
_HUNGRY_STOVE = evolve(DEFAULT_AFFORDANCES["stove"], serves="hunger")
"""It refuses agents above `refuse_above`. Without that, learners mostly gained nothing, stopped cooking and starved."""

SCENARIOS: Mapping[str, TownSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            TownSpec(
                name="small_town",
                agents=8,
                objects=("fridge", "fridge", "stove", "shower", "bed", "bed"),
                affordances=_affordances(
                    fridge=evolve(DEFAULT_AFFORDANCES["fridge"], duration=21),
                    stove=evolve(DEFAULT_AFFORDANCES["stove"], duration=45),
                ),
                rewards=RewardSpec(hungry_below=0.2),  # from 0.3 on, learners leave work for meals that could wait
            ),
            TownSpec(
                name="queue_conflict",
                agents=3,
                objects=("shower",),
                needs=_needs(**{**dict.fromkeys(NEEDS, _SLOW_NEED), "hygiene": NeedSpec(decay=0.004, weight=1.0)}),
                affordances=_affordances(shower=AffordanceSpec(serves="hygiene", duration=30, hygiene=0.45)),
                jobs=(),
                perturbations=_NO_PERTURBATIONS,
            ),
            TownSpec(
                name="kitchen_breakfast",
                agents=6,
                objects=("fridge", "stove", "shower", "bed"),
                affordances=_FREE_AFFORDANCES,
                jobs=(),
            ),
            TownSpec(
                name="employment_punctuality",
                agents=8,
                objects=("fridge", "fridge", "shower", "bed", "bed"),
                affordances=_affordances(fridge=_FULL_FRIDGE),
                life=_MORE_SAVINGS,
                perturbations=_NO_PERTURBATIONS,
            ),
            TownSpec(
                name="rivalry_decay",
                agents=4,
                objects=("fridge", "shower", "bed"),
                affordances=_affordances(**{**_FREE_AFFORDANCES, "fridge": evolve(_FULL_FRIDGE, price=0.0)}),
                rivalry=RivalrySpec(gain=0.5, decay=0.0005),
                jobs=(),
                perturbations=_NO_PERTURBATIONS,
            ),
            TownSpec(
                name="quiet",
                agents=1,
                objects=("fridge", "shower", "bed"),
                life=_MORE_SAVINGS,
                perturbations=_NO_PERTURBATIONS,
            ),
            TownSpec(
                name="crowded",
                agents=16,
                objects=("fridge", "fridge", "stove", "shower", "shower", "bed", "bed"),
                needs=_needs(
                    hunger=NeedSpec(decay=0.0013, weight=1.0),
                    hygiene=NeedSpec(decay=0.0007, weight=0.6),
                    energy=NeedSpec(decay=0.0008, weight=0.8),
                ),
                affordances=_affordances(
                    fridge=evolve(DEFAULT_AFFORDANCES["fridge"], price=0.55, stock=30, room=60), stove=_HUNGRY_STOVE
                ),
            ),
            TownSpec(
                name="city",
                agents=64,
                objects=("fridge",) * 5 + ("stove",) * 3 + ("shower",) * 4 + ("bed",) * 6,
                object_slots=32,
                width=48,
                height=48,
                needs=_needs(
                    hunger=NeedSpec(decay=0.0006, weight=1.0),
                    hygiene=NeedSpec(decay=0.0004, weight=0.6),
                    energy=NeedSpec(decay=0.0005, weight=0.8),
                ),
                affordances=_affordances(
                    fridge=evolve(DEFAULT_AFFORDANCES["fridge"], price=1.3, stock=14, room=40), stove=_HUNGRY_STOVE
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
"""Presets by name. Each exercises one part of the rules; small_town exercises all."""


def scenario(name: str) -> TownSpec:
    """Return a preset by name; BadInputError with the nearest name for an unknown one."""
    if name not in SCENARIOS:
        raise BadInputError(f"unknown scenario {name!r}{did_you_mean(name, sorted(SCENARIOS))}")
    return SCENARIOS[name]
