"""Warm starts: from given weights, from the champion, and clones that go nowhere."""

from hashlib import sha256
from pathlib import Path

import numpy as np
from corridor import CorridorProvider
from corridor_runs import run_corridor
from corridor_schedules import GUARDED, LEARNS, write

from townlet.dto.policy import PPOTrainingResult
from townlet.policy.model.initialise import fresh_weights
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator

TUNES = """\
schedule: townlet/v1
name: corridor
seed: 4
environment: {{id: corridor, scenario: plain, worlds: 16}}
teacher: lazy
registry: {{name: corridor, champion: champion}}
{more}
evidence: {{full: {{episodes: [20, 40], days: 2, confidence: 95%}}}}
baselines: {{champion: {{alias: champion, otherwise: teacher}}, parent: {{of: ppo}}}}
guards:
  safe: {{metric: evaluate.return_per_agent_day, not_worse_than: {{baseline: champion, relative: 50%, floor: 1.0}}, evidence: full}}
initial: ppo
states:
  ppo: {{strategy: ppo, with: {{start_from: {start}, agent_steps: 2000, num_steps: 24, days: 2, minibatch_size: 256}}, next: [{{to: evaluate}}]}}
  evaluate: {{strategy: evaluate, next: [{{to: promote, when: [safe]}}, {{to: hold, why: worse}}]}}
  promote: {{strategy: promote, next: [{{to: done}}]}}
"""  # noqa: E501 - a schedule reads best one state a line


def tune(folder: Path, start: str, more: str = "") -> PolicyTrainingOrchestrator:
    """Return the façade of a schedule that begins at ppo."""
    folder.mkdir(parents=True, exist_ok=True)
    path = write(folder, TUNES, start=start, more=more)
    return PolicyTrainingOrchestrator(path, environments=CorridorProvider(), home=folder.parent / "home")


def test_a_schedule_may_begin_at_ppo_from_given_weights(tmp_path: Path) -> None:
    """The file's digest is the parent of the first round."""
    about = CorridorProvider().describe("plain")
    data = fresh_weights(about, (16,), np.random.default_rng(0)).to_bytes()
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "w.safetensors").write_bytes(data)
    digest = sha256(data).hexdigest()
    summary = tune(folder, "given", f"policies: {{given: {{file: w.safetensors, sha256: {digest}}}}}").run()
    result = summary.stages[0].result
    assert isinstance(result, PPOTrainingResult)
    assert digest == result.parent


def test_the_champion_is_fine_tuned(tmp_path: Path) -> None:
    """A second schedule goes on from what the first promoted, and replaces it."""
    first = run_corridor(tmp_path / "first", home=tmp_path / "home")
    assert first.champion_moved
    second = tune(tmp_path / "second", "champion").run()
    result = second.stages[0].result
    assert isinstance(result, PPOTrainingResult)
    assert first.weights == result.parent == second.promotion.initial_release
    assert ("done", "PASS") == (second.state, second.status)
    assert second.weights == second.promotion.current_release


def test_without_a_champion_there_is_nothing_to_fine_tune(tmp_path: Path) -> None:
    """The run holds and says so."""
    summary = tune(tmp_path / "none", "champion").run()
    assert ("hold", "ppo starts from the champion, but this run has none") == (summary.state, summary.reason)
    assert "HOLD" == summary.status


def test_a_mode_starts_from_the_champion_too(tmp_path: Path) -> None:
    """In a rollout it is the champion that plays first, and it is the parent of ppo."""
    first = run_corridor(tmp_path / "first", home=tmp_path / "home")
    path = write(tmp_path, GUARDED, seed=5, ppo=LEARNS.replace("clone", "champion"), scope="home")
    orchestrator = PolicyTrainingOrchestrator(path, environments=CorridorProvider(), home=tmp_path / "home")
    assert first.weights == orchestrator.run_ppo(epochs=1).parent
