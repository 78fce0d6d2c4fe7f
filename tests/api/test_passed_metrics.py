"""KPIs that a call passes: they stand beside the schedule's, guards may name them, and a resumed run knows them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from corridor import CorridorProvider
from programs import write_plays

import townlet
from townlet.dto.fields import Direction
from townlet.dto.metrics import InfoMetricSpec
from townlet.dto.policy import EvaluationResult
from townlet.machine.audit.snapshot import load_run
from townlet.machine.schedule.loader import ScheduleError
from townlet.policy.training.argument_checks import as_metrics
from townlet.policy.training.strategies.base import catalogue
from townlet.store.blobs import BlobStore
from townlet.store.rundir import RunDirectory

FUEL: Mapping[str, str] = {"info": "fuel", "reduce": "sum", "unit": "l/episode", "direction": "lower"}
CART = """\
schedule: townlet/v1
name: cart
seed: 5
environment:
  id: python:anywhere:make
  max_steps: 40
  worlds: 2
  metrics:
    fuel: {info: nothing, direction: higher}
    pushes: {info: fuel, direction: lower}
teacher: none
registry: {name: cart, scope: run}
initial: capture
states:
  capture: {strategy: capture, with: {episodes: 4}, next: [{to: done}]}
"""
"""A run of a fraction of a second, without torch."""
CARTPOLE = Path(__file__).parents[2] / "schedules" / "cartpole.yaml"
THRIFTY = "guards:\n  thrifty: {metric: evaluate.fuel, at_most: 700}\n"


class Fuel(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Says in every info that a push costs two litres."""

    def step(self, action: Any) -> Any:
        """Push."""
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated, truncated, {**info, "fuel": 2.0}


def make() -> Any:
    """Return a CartPole that burns fuel."""
    return Fuel(gymnasium.make("CartPole-v1"))


def steer(observation: Any) -> int:
    """Return the push against the fall."""
    return int(observation[2] + 0.5 * observation[3] > 0)


def metrics_of(result: townlet.AnnealSummary) -> Mapping[str, InfoMetricSpec]:
    """Return the KPIs of the schedule that a run keeps."""
    run = RunDirectory.at(Path(result.path))
    return load_run(run, BlobStore(run.home(Path()) / "blobs"), catalogue()).schedule.environment.metrics


def test_an_evaluation_measures_what_was_passed(tmp_path: Path) -> None:
    """Two litres a decision, for the policy as for the teacher; the schedule that is made holds the KPI."""
    result = townlet.anneal(environment=make, teacher=steer, metrics={"fuel": FUEL}, rehearse=True, home=tmp_path)
    assert {"fuel": as_metrics({"fuel": FUEL})["fuel"]} == metrics_of(result)
    (evaluation,) = [stage.result for stage in result.stages if isinstance(stage.result, EvaluationResult)]
    found = {(each.policy, each.metric): each for each in evaluation.measurements}
    policies = {policy for policy, _ in found}
    assert 2 == len(policies)
    for policy in policies:
        assert "l/episode" == found[policy, "fuel"].unit
        assert found[policy, "fuel"].value == 2.0 * (found[policy, "episode_length"].value or 0.0)


def test_an_environment_by_its_id_takes_them_too(tmp_path: Path) -> None:
    """An environment whose infos say nothing of a KPI leaves it unknown."""
    result = townlet.anneal(
        environment="CartPole-v1", teacher="balance", metrics=["episode.cost"], rehearse=True, home=tmp_path
    )
    assert {"cost": InfoMetricSpec(info="episode.cost", direction=Direction.NONE)} == metrics_of(result)
    (evaluation,) = [stage.result for stage in result.stages if isinstance(stage.result, EvaluationResult)]
    assert {None} == {each.value for each in evaluation.measurements if each.metric == "cost"}


def test_a_guard_of_the_schedule_may_name_them(tmp_path: Path) -> None:
    """Without them `check` refuses the guard."""
    text = CARTPOLE.read_text().replace("guards:\n", THRIFTY).replace("[better, small", "[thrifty, better, small")
    (tmp_path / "cart.yaml").write_text(text)
    call: dict[str, Any] = {"environment": make, "teacher": steer, "home": tmp_path, "stopping": lambda: True}
    with pytest.raises(ScheduleError, match="unknown metric of evaluate 'fuel'"):
        townlet.anneal(tmp_path / "cart.yaml", **call)
    with pytest.raises(townlet.StoppedError):
        townlet.anneal(tmp_path / "cart.yaml", metrics={"fuel": FUEL}, **call)


