"""bc: a clone that predicts the teacher, a critic that knows the returns, weights that prove themselves."""

from pathlib import Path

import pytest
from corridor_runs import results, run_corridor
from corridor_schedules import GUARDED

from townlet.dto.policy import AnnealSummary, BCTrainingResult
from townlet.machine.schedule.loader import ScheduleError
from townlet.policy.model.weights import PARITY, read_weights
from townlet.store.blobs import BlobStore

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

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


def test_episodes_too_short_for_any_known_return_are_refused(tmp_path: Path) -> None:
    """γ = 0.9 needs 30 decisions of future; one day has 24."""
    with pytest.raises(ScheduleError, match="capture 2 days, or set value_epochs: 0"):
        run_corridor(tmp_path, text=BC_ONLY.replace("episodes: 24, days: 2", "episodes: 24, days: 1"))


def test_one_episode_cannot_be_split(tmp_path: Path) -> None:
    """Held-out data is whole episodes."""
    summary = run_corridor(tmp_path, text=BC_ONLY.replace("episodes: 24, days: 2", "episodes: 1, days: 4"))
    assert "failed" == summary.state
    assert "at least 2 episodes" in summary.reason
