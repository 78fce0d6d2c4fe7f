"""KPIs from infos that a call from Python names."""

from pathlib import Path
from typing import Any

import gymnasium
import pytest

import townlet
from townlet.dto.fields import Direction
from townlet.dto.metrics import InfoMetricSpec
from townlet.store.rundir import RunDirectory

PLAYS = """\
schedule: townlet/v1
name: plays
seed: 3
environment: {id: "gymnasium:CartPole-v1", worlds: 2, max_steps: 20, metrics: {own: {info: x, direction: higher}}}
teacher: balance
registry: {name: plays}
initial: capture
states:
  capture: {strategy: capture, with: {episodes: 2}, next: [{to: done}]}
"""
ENERGY = {"info": "energy", "reduce": "sum", "unit": "J", "direction": "lower"}


class Metered(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Says in each info what a decision cost."""

    def step(self, action: Any) -> Any:
        """Add the cost."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, {**info, "energy": 2.0}


def metered() -> Metered:
    """Return a new environment."""
    return Metered(gymnasium.make("CartPole-v1"))


def steer(observation: Any) -> int:
    """Push towards the side to which the pole falls."""
    return int(observation[2] + 0.5 * observation[3] > 0)


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        (["energy"], "energy: {info: energy, reduce: last, unit: 1/episode, direction: none}"),
        ({"energy": ENERGY}, "energy: {info: energy, reduce: sum, unit: J, direction: lower}"),
        (
            {"energy": InfoMetricSpec(info="energy", direction=Direction.LOWER)},
            "energy: {info: energy, reduce: last, unit: 1/episode, direction: lower}",
        ),
    ],
)
def test_metrics_stand_beside_those_of_the_schedule(metrics: Any, expected: str, tmp_path: Path) -> None:
    """The run's own schedule has them, so a resume needs no word of them."""
    path = tmp_path / "plays.yaml"
    path.write_text(PLAYS)
    done = townlet.anneal(path, environment=metered, teacher=steer, metrics=metrics, home=tmp_path / "home")
    run = RunDirectory.at(done.directory)
    kept = run.schedule.read_text()
    for word in ("own", *expected.replace("{", "").replace("}", "").replace(",", "").split()):
        assert word in kept
    assert "done" == townlet.resume(run.path, environment=metered, teacher=steer).state


@pytest.mark.parametrize(
    ("metrics", "complaint"),
    [
        ("energy", "metrics is .*; pass names of infos, such as"),
        (3, "metrics is .*; pass names of infos, such as"),
        ([3], "metrics: 3: info: expected text, found 3"),
        ({"energy": "sum"}, "metrics: 'energy': expected a mapping, found 'sum'"),
        ({"energy": {"info": "energy"}}, "metrics: 'energy': 'direction' is missing"),
        ({"energy": {**ENERGY, "reduce": "median"}}, "metrics: 'energy': reduce: .*'median'"),
    ],
)
def test_what_is_no_metric_is_refused_before_anything_is_written(metrics: Any, complaint: str, tmp_path: Path) -> None:
    """With what to pass instead."""
    with pytest.raises(townlet.BadInputError, match=complaint):
        townlet.anneal(environment=metered, teacher=steer, metrics=metrics, home=tmp_path / "home")
    assert [] == list(tmp_path.iterdir())
