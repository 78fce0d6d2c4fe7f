"""A recording says so where it is not the episode that evidence counted."""

from attrs import evolve

from townlet.dto.schedule import EnvironmentSpec
from townlet.imports import Imports
from townlet.policy.evaluation.comparison import PolicyReference
from townlet.policy.training.episode_choice import ChosenEpisode, episode_of_seed
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
