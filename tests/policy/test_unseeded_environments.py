"""An environment that does not obey its seed: unpaired evidence, no promise of equal bits, and who says so."""

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from scipy.stats import ttest_ind

import townlet
from townlet.cli import run_command
from townlet.estimate import unpaired_bounds
from townlet.policy.training.environment_source import EnvironmentSource
from townlet.policy.training.rederive import replay_run
from townlet.ports import provider
from townlet.store.rundir import RunDirectory
from townlet.testing import check_environment

SCHEDULE = """\
schedule: townlet/v1
name: dice
seed: 5
environment: {id: "gymnasium:townlet-test/Dice-v0", worlds: 4}
teacher: script
registry: {name: dice, scope: run}
evidence: {full: {episodes: [20, 40], confidence: 95%}}
baselines: {teacher: {policy: teacher}}
guards:
  as_good: {metric: evaluate.return_per_episode, not_worse_than: {baseline: teacher, absolute: 2}, evidence: full}
initial: ppo
states:
  ppo:
    strategy: ppo
    with: {start_from: fresh, iterations: 2, num_steps: 16, hidden_sizes: [8]}
    next: [{to: evaluate}]
  evaluate:
    strategy: evaluate
    next: [{to: promote, when: [as_good]}, {to: done}]
  promote: {strategy: promote, next: [{to: done}]}
"""


class Dice(gymnasium.Env[Any, Any]):
    """Pays what a generator rolls that nobody seeds."""

    observation_space = spaces.Box(-9, 9, (2,), np.float32)
    action_space = spaces.Discrete(2)
    is_seeded = False

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Take a generator of its own."""
        super().reset(seed=seed)
        self.t = 0
        self.rng = self.np_random if self.is_seeded else np.random.default_rng()
        return self.rng.uniform(-1, 1, 2).astype(np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Pay the roll."""
        self.t += 1
        return self.rng.uniform(-1, 1, 2).astype(np.float32), float(self.rng.normal()), False, self.t >= 6, {}


gymnasium.register("townlet-test/Dice-v0", entry_point=Dice, max_episode_steps=6)


def test_welch_bounds_are_those_of_scipy() -> None:
    """Two samples of unequal size and spread."""
    rng = np.random.default_rng(0)
    one, other = rng.normal(1, 2, 31).tolist(), rng.normal(0, 5, 44).tolist()
    interval = ttest_ind(one, other, equal_var=False).confidence_interval(0.9)
    assert (interval.low, interval.high) == pytest.approx(unpaired_bounds(one, other, 0.05), rel=1e-9)


def test_the_check_names_it_and_a_run_is_not_refused() -> None:
    """A reservation, and its consequences first."""
    report = check_environment(provider("gymnasium:townlet-test/Dice-v0"), "default")
    assert not report.obeys_seed
    assert () == report.refusals
    assert "does not obey its seed: evidence is unpaired (Welch), resumable: none" in report.reservation_sentences[0]


def test_an_environment_without_a_snapshot_has_no_reservation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint is an episode boundary, and the resume is exact."""
    monkeypatch.setattr(Dice, "is_seeded", True)
    report = check_environment(provider("gymnasium:townlet-test/Dice-v0"), "default")
    assert report.obeys_seed
    assert () == report.reservation_sentences


def test_its_evidence_is_unpaired_and_every_report_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard's sentence, the last lines of the run, the result of ppo; and the audit derives the same verdicts."""
    monkeypatch.chdir(tmp_path)
    Path("dice.yaml").write_text(SCHEDULE)
    summary = townlet.anneal("dice.yaml", teacher=lambda _: 0)
    assert ["none"] == [stage.result.resumable for stage in summary.stages if stage.state == "ppo"]
    assert any("does not obey its seed" in sentence for sentence in summary.reservations)
    capsys.readouterr()
    assert 0 == run_command(["audit", "why", summary.path, "evaluate"])
    lines = capsys.readouterr().out.splitlines()
    assert "does not obey its seed" in lines[0]
    assert any("(unpaired, " in line and "as_good" in line for line in lines)
    assert 1 == sum("the episodes are not pairs, and save none" in line for line in lines)
    run = RunDirectory.at(Path(summary.path))
    assert replay_run(run, Path(".townlet"), source=EnvironmentSource(teacher=lambda _: 0)).clean
