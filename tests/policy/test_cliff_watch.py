"""The cliff watch counts an episode that only one side has a number for against the weights in training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from corridor import Corridor, CorridorProvider
from corridor_schedules import GUARDED, LEARNS, write
from ridge_weights import ridge

from townlet.estimate import bounds
from townlet.machine.engine.visit import Visit
from townlet.policy.model.weights import Weights, read_weights
from townlet.policy.training.cliff_watch import CliffWatch
from townlet.policy.training.contexts import TrainingContext
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.policy.training.services import ReplayDatasetService, TrainingServices
from townlet.policy.training.telemetry import Telemetry
from townlet.ports import Tallies
from townlet.store.blobs import BlobStore

EPISODES = 20


def weights(kind: str) -> Weights:
    """Return weights that walk like a teacher."""
    return read_weights(ridge(kind), kind)


def losing(batch: int, episodes: int, lost: float = 0.0) -> CorridorProvider:
    """Return corridors whose n-th batch of worlds has no exposure in its first episodes."""
    made = 0

    class Losing(Corridor):
        """Loses exposure."""

        def __init__(self, *arguments: Any) -> None:
            nonlocal made
            super().__init__(*arguments)
            made += 1
            self.lost = episodes if made == batch else 0

        def tallies(self) -> Tallies:
            """Return sums and exposures."""
            tallies = super().tallies()
            exposures = tallies.exposures.copy()
            exposures[0, : self.lost] = lost
            return evolve(tallies, exposures=exposures)

    return CorridorProvider(Losing)


def watch(folder: Path, environments: CorridorProvider, parent: Weights) -> CliffWatch:
    """Return the watch of a real schedule: the parent is played first, then the weights."""
    path = write(folder, GUARDED, seed=3, ppo=LEARNS, scope="home")
    plan = PolicyTrainingOrchestrator(path, environments=CorridorProvider()).plan()
    blobs = BlobStore(folder / "blobs")
    context = TrainingContext(
        visit=Visit.outermost(3),
        plan=plan,
        blobs=blobs,
        environments=environments,
        services=TrainingServices(replay=ReplayDatasetService(blobs)),
        telemetry=Telemetry(),
    )
    return CliffWatch(context=context, evidence=plan.schedule.evidence["quick"], seed=7, parent=parent)


def test_equal_weights_are_no_cliff(tmp_path: Path) -> None:
    """Nothing is lost on either side."""
    check = watch(tmp_path, CorridorProvider(), weights("straight")).check(weights("straight"))
    assert (False, 0.0) == (check.cliff, check.difference)
    assert (EPISODES, 0.0, 0.0) == (check.pairs, check.low, check.high)


def test_a_check_tells_the_bounds_that_it_decides_by(tmp_path: Path) -> None:
    """They are one-sided, each at the confidence of the evidence, around the mean of as many pairs as there were."""
    evidence_watch = watch(tmp_path, CorridorProvider(), weights("slow"))
    check = evidence_watch.check(weights("straight"))
    parent = evidence_watch.state().parent_values
    differences = [value - b for value, b in zip(evidence_watch._values(weights("straight")), parent, strict=True)]

    assert bounds(differences, 1 - evidence_watch.evidence.confidence) == (check.low, check.high)
    assert check.low < check.difference < check.high
    assert check.numbers == {
        "watched": check.mean,
        "watched_difference": check.difference,
        "watched_low": check.low,
        "watched_high": check.high,
        "watched_pairs": EPISODES,
    }


@pytest.mark.parametrize("lost", [0.0, np.nan, -1.0, np.inf])
def test_weights_that_lose_what_the_parent_has_fall_off_a_cliff(tmp_path: Path, lost: float) -> None:
    """The episodes count as the worst that were seen; left out, these weights would look better than their parent."""
    better, parent = weights("straight"), weights("slow")
    undisturbed = watch(tmp_path, CorridorProvider(), parent).check(better)
    check = watch(tmp_path, losing(2, 18, lost), parent).check(better)

    assert undisturbed.difference > 0
    assert not undisturbed.cliff
    assert check.cliff
    assert check.difference < 0


def test_what_the_parent_lacks_counts_as_its_best(tmp_path: Path) -> None:
    """Nobody looks better because the parent was not measured."""
    better, parent = weights("straight"), weights("slow")
    undisturbed = watch(tmp_path, CorridorProvider(), parent).check(better)
    check = watch(tmp_path, losing(1, 10), parent).check(better)
    assert check.difference < undisturbed.difference


def test_a_watch_that_sees_nothing_shows_no_cliff_and_ends_nothing(tmp_path: Path) -> None:
    """No episode of either side has a number; the gate at the end holds the run."""

    class Blind(Corridor):
        """Has no exposure at all."""

        def tallies(self) -> Tallies:
            """Return sums and exposures."""
            tallies = super().tallies()
            return evolve(tallies, exposures=np.zeros_like(tallies.exposures))

    check = watch(tmp_path, CorridorProvider(Blind), weights("slow")).check(weights("straight"))
    assert (False, 0.0, 0.0) == (check.cliff, check.mean, check.difference)
    assert {"watched": 0.0, "watched_difference": 0.0, "watched_pairs": 0.0} == check.numbers
