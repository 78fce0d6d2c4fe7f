"""What is larger than an environment declares to play is refused before anything is written; the rest stays within."""

from pathlib import Path

import numpy as np
import pytest
from attrs import evolve, frozen
from corridor import PER_DAY, Corridor, CorridorProvider, Walker
from corridor_schedules import GUARDED, LEARNS, write

from townlet.cli import run_command
from townlet.env.town import TownProvider
from townlet.errors import BadInputError, TownletError
from townlet.machine.schedule.loader import ScheduleError
from townlet.policy.evaluation.comparison import NamedPolicy, compare
from townlet.policy.evaluation.episodes import Episodes, play
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.ports import EnvironmentDescription
from townlet.testing import check_environment


@frozen
class Limited(CorridorProvider):
    """Makes corridors within declared limits, and fails beyond them."""

    kind: type[Corridor] = Corridor
    most_worlds: int | None = None
    most_steps: int | None = None

    def describe(self, scenario: str) -> EnvironmentDescription:
        """Return what a policy must know."""
        return evolve(super().describe(scenario), most_worlds=self.most_worlds, most_steps=self.most_steps)

    def make(self, scenario: str, *, worlds: int, seed: int, max_steps: int, first_world: int = 0) -> Corridor:
        """Return corridors."""
        assert worlds <= (self.most_worlds or worlds)
        assert max_steps <= (self.most_steps or max_steps)
        return super().make(scenario, worlds=worlds, seed=seed, max_steps=max_steps, first_world=first_world)


@pytest.mark.parametrize(
    ("text", "ppo", "limits", "message"),
    [
        (GUARDED, LEARNS, Limited(most_worlds=23), "24 worlds at once cannot be played: the most in corridor/plain is"),
        (
            GUARDED.replace("episodes: 24, days: 2", "episodes: 24, days: 5"),
            LEARNS,
            Limited(most_steps=4 * PER_DAY),
            "5 days",
        ),
        (
            GUARDED.replace("episodes: 24, days: 2", "episodes: 24, ticks: 97"),
            LEARNS,
            Limited(most_steps=4 * PER_DAY),
            "5 days",
        ),
        (GUARDED.replace("worlds: 16", "worlds: 25"), LEARNS, Limited(most_worlds=24), "environment.worlds: 25 worlds"),
        (
            GUARDED,
            LEARNS.replace("days: 4", "days: 5"),
            Limited(most_steps=4 * PER_DAY),
            "episodes of 5 days cannot be played",
        ),
        (
            GUARDED.replace("40], days: 2", "40], days: 5"),
            LEARNS,
            Limited(most_steps=4 * PER_DAY),
            "episodes of 5 days",
        ),
    ],
)
def test_a_schedule_beyond_the_limits_is_refused(
    tmp_path: Path, text: str, ppo: str, limits: Limited, message: str
) -> None:
    """`check` and `run` find the one mistake, and the run has no directory."""
    path = write(tmp_path, text, seed=3, ppo=ppo, scope="home")
    orchestrator = PolicyTrainingOrchestrator(path, environments=limits, home=tmp_path / "home")
    with pytest.raises(ScheduleError) as caught:
        orchestrator.run()

    assert 1 == len(caught.value.mistakes), caught.value
    assert message in caught.value.mistakes[0].message
    assert not (tmp_path / "home").exists()


def test_a_schedule_at_the_limits_is_accepted(tmp_path: Path) -> None:
    """24 worlds at once and episodes of 4 days are the most that it asks for."""
    path = write(tmp_path, GUARDED, seed=3, ppo=LEARNS, scope="home")
    assert PolicyTrainingOrchestrator(path, environments=Limited(most_worlds=24, most_steps=4 * PER_DAY)).plan()


def played(provider: CorridorProvider) -> Episodes:
    """Return eight episodes of two days."""
    return play(provider, "plain", Walker("lazy"), seed=1, max_steps=2 * PER_DAY, first=0, count=8)


def test_evidence_is_played_in_batches_that_the_environment_allows() -> None:
    """With the same numbers as in one batch."""
    assert np.array_equal(played(CorridorProvider()).sums, played(Limited(most_worlds=3)).sums)


def test_a_comparison_of_longer_episodes_is_refused() -> None:
    """Before any is played."""
    lazy, straight = (NamedPolicy(name=f"teacher:{name}", policy=Walker(name)) for name in ("lazy", "straight"))
    environments, episodes = (
        Limited(most_steps=4 * PER_DAY),
        {"episodes": 2, "seed": 0, "confidence": 0.95, "actions": "greedy"},
    )
    with pytest.raises(
        BadInputError, match=r"^episodes of 5 days cannot be played: the most in corridor/plain is 4 days;"
    ):
        compare(environments, "plain", lazy, straight, days=5, **episodes)  # type: ignore[arg-type]  # one dict of all


@pytest.mark.parametrize(
    ("limits", "untested"), [(Limited(most_worlds=1), "batches"), (Limited(most_steps=1 * PER_DAY), "length")]
)
def test_the_check_of_an_environment_stays_within_its_limits(limits: Limited, untested: str) -> None:
    """What it is too small for is untested, and nothing else is held against it."""
    report = check_environment(limits, "plain")

    assert () == report.refusals
    assert untested in [each.promise for each in report.promises if each.outcome == "untested"]
    assert "broken" not in [each.outcome for each in report.promises]


def test_the_town_plays_exactly_what_it_declares() -> None:
    """Its batch refuses one more."""
    town, about = TownProvider(), TownProvider().describe("queue_conflict")
    assert about.most_worlds
    assert about.most_steps
    assert town.make("queue_conflict", worlds=1, seed=1, max_steps=about.most_steps)
    with pytest.raises(TownletError, match="ticks is"):
        town.make("queue_conflict", worlds=1, seed=1, max_steps=about.most_steps + 1)
    with pytest.raises(TownletError, match="worlds is"):
        town.make("queue_conflict", worlds=about.most_worlds + 1, seed=1, max_steps=1)


@pytest.mark.parametrize("limit", [0, -1, 1.5, "many", True])
def test_a_limit_is_a_whole_number_from_one_on(limit: object) -> None:
    """Whoever declares another one is told at once."""
    with pytest.raises((TownletError, TypeError, ValueError), match="most_steps"):
        Limited(most_steps=limit).describe("plain")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "words",
    [
        "train quickstart --mode capture --rollout-ticks 9223372036854775808",
        "train quickstart --mode rollout --rollout-ticks 9223372036854775808",
        "evaluate teacher:scripted --days 10001",
        "evaluate teacher:scripted --days 10001 --json",
    ],
)
def test_a_command_that_asks_for_more_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    """One error, exit code 2, no home."""
    assert 2 == run_command([*words.split(), "--home", str(tmp_path / "home")])
    printed = capsys.readouterr()
    assert "cannot be played: the most in town/small_town is 10,000 days; ask for less" in printed.err
    assert "" == printed.out
    assert not (tmp_path / "home").exists()
