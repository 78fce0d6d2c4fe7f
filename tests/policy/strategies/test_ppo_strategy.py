"""ppo: better than its teacher, the same bits for the same seed, and harmless when it diverges."""

from pathlib import Path

import pytest
from corridor_runs import results, run_corridor

from townlet.dto.policy import AnnealSummary, EvaluationResult, PPOTrainingResult
from townlet.store.registry.registry import Registry

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[AnnealSummary, Path]:
    """A finished walk capture → bc → ppo → evaluate → promote."""
    folder = tmp_path_factory.mktemp("ppo")
    return run_corridor(folder), folder / "home"


def test_a_learned_policy_beats_its_teacher_and_is_promoted(learned: tuple[AnnealSummary, Path]) -> None:
    """The walker learns not to rest every third hour, and the gate sees it."""
    summary, home = learned
    assert ("done", True) == (summary.state, summary.champion_moved)
    champion = Registry(home / "registry.sqlite").champion("corridor", "champion")
    assert champion is not None
    assert summary.weights == champion.weights
    (evaluation,) = results(summary, "evaluate")
    assert isinstance(evaluation, EvaluationResult)
    assert evaluation.evidence == champion.evidence


def test_the_same_seed_learns_the_same_bits(learned: tuple[AnnealSummary, Path], tmp_path: Path) -> None:
    """Digest and semantic chain of two whole walks agree."""
    again = run_corridor(tmp_path)
    assert learned[0].weights == again.weights
    assert learned[0].semantic_hash == again.semantic_hash


def test_a_second_run_starts_from_the_same_clone_but_must_beat_the_champion(
    learned: tuple[AnnealSummary, Path], tmp_path: Path
) -> None:
    """The champion is pinned: an equal candidate is not promoted over it."""
    again = run_corridor(tmp_path, home=learned[1])
    assert again.champion_moved is False
    assert "done" == again.state


def test_an_update_that_diverges_ends_the_visit_before_the_weights_are_touched(tmp_path: Path) -> None:
    """A learning rate of 10³⁰ makes the second update infinite: rollback, half the rate, again, then hold."""
    ppo = "{agent_steps: 4000, num_steps: 24, days: 4, learning_rate: 1.0e+30, minibatch_size: 256, target_kl: 1.0e+30}"
    summary = run_corridor(tmp_path, ppo=ppo)
    first = results(summary, "ppo")[0]
    assert isinstance(first, PPOTrainingResult)
    assert 1.0 == first.nonfinite_updates
    assert "diverged" in first.flags
    assert "hold" == summary.state
    assert summary.champion_moved is False


def test_the_cliff_watch_stops_a_fall_and_keeps_the_best_watched_weights(tmp_path: Path) -> None:
    """An absurd learning rate ruins the clone; the visit ends early with its parent as candidate."""
    ppo = (
        "{agent_steps: 40000, num_steps: 24, days: 4, learning_rate: 0.5, minibatch_size: 256, target_kl: 100.0, "
        "ent_coef: 5.0, watch: {every: 1000, evidence: quick}}"
    )
    summary = run_corridor(tmp_path, ppo=ppo)
    first = results(summary, "ppo")[0]
    assert isinstance(first, PPOTrainingResult)
    assert ("cliff",) == first.flags
    assert first.agent_steps < 40000
    (clone,) = results(summary, "bc")
    assert clone.weights == first.parent


def test_a_fresh_start_needs_no_clone(tmp_path: Path) -> None:
    """`start_from: fresh` trains from nothing; its parent is empty."""
    ppo = "{start_from: fresh, agent_steps: 2000, num_steps: 24, days: 4, hidden_sizes: [16], minibatch_size: 256}"
    first = results(run_corridor(tmp_path, ppo=ppo), "ppo")[0]
    assert isinstance(first, PPOTrainingResult)
    assert "" == first.parent
    assert 3 == first.iterations
