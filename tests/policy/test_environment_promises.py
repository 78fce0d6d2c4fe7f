"""`check_environment` names the promise that an environment breaks, and passes one that keeps them all."""

import tracemalloc
from pathlib import Path

import broken_corridors as broken
import numpy as np
import pytest
from attrs import evolve
from corridor import Corridor, CorridorProvider, Keeping, Walker
from corridor_schedules import GUARDED, LEARNS, write
from numpy.typing import NDArray

from townlet.dto.boundary import ObservationBatchDTO
from townlet.env.town import TownProvider
from townlet.errors import BadInputError
from townlet.machine.schedule.loader import load
from townlet.machine.schedule.shipped import find_schedule
from townlet.policy.training.custom_teacher import ProviderWithTeacher
from townlet.policy.training.environment_checks import check_promises
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.policy.training.strategies.base import catalogue
from townlet.ports import EnvironmentDescription, Teacher
from townlet.testing import PROMISES, check_environment


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (broken.NarrowObservations, "shapes"),
        (broken.InfiniteReward, "finite"),
        (broken.NothingLegal, "masks"),
        (broken.ConstantKeys, "keys"),
        (broken.SameKeysEachEpisode, "keys"),
        (broken.Endless, "length"),
        (broken.EndsEarly, "length"),
        (broken.IgnoresLength, "length"),
        (broken.TallyShape, "tallies"),
        (broken.TallyNaN, "tallies"),
        (broken.NegativeExposure, "tallies"),
        (broken.OtherObjective, "return"),
        (broken.ResetsItself, "resets"),
        (broken.ForgetfulSnapshot, "snapshot"),
    ],
)
def test_a_broken_promise_is_named_and_refused(kind: type[Corridor], promise: str) -> None:
    """With where, found and expected."""
    report = check_environment(CorridorProvider(kind), "plain")
    refused = {each.promise: each for each in report.refusals}

    assert promise in refused, [each.sentence for each in report.promises]
    assert all((refused[promise].where, refused[promise].found, refused[promise].expected))


@pytest.mark.parametrize(
    ("kind", "promise"),
    [
        (broken.Unseeded, "pure"),
        (broken.SharedState, "pure"),
        (broken.BatchDependent, "batches"),
        (broken.OneSeed, "seeds"),
    ],
)
def test_a_seed_that_is_not_obeyed_is_named_and_not_refused(kind: type[Corridor], promise: str) -> None:
    """Evidence is unpaired then, unless another seed only gives the same episodes."""
    report = check_environment(CorridorProvider(kind), "plain")
    assert promise in {each.promise for each in report.reservations}
    assert (promise == "seeds") == report.obeys_seed


def test_bad_actions_that_are_played_are_named_and_not_refused() -> None:
    """A run may use such an environment; its report says so."""
    report = check_environment(CorridorProvider(broken.TakesAnything), "plain")

    assert () == report.refusals
    assert {"refusals"} == {each.promise for each in report.reservations}


@pytest.mark.parametrize("kind", [Corridor, Keeping])
def test_an_environment_that_keeps_its_promises_passes(kind: type[Corridor]) -> None:
    """One that offers no snapshot as well: each checkpoint ends its episodes."""
    report = check_environment(CorridorProvider(kind), "plain")

    assert () == report.refusals
    assert [*PROMISES] == [each.promise for each in report.promises]
    assert () == report.reservations
    assert ({"kept"} if kind is Keeping else {"kept", "not offered"}) == {each.outcome for each in report.promises}


def test_the_town_keeps_its_promises() -> None:
    """The built-in environment passes what others are asked for."""
    report = check_environment(TownProvider(), "small_town")

    assert [] == [each.sentence for each in report.promises if each.outcome != "kept"]


def test_what_takes_too_long_is_untested_and_not_kept() -> None:
    """A slow environment does not hold up a run; its report says what was not checked."""
    report = check_environment(CorridorProvider(broken.Slow), "plain", seconds=0.3)

    assert "untested" in {each.outcome for each in report.reservations}
    assert () == report.refusals


@pytest.mark.parametrize("kind", [broken.Endless, broken.ConstantKeys, broken.OtherObjective])
def test_a_run_refuses_an_environment_that_breaks_a_promise_before_anything_is_written(
    tmp_path: Path, kind: type[Corridor]
) -> None:
    """One sentence names the environment and the promise; an endless one does not hang."""
    path = write(tmp_path, GUARDED.replace("seed: {seed}", "seed: 3"), ppo=LEARNS, scope="home")
    with pytest.raises(BadInputError, match="environment corridor/plain breaks what a run rests on: "):
        PolicyTrainingOrchestrator(path, environments=CorridorProvider(kind), home=tmp_path / "home").run()

    assert [] == [*(tmp_path / "home").glob("runs/*")]


