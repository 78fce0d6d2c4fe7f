"""bc: a clone that predicts the teacher, a critic that knows the returns, weights that prove themselves."""

from pathlib import Path

import numpy as np
import pytest
from attrs import evolve, frozen
from corridor import AGENTS, Corridor, CorridorProvider
from corridor_runs import results, run_corridor
from corridor_schedules import GUARDED, write
from numpy.typing import NDArray

from townlet.dto.boundary import ObservationBatchDTO, StepResult
from townlet.dto.policy import AnnealSummary, BCTrainingResult
from townlet.errors import UnfitInputError
from townlet.machine.schedule.loader import ScheduleError
from townlet.policy.model.weights import PARITY, read_weights
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.ports import EnvironmentDescription
from townlet.store.blobs import BlobStore

NOON = 12
ONLY_CLONES = GUARDED.replace(
    "[{{to: ppo, when: [cloned]}}, {{to: hold, why: the clone is too weak}}]", "[{{to: done}}]"
)
CUT = ONLY_CLONES.index("  ppo:\n"), ONLY_CLONES.index("guards:"), ONLY_CLONES.index("initial:")
BC_ONLY = ONLY_CLONES[: CUT[1]] + ONLY_CLONES[CUT[2] : CUT[0]]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> tuple[AnnealSummary, BlobStore]:
    """A finished capture → bc → done."""
    folder = tmp_path_factory.mktemp("bc")
    return run_corridor(folder, text=BC_ONLY), BlobStore(folder / "home" / "blobs")


def _result(summary: AnnealSummary) -> BCTrainingResult:
    (result,) = results(summary, "bc")
    assert isinstance(result, BCTrainingResult)
    return result


def test_a_clone_predicts_the_teacher_on_episodes_it_never_saw(clone: tuple[AnnealSummary, BlobStore]) -> None:
    """Held-out accuracy of a teacher that is a function of what is seen."""
    assert _result(clone[0]).heldout_accuracy > 0.97


def test_a_clone_of_choices_has_no_share_of_numbers(clone: tuple[AnnealSummary, BlobStore]) -> None:
    """R² is of box heads, which the corridor's action does not have."""
    assert _result(clone[0]).heldout_r2 is None


def test_a_clone_brings_a_critic_that_explains_most_of_the_returns(clone: tuple[AnnealSummary, BlobStore]) -> None:
    """Half the mean square of normalised returns is ½ for a cold critic."""
    assert _result(clone[0]).value_loss < 0.5


def test_the_stored_weights_prove_themselves(clone: tuple[AnnealSummary, BlobStore]) -> None:
    """Probe and parity certificate come with every clone."""
    digest = _result(clone[0]).weights
    assert digest is not None
    weights = read_weights(clone[1].get(digest), "clone")
    assert weights.verify() == 0.0
    assert weights.metadata.parity is not None
    assert weights.metadata.parity <= PARITY


def test_the_same_seed_clones_the_same_bits(clone: tuple[AnnealSummary, BlobStore], tmp_path: Path) -> None:
    """Same schedule, same seed, another directory: same digest and same semantic chain."""
    again = run_corridor(tmp_path, text=BC_ONLY)
    assert _result(clone[0]).weights == _result(again).weights
    assert clone[0].semantic_hash == again.semantic_hash


def test_another_seed_clones_other_bits(clone: tuple[AnnealSummary, BlobStore], tmp_path: Path) -> None:
    """The seed is the only entropy, and it is used."""
    assert _result(clone[0]).weights != _result(run_corridor(tmp_path, text=BC_ONLY, seed=4)).weights


class Brief(Corridor):
    """Every life ends at noon of the first day."""

    def _observe(self) -> ObservationBatchDTO:
        alive = np.repeat((self.clock < NOON)[:, None], AGENTS, axis=1)
        return evolve(super()._observe(), alive=alive)

    def step(self, actions: NDArray[np.int64]) -> StepResult:
        """Walk one step; the dead earn nothing."""
        lived, before = self.clock < NOON, self.sums[0].copy()
        step = super().step(actions)
        rewards = step.rewards * lived[:, None]
        self.sums[0] = before + rewards.sum(1)
        return evolve(step, rewards=rewards, terminations=np.repeat((self.clock == NOON)[:, None], AGENTS, axis=1))


@frozen
class Declaring(CorridorProvider):
    """Makes corridors of a kind, and declares whether their lives end."""

    kind: type[Corridor]
    lives_end: bool | None

    def describe(self, scenario: str) -> EnvironmentDescription:
        """Return what a policy must know."""
        return evolve(super().describe(scenario), lives_end=self.lives_end)


def short_days(folder: Path, environments: CorridorProvider) -> PolicyTrainingOrchestrator:
    """Return what captures one day, 24 decisions, where γ = 0.9 asks for 30 decisions of future, and clones."""
    text = BC_ONLY.replace("episodes: 24, days: 2", "episodes: 24, days: 1")
    path = write(folder, text, seed=3, ppo="", scope="home")
    return PolicyTrainingOrchestrator(path, environments=environments, home=folder / "home")


def test_episodes_too_short_for_any_complete_return_are_refused(tmp_path: Path) -> None:
    """Where lives last as long as their episode, `check` knows."""
    with pytest.raises(ScheduleError, match="capture 2 days, or set value_epochs: 0"):
        short_days(tmp_path, Declaring(Corridor, lives_end=False)).plan()


@pytest.mark.parametrize("lives_end", [True, None])
def test_short_episodes_in_which_lives_end_have_exact_returns(tmp_path: Path, lives_end: bool | None) -> None:
    """The critic is fitted to them: a termination cuts nothing off."""
    summary = short_days(tmp_path, Declaring(Brief, lives_end)).run()

    assert "done" == summary.state
    assert 0 < _result(summary).value_loss < 1  # fitted; half the mean square of normalised returns is ½ at the start


def test_short_episodes_in_which_no_life_ends_are_refused_before_anything_is_cloned(tmp_path: Path) -> None:
    """Nothing declared it: the recording shows it, and the visit stays open until the schedule is mended."""
    orchestrator = short_days(tmp_path, Declaring(Corridor, lives_end=None))
    points: list[str] = []
    orchestrator.watch = lambda point: points.append(point.state)
    reason = r"24 decisions are no longer than 3 ÷ \(1 − 0\.9\) = 30, and no life ends in them: .* set value_epochs: 0"
    with pytest.raises(UnfitInputError, match=reason):
        orchestrator.run()
    assert {"capture"} == set(points)
    assert isinstance(orchestrator.config, Path)

    orchestrator.config.write_text(
        orchestrator.config.read_text().replace("update_epochs: 12", "update_epochs: 12, value_epochs: 0")
    )
    assert "done" == orchestrator.resume(accept_schedule=True).state


def test_one_episode_cannot_be_split(tmp_path: Path) -> None:
    """Held-out data is whole episodes."""
    summary = run_corridor(tmp_path, text=BC_ONLY.replace("episodes: 24, days: 2", "episodes: 1, days: 4"))
    assert "failed" == summary.state
    assert "at least 2 episodes" in summary.reason
