"""Worker processes play the same bits as one process, and are used again."""

import gc
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from faulty_worlds import FaultyProvider
from worker_views import children, digest, faulty, shared_memory

from townlet import api
from townlet.env.gymnasium_provider import GymnasiumProvider
from townlet.env.pettingzoo_provider import PettingZooProvider
from townlet.env.town import TownProvider
from townlet.env.workers import WorkerEnvironment, with_workers
from townlet.errors import BadInputError
from townlet.policy.evaluation.episodes import play
from townlet.ports import Environment, EnvironmentProvider, ScriptableProvider, close
from townlet.testing import check_environment

SCHEDULES = Path(__file__).parents[2] / "schedules"

pytestmark = [pytest.mark.usefixtures("_leaves_nothing")]


@pytest.mark.parametrize(
    ("provider", "scenario"),
    [
        (GymnasiumProvider("CartPole-v1"), "default"),
        (PettingZooProvider("mpe2.simple_spread_v3"), "default"),
        (TownProvider(), "small_town"),
    ],
    ids=["gymnasium", "pettingzoo", "town"],
)
def test_any_number_of_workers_plays_the_same_bits(provider: EnvironmentProvider, scenario: str) -> None:
    """Observations, masks, keys, rewards, ends and tallies are those of one process; nine are more than worlds."""
    digests = {
        digest(with_workers(provider, n).make(scenario, worlds=3, seed=3, max_steps=24, first_world=2), 60)
        for n in (0, 1, 2, 9)
    }
    assert len(digests) == 1


def test_processes_are_used_again() -> None:
    """The next environment of a provider is stepped by the processes of the last one, that of another world by new."""
    provider = with_workers(GymnasiumProvider("CartPole-v1"), 2)
    first = provider.make("default", worlds=4, seed=1, max_steps=9)
    before = children()
    assert len(before) == 2
    close(first)
    second = provider.make("default", worlds=6, seed=1, max_steps=9)
    assert children() == before
    third = provider.make("default", worlds=2, seed=1, max_steps=9)
    assert len(children()) == 4
    assert (second.reset().observations[:2] == third.reset().observations).all()


def test_an_environment_that_is_dropped_gives_its_processes_back() -> None:
    """Nobody need close it; and without the provider they end."""
    provider = with_workers(GymnasiumProvider("CartPole-v1"), 2)
    provider.make("default", worlds=4, seed=1, max_steps=9).reset()
    before = children()
    provider.make("default", worlds=4, seed=2, max_steps=9).reset()
    assert children() == before
    del provider
    gc.collect()
    assert not children()


def test_one_world_and_no_workers_stay_in_this_process() -> None:
    """A process that steps one world alone gains nothing."""
    inner = GymnasiumProvider("CartPole-v1")
    assert with_workers(inner, 0) is inner
    assert not isinstance(with_workers(inner, 3).make("default", worlds=1, seed=1, max_steps=9), WorkerEnvironment)


def test_a_provider_keeps_what_it_can() -> None:
    """Description, teachers and functions that teach are the inner provider's."""
    inner = GymnasiumProvider("CartPole-v1")
    workers = with_workers(inner, 2)
    assert workers.describe("default") == inner.describe("default")
    assert isinstance(workers, ScriptableProvider)
    assert not isinstance(with_workers(FaultyProvider(), 2), ScriptableProvider)
    alone, both = (
        play(each, "default", each.teacher("default", "balance"), seed=5, max_steps=200, first=0, count=6)
        for each in (inner, workers)
    )
    assert (alone.sums == both.sums).all()


def test_environments_in_workers_keep_the_promises() -> None:
    """The check of environments finds nothing that it does not find in one process."""
    for provider, scenario in ((GymnasiumProvider("CartPole-v1"), "default"), (TownProvider(), "small_town")):
        report = check_environment(with_workers(provider, 2), scenario)
        assert report.refusals == ()


def test_a_snapshot_goes_on_in_as_many_workers_and_in_no_other_number() -> None:
    """All shards continue with the same bits."""

    def town(workers: int) -> Environment:
        return with_workers(TownProvider(), workers).make("small_town", worlds=4, seed=3, max_steps=24)

    first, second = town(2), town(2)
    digest(first, 10)
    second.restore(first.snapshot())
    actions = np.zeros((4, first.description.agents, 1), np.int64)
    assert (first.step(actions).observations.observations == second.step(actions).observations.observations).all()
    for state in (town(3).snapshot(), town(0).snapshot(), b"", b"townlet workers 1\n[[2, 1]]\n"):
        with pytest.raises(BadInputError, match="set workers to what it was"):
            first.restore(state)
    assert (first.step(actions).rewards == second.step(actions).rewards).all()


def test_a_bad_action_changes_nothing_in_any_process() -> None:
    """It is refused before a worker hears of it."""
    environment = faulty("nothing", 2)
    before = environment.reset()
    bad = np.array([[[0]], [[0]], [[0]], [[2]]])
    for actions in (bad, bad.astype(np.int32), bad[:3], bad[:, 0], [0, 0, 0, 0]):
        with pytest.raises(BadInputError, match="step: expected"):
            environment.step(actions)  # type: ignore[arg-type]
    assert (environment.step(np.minimum(bad, 1)).observations.keys != before.keys).all()
    assert (environment.tallies().sums[1] == 1).all()


def test_the_shared_memory_has_no_name_and_ends_with_its_users() -> None:
    """Nothing is left in /dev/shm, whoever is killed."""
    environment = faulty("nothing", 2)
    assert shared_memory() > 0
    close(environment)


def test_an_id_that_the_program_registered_is_known_to_the_workers() -> None:
    """The registration travels with the provider."""
    gymnasium.register(
        "townlet-test/Mine-v0", "faulty_worlds:Faulty", max_episode_steps=5, kwargs={"mishap": "nothing"}
    )
    try:
        provider = GymnasiumProvider("townlet-test/Mine-v0")
        alone, both = (with_workers(provider, n).make("default", worlds=2, seed=3, max_steps=5) for n in (0, 2))
        assert digest(alone, 12) == digest(both, 12)
    finally:
        gymnasium.registry.pop("townlet-test/Mine-v0")


def test_worlds_are_closed_with_their_environment() -> None:
    """An environment of Gymnasium may hold a window, or a program of its own."""
    environment = faulty("nothing", 0)
    close(environment)
    assert environment._environments[0].is_closed  # type: ignore[attr-defined]


def test_a_run_promotes_the_same_weights_with_any_number_of_workers(tmp_path: Path) -> None:
    """Every state plays in workers: capture, ppo, evidence."""
    text, runs = (SCHEDULES / "cartpole.yaml").read_text(), []
    for workers in (0, 2):
        schedule = tmp_path / f"{workers}.yaml"
        schedule.write_text(text.replace("worlds: 32", f"worlds: 32, workers: {workers}"))
        runs.append(api.anneal(schedule, home=tmp_path / f"home{workers}", rehearse=True))
    first, second = ([stage.result.weights for stage in run.stages] for run in runs)
    assert first == second
    assert len(first) > 2