def test_only_the_built_in_town_is_taken_on_trust() -> None:
    """With a teacher of one's own it is the same town; a subclass may break any promise."""

    class Changed(TownProvider):
        """Could do anything."""

    plan = load(find_schedule("quickstart"), catalogue(), lambda spec: TownProvider().describe(spec.scenario))

    assert () == check_promises(TownProvider(), plan.schedule)
    with_teacher = ProviderWithTeacher(inner=TownProvider(), maker=lambda: Walker("lazy"), names=("custom",))
    assert () == check_promises(with_teacher, plan.schedule)
    (report,) = check_promises(Changed(), plan.schedule)
    assert () == report.refusals + report.reservations


def test_a_check_is_bounded_by_decisions_and_says_how_many_it_played() -> None:
    """Days of 24 decisions take 405 of them; what lies beyond the limit is untested, not kept."""
    full = check_environment(CorridorProvider(Keeping), "plain")
    cut = check_environment(CorridorProvider(Keeping), "plain", decisions=100)

    assert (405, 100) == (full.decisions, cut.decisions)
    assert "environment corridor/plain: keeps 14 of 14 promises, checked in 405 decisions" == full.summary
    outcomes = {each.promise: each.outcome for each in cut.promises}
    assert ("kept", "untested", "untested") == (outcomes["finite"], outcomes["length"], outcomes["snapshot"])


class Forgetful(Walker):
    """Turns round at every second call."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.calls = 0

    def act(self, observations: ObservationBatchDTO) -> NDArray[np.int64]:
        """Return actions."""
        self.calls += 1
        actions = super().act(observations)
        return actions if self.calls % 2 else np.zeros_like(actions)


class Drawing(Walker):
    """Draws from randomness of its own."""

    def act(self, observations: ObservationBatchDTO) -> NDArray[np.int64]:
        """Return actions."""
        actions = super().act(observations)
        return np.where(np.random.default_rng().random(actions.shape) < 0.5, actions, 0)


class Leading(Walker):
    """Lets every world do what world 0 does."""

    def act(self, observations: ObservationBatchDTO) -> NDArray[np.int64]:
        """Return actions."""
        return np.where(super().act(observations)[:1] == 0, 0, super().act(observations))


class Illegal(Walker):
    """Walks left, wall or not."""

    def act(self, observations: ObservationBatchDTO) -> NDArray[np.int64]:
        """Return actions."""
        return np.ones_like(super().act(observations))


class Floating(Walker):
    """Chooses 2.0."""

    def act(self, observations: ObservationBatchDTO) -> NDArray[np.int64]:
        """Return actions that are floats."""
        return super().act(observations).astype(float)  # type: ignore[return-value]  # that it is wrong is the point


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (Forgetful, "other actions at another time, or in another batch"),
        (Drawing, "other actions at another time, or in another batch"),
        (Leading, "other actions at another time, or in another batch"),
        (Illegal, "an action that the mask forbids"),
        (Floating, "actions of shape [5, 2] and type float64; expected whole numbers of shape [5, 2, 1]"),
    ],
)
def test_a_teacher_that_breaks_the_promise_is_named(kind: type[Walker], found: str) -> None:
    """The report says which teacher; a run is not refused for a teacher that it may not use."""

    class Provider(CorridorProvider):
        """Makes corridors with such a teacher."""

        def teacher(self, scenario: str, name: str) -> Teacher:
            """Return the teacher."""
            return kind("straight") if name == "straight" else super().teacher(scenario, name)

    report = check_environment(Provider(Keeping), "plain")

    assert () == report.refusals
    (broken_promise,) = report.reservations
    assert ("teachers", "broken") == (broken_promise.promise, broken_promise.outcome)
    assert found in broken_promise.found
    assert broken_promise.where.startswith("teacher straight, episode 1, decision ")


def test_the_check_of_wide_observations_takes_little_memory() -> None:
    """Of 60,000 features an agent no more is kept than fits; every promise is checked all the same."""
    width = 60_000
    features = tuple(f"pixel_{i}" for i in range(width))
    wide = evolve(CorridorProvider().describe("plain"), features=features, teachers=("random",))

    class Wide(Keeping):
        """Shows a picture."""

        def _observe(self) -> ObservationBatchDTO:
            seen = super()._observe()
            picture = np.repeat(seen.observations[..., :1], width, axis=-1)
            return evolve(seen, observations=picture)

    class Provider(CorridorProvider):
        """Makes corridors with a picture."""

        def describe(self, scenario: str) -> EnvironmentDescription:
            """Return what a policy must know."""
            return wide

    tracemalloc.start()
    report = check_environment(Provider(Wide), "plain", seconds=300)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert () == report.refusals + report.reservations
    assert peak < 2**29
