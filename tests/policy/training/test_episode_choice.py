"""Which episode of evidence is shown; a recording says so where it is not the one that evidence counted."""

import pytest
from attrs import evolve

from townlet.dto.evidence import EvidenceTable, PairedMetric
from townlet.dto.schedule import EnvironmentSpec
from townlet.env.town import TownProvider
from townlet.errors import BadInputError
from townlet.imports import Imports
from townlet.policy.evaluation.comparison import PolicyReference
from townlet.policy.training.episode_choice import ChosenEpisode, _extreme, episode_of_seed
from townlet.policy.training.episode_pair import record_pair

SCRIPTED = PolicyReference(source="teacher:scripted", teacher="scripted")


def chosen(*references: PolicyReference) -> ChosenEpisode:
    """Return a short episode of a town."""
    return episode_of_seed(
        references or (SCRIPTED,),
        environment=EnvironmentSpec(id="town", scenario="queue_conflict"),
        imports=Imports(),
        seed=1,
        episode="2",
        days=1,
        actions="greedy",
    )


def test_what_evidence_counted_is_compared_with_what_is_shown() -> None:
    """Equal values leave no doubt; another value is named with its KPI."""
    values = {kpi.name: kpi.value for kpi in record_pair(chosen()).episodes[0].kpis}
    agreeing = evolve(chosen(), counted={"teacher:scripted": values})
    other = evolve(chosen(), counted={"teacher:scripted": values | {"deaths": 5.0, "chats": None}})

    assert "" == record_pair(agreeing).doubt
    expected = (
        "What is shown is not what the evidence counted (chats, deaths differ): "
        "the environment or a library is another version."
    )
    assert expected == record_pair(other).doubt


def test_two_that_begin_alike_are_a_pair() -> None:
    """The town obeys its seed; a recording of another episode does not begin alike."""
    random = PolicyReference(source="teacher:random", teacher="random")

    assert not record_pair(chosen(SCRIPTED, random)).unpaired


def suite(**values: tuple[tuple[float | None, ...], tuple[float, ...]]) -> EvidenceTable:
    """Return evidence of candidate and champion in a suite of scenarios."""
    return EvidenceTable(
        evidence="full",
        candidate="c0ffee",
        baselines={"champion": "teacher:scripted"},
        seed=1,
        looks=(3,),
        metrics=tuple(
            PairedMetric(metric=f"[{scenario}].return_per_agent_day", values={"candidate": own, "champion": other})
            for scenario, (own, other) in values.items()
        ),
    )


def test_the_largest_gain_and_loss_are_of_all_scenarios() -> None:
    """Of equal ones the first; a pair of which one side is not known is none."""
    environments = TownProvider()
    both = {each: environments.describe(each) for each in ("small_town", "crowded")}
    table = suite(small_town=((3.0, 9.0, None), (2.0, 2.0, -90.0)), crowded=((9.0, 1.0, 1.0), (2.0, 5.0, 5.0)))

    assert ("small_town", 1) == _extreme("gain", table, both, "champion")
    assert ("crowded", 1) == _extreme("loss", table, both, "champion")
    assert ("crowded", 0) == _extreme("gain", table, {"crowded": both["crowded"]}, "champion")
    with pytest.raises(BadInputError, match="return_per_agent_day is not known in any pair"):
        _extreme("gain", suite(crowded=((None,), (1.0,))), {"crowded": both["crowded"]}, "champion")