def test_they_stand_beside_those_of_the_schedule(tmp_path: Path) -> None:
    """One of the same name takes the place of the schedule's."""
    (tmp_path / "cart.yaml").write_text(CART)
    result = townlet.anneal(
        tmp_path / "cart.yaml", environment=make, teacher=steer, metrics={"fuel": FUEL}, home=tmp_path
    )
    assert {"fuel": "fuel", "pushes": "fuel"} == {name: each.info for name, each in metrics_of(result).items()}
    assert Direction.LOWER is metrics_of(result)["fuel"].direction


@pytest.mark.parametrize("config", [CART, CART[: CART.index("  metrics:")] + CART[CART.index("teacher:") :]])
def test_a_resumed_run_knows_them(tmp_path: Path, config: str) -> None:
    """They are not passed again, and the run ends as one that was not stopped."""
    (tmp_path / "cart.yaml").write_text(config)
    call: dict[str, Any] = {"environment": make, "teacher": steer, "metrics": ["fuel"]}
    whole = townlet.anneal(tmp_path / "cart.yaml", home=tmp_path / "whole", **call)
    with pytest.raises(townlet.StoppedError):
        townlet.anneal(tmp_path / "cart.yaml", home=tmp_path / "home", stopping=lambda: True, **call)
    resumed = townlet.resume(environment=make, teacher=steer, home=tmp_path / "home")
    assert ("done", whole.semantic_hash) == (resumed.state, resumed.semantic_hash)
    assert "fuel" in metrics_of(resumed)


def test_a_spec_may_be_passed_as_the_record_it_becomes() -> None:
    """As a mapping, as a record, and as the key alone."""
    record = InfoMetricSpec(info="fuel", reduce="sum", unit="l/episode", direction=Direction.LOWER)
    assert {"burnt": record} == as_metrics({"burnt": FUEL}) == as_metrics({"burnt": record})
    assert {"fuel": InfoMetricSpec(info="fuel", direction=Direction.NONE)} == as_metrics(("fuel",))
    assert {} == as_metrics([]) == as_metrics({})


WRONG: Mapping[str, tuple[Any, str]] = {
    "one key": ("fuel", r"metrics is the text 'fuel'; pass a mapping of names .*, or a list of keys of infos"),
    "a number": (3, "metrics is an object of int; pass a mapping"),
    "a set": ({"fuel"}, "metrics is an object of set; pass a mapping"),
    "no direction": ({"fuel": {"info": "fuel"}}, "metrics: 'fuel': 'direction' is missing; pass"),
    "a typing error": ({"fuel": {**FUEL, "reduse": "sum"}}, "unknown key 'reduse'; did you mean 'reduce'"),
    "another reduction": ({"fuel": {**FUEL, "reduce": "median"}}, "reduce: expected 'last' or .* found 'median'"),
    "a direction alone": ({"fuel": "lower"}, "metrics: 'fuel': expected a mapping, found 'lower'"),
    "a name with a dot": ({"car.fuel": FUEL}, "metrics: 'car.fuel' cannot be the name of a KPI"),
    "a name that is no text": ({3: FUEL}, "metrics: an object of int cannot be the name of a KPI"),
    "a key that is no text": ([3], "metrics: an object of int cannot be the name of a KPI"),
    "one name twice": (["car.fuel", "van.fuel"], "metrics: two infos give the KPI 'fuel'; pass a mapping"),
    "an empty key": ([""], "metrics: '' cannot be the name of a KPI"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_kpi_is_named_before_anything_is_written(tmp_path: Path, name: str) -> None:
    """What it is, and what to pass."""
    metrics, complaint = WRONG[name]
    (tmp_path / "cart.yaml").write_text(CART)
    with pytest.raises(townlet.BadInputError, match=complaint):
        townlet.anneal(tmp_path / "cart.yaml", environment=make, teacher=steer, metrics=metrics, home=tmp_path / "home")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("environment", "metrics", "complaint"),
    [
        (make, {"success": FUEL}, "every environment has 'success' already; choose another name"),
        (CorridorProvider(), ["fuel"], "environment 'corridor' takes no metrics"),
    ],
)
def test_what_the_environment_cannot_take_is_said(
    tmp_path: Path, environment: Any, metrics: Any, complaint: str
) -> None:
    """A name that every environment has; a provider that reads no infos."""
    schedule = write_plays(tmp_path)
    if environment is make:
        schedule.write_text(CART)
    with pytest.raises(townlet.BadInputError, match=complaint):
        townlet.anneal(schedule, environment=environment, metrics=metrics, home=tmp_path / "home")
    assert not (tmp_path / "home").exists()
