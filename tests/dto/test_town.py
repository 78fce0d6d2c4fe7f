"""Town specs: they travel unharmed, and what could not be lived in is refused with a reason."""

import attrs
import pytest

from townlet.dto.codec import CodecError, structure
from townlet.dto.scenarios import SCENARIOS, scenario
from townlet.dto.town import TownSpec
from townlet.errors import BadInputError

SMALL = scenario("small_town")


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_spec_survives_the_codec(name: str) -> None:
    """A preset read back from its plain data is itself."""
    spec = SCENARIOS[name]
    assert spec == structure(spec.model_dump(), TownSpec)
    assert name == spec.name


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"agents": 65}, "agents is 65"),
        ({"objects": ()}, "objects lists 0"),
        ({"objects": ("fridge",) * 33}, "objects lists 33"),
        ({"objects": ("frige",)}, "did you mean 'fridge'"),
        ({"object_slots": 4}, "object_slots is 4"),
        ({"width": 12}, "outside 12x24"),
        ({"ticks_per_decision": 7}, "divisor of 1440"),
        ({"jobs": (attrs.evolve(SMALL.jobs[0], end=1500),)}, "expected 0 ≤ start < end"),
        ({"needs": {**SMALL.needs, "hunger": attrs.evolve(SMALL.needs["hunger"], decay=0.02)}}, "cannot be met"),
        ({"objects": ("bed",)}, "nothing here feeds anyone"),
        ({"queues": attrs.evolve(SMALL.queues, cooldown=-1)}, "queues.cooldown is -1"),
        ({"life": attrs.evolve(SMALL.life, respawn_min=30)}, "respawn_min is 30"),
    ],
)
def test_a_town_that_cannot_work_is_refused(change: dict[str, object], reason: str) -> None:
    """Each mistake is named with what was found and what was expected."""
    with pytest.raises(BadInputError, match=reason):
        attrs.evolve(SMALL, **change)


def test_bad_plain_data_is_refused_by_the_codec() -> None:
    """The codec passes the reason on."""
    with pytest.raises(CodecError, match="agents is 0"):
        structure({**SMALL.model_dump(), "agents": 0}, TownSpec)


def test_an_unknown_scenario_is_answered_with_the_nearest() -> None:
    """A typo gets a suggestion."""
    with pytest.raises(BadInputError, match="did you mean 'small_town'"):
        scenario("small_twon")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"objects": ("stove", "shower")}, "nothing that keeps its meals; add a fridge"),
        ({"perturbations": {"blakout": SMALL.perturbations["blackout"]}}, "did you mean 'blackout'"),
        (
            {"perturbations": {"blackout": attrs.evolve(SMALL.perturbations["blackout"], least=100)}},
            "perturbations.blackout needs every ≥ 1, 1 ≤ least ≤ most",
        ),
        (
            {"affordances": {**SMALL.affordances, "fridge": attrs.evolve(SMALL.affordances["fridge"], room=3)}},
            "room is 3",
        ),
        ({"relations": attrs.evolve(SMALL.relations, fade=-0.1)}, "relations.fade is -0.1"),
        (
            {"affordances": {**SMALL.affordances, "bed": attrs.evolve(SMALL.affordances["bed"], serves="")}},
            "bed.serves",
        ),
    ],
)
def test_a_kitchen_or_an_upset_that_cannot_work_is_refused(change: dict[str, object], reason: str) -> None:
    """Stoves without fridges, unknown upsets and impossible amounts are named."""
    with pytest.raises(BadInputError, match=reason):
        attrs.evolve(SMALL, **change)
