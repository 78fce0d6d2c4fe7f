"""Teachers, environments and metrics that a schedule names: what may be imported, and what they see and do."""

import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve

import townlet
from townlet.cli import run_command
from townlet.dto.boundary import ObservationBatchDTO
from townlet.dto.fields import Direction
from townlet.dto.metrics import InfoMetricSpec
from townlet.dto.schedule import EnvironmentSpec
from townlet.env.gymnasium_provider import GymnasiumProvider
from townlet.env.info_tallies import InfoTallies
from townlet.env.scripted_teacher import ScriptTeacher
from townlet.errors import BadInputError, EnvironmentFaultError
from townlet.imports import Imports
from townlet.policy.evaluation.episodes import play_episode
from townlet.ports import provider, teacher_actions

HERE = Path(__file__).parent
SCHEDULE = """\
schedule: townlet/v1
name: cart
seed: 5
environment: {environment}
teacher: {teacher}
registry: {{name: cart, scope: run}}
initial: capture
states:
  capture:
    strategy: capture
    with: {{episodes: 6}}
    next: [{{to: bc}}]
  bc:
    strategy: bc
    with: {{update_epochs: 1, value_epochs: 0}}
    next: [{{to: done}}]
"""


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Stand in an empty directory with the controllers in it, as a user does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "controllers", raising=False)
    (tmp_path / "controllers.py").write_text((HERE / "controllers.py").read_text())
    monkeypatch.syspath_prepend(str(tmp_path))


def write(teacher: str, environment: str = "{id: gymnasium:CartPole-v1, max_steps: 60}") -> str:
    """Write a schedule and return its name."""
    Path("cart.yaml").write_text(SCHEDULE.format(teacher=teacher, environment=environment))
    return "cart.yaml"


def make_teacher(script: Any) -> ScriptTeacher:
    """Return a teacher of CartPole."""
    made = GymnasiumProvider("CartPole-v1").teacher_of(script)
    assert isinstance(made, ScriptTeacher)
    return made


def seen(worlds: int = 3) -> ObservationBatchDTO:
    """Return first observations of CartPole."""
    return GymnasiumProvider("CartPole-v1").make("default", worlds=worlds, seed=3, max_steps=20).reset()


def run(*words: str) -> int:
    """Give a command; a run has a home here."""
    return run_command([*words, "--home", "home"] if words[0] == "run" else list(words))


def test_a_schedule_names_a_function_in_a_module(capsys: pytest.CaptureFixture[str]) -> None:
    """Where it is allowed, it teaches; a batched one teaches the same."""
    weights = set()
    for teacher in ("controllers:steer", "controllers:steer_all"):
        assert 0 == run("run", write(teacher), "--allow-import", "controllers")
        lines = capsys.readouterr().out.splitlines()
        weights.add(next(line for line in lines if line.startswith("weights")))
        (following,) = [shlex.split(line)[2:] for line in lines if line.startswith("next: townlet audit why ")]
        assert ["--allow-import", "controllers"] == following[3:5]
        assert 0 == run_command(following)
    assert 1 == len(weights)


@pytest.mark.parametrize("command", ["check", "run", "graph"])
def test_nothing_is_imported_without_permission(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The refusal names the flag, and the module's code has not run."""
    sys.modules.pop("controllers", None)
    assert 2 == run(command, write("controllers:steer"))
    assert "--allow-import controllers" in capsys.readouterr().err
    assert "controllers" not in sys.modules


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("controllers:stear", r"'controllers' has no 'stear'; it has .*steer"),
        ("controllers.inner:steer", r"cannot be imported: it needs"),
        ("controllers:CALLS", r"teacher is an object of list, without act"),
        ("not a module:steer", "is no name of a module"),
    ],
)
def test_a_teacher_that_is_not_there_is_named(reference: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is written."""
    assert 2 == run("run", write(f"'{reference}'"), "--allow-import", "controllers")
    error = capsys.readouterr().err
    assert reference.partition(":")[0] in error
    assert not Path("home").exists()


def test_a_prefix_allows_what_is_below_it_and_nothing_beside_it() -> None:
    """`mypkg` is not `mypkgs`."""
    imports = Imports(("mypkg",))
    assert [True, True, False] == [imports.allows(name) for name in ("mypkg", "mypkg.a", "mypkgs")]


def test_a_function_makes_the_environment_of_a_schedule() -> None:
    """With the keyword arguments of `with`; the signature holds them."""
    with_arguments, without = (
        provider(EnvironmentSpec(id="python:controllers:make", with_=words), Imports(("controllers",)))
        for words in ({"gravity": 5.0}, {})
    )
    assert with_arguments.describe("default").signature != without.describe("default").signature
    steps = [
        each.make("default", worlds=1, seed=0, max_steps=9).reset().observations for each in (with_arguments, without)
    ]
    assert np.array_equal(*steps)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            EnvironmentSpec(id="python:controllers:nothing"),
            "returned an object of NoneType; expected a new environment",
        ),
        (EnvironmentSpec(id="python:controllers:make", with_={"mass": 1}), "unexpected keyword argument 'mass'"),
        (EnvironmentSpec(id="python:controllers:CALLS"), "expected a function that makes one"),
        (EnvironmentSpec(id="gymnasium:controllers:CartPole-v1", scenario="x"), "unknown scenario 'x'"),
        (EnvironmentSpec(id="town", scenario="small_town", max_steps=9), "takes no max_steps from a schedule"),
    ],
)
def test_an_environment_that_cannot_be_made_is_named(spec: EnvironmentSpec, message: str) -> None:
    """One sentence, with what is wrong."""
    with pytest.raises(BadInputError, match=message):
        provider(spec, Imports(("controllers",))).describe(spec.scenario)


def test_the_limit_of_a_schedule_takes_the_place_of_the_environments_own() -> None:
    """CartPole has 500 decisions; here it has 7."""
    made = provider(EnvironmentSpec(id="gymnasium:CartPole-v1", max_steps=7))
    assert 7 == made.describe("default").max_steps
    lengths = play_episode(made.make("default", worlds=4, seed=1, max_steps=7), make_teacher(steer()), 7)
    assert [7] * 4 == lengths.tolist()


def steer() -> Any:
    """Return the function that balances the pole."""
    return Imports(("controllers",)).load("controllers:steer", "test")


def test_a_controller_with_a_state_has_a_copy_for_each_world() -> None:
    """It is reset where an episode begins, and only there."""
    controllers = Imports(("controllers",)).module("controllers", "test")
    teacher, observed = make_teacher(controllers.Pid), seen()
    for _ in range(2):
        teacher.act(observed)
    assert ["reset 0", "reset 1", "reset 2"] == controllers.CALLS
    teacher.begin(np.array([False, True, False]))
    teacher.act(observed)
    assert "reset 1" == controllers.CALLS[-1]
    assert 4 == len(controllers.CALLS)


def test_an_object_with_a_state_is_copied_and_stays_as_it_was() -> None:
    """The caller's own object is never called."""
    controllers = Imports(("controllers",)).module("controllers", "test")
    mine = controllers.Pid()
    mine.integral = 3.0
    make_teacher(mine).act(seen())
    assert 3.0 == mine.integral


def test_what_a_random_script_draws_depends_on_the_world_and_the_decision_only() -> None:
    """The same in a batch of three and in a batch of one."""
    teacher = make_teacher(Imports(("controllers",)).load("controllers:guess", "test"))
    observed = seen(40)
    one = ObservationBatchDTO(
        **{name: getattr(observed, name)[7:8] for name in ("observations", "action_mask", "alive", "keys")}
    )
    assert np.array_equal(teacher.act(observed)[7:8], teacher.act(one))
    assert 2 == len(np.unique(teacher.act(observed)))


def test_a_batched_script_answers_as_one_that_is_asked_world_by_world() -> None:
    """Dead worlds are not shown to it."""
    controllers = Imports(("controllers",)).module("controllers", "test")
    observed = seen(9)
    observed = evolve(observed, alive=np.arange(9)[:, None] != 4)
    single, all_at_once = (make_teacher(each).act(observed) for each in (controllers.steer, controllers.steer_all))
    assert np.array_equal(single, all_at_once)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (lambda observation, speed: 0, "cannot be called with an observation and without 'speed'"),
        (lambda: 0, "cannot be called with an observation"),
    ],
)
def test_a_script_with_other_parameters_is_refused(script: Any, message: str) -> None:
    """Before it is asked."""
    with pytest.raises(BadInputError, match=message):
        make_teacher(script)


def test_what_a_script_raises_names_it() -> None:
    """With its observation."""
    with pytest.raises(EnvironmentFaultError, match=r"teacher .*raised ZeroDivisionError.*its observation is"):
        teacher_actions(
            make_teacher(lambda _: 1 / 0), seen(), GymnasiumProvider("CartPole-v1").describe("default").actions
        )


REDUCED = {"last": 3.0, "sum": 6.0, "mean": 2.0, "max": 3.0, "min": 1.0, "any": 1.0, "all": 1.0}


@pytest.mark.parametrize("reduce", REDUCED)
def test_infos_become_metrics(reduce: Any) -> None:
    """By each reduction, against the value by hand; a world that says nothing has no exposure."""
    spec = InfoMetricSpec(info="episode.cost", reduce=reduce, direction=Direction.LOWER)
    tallies = InfoTallies({"cost": spec}, 2)
    for cost in (1, np.float32(2.0), np.array(3)):
        tallies.add(0, {"episode": {"cost": cost}})
    assert [REDUCED[reduce], 0.0] == tallies.sums[1].tolist()
    assert [1.0, 0.0] == tallies.exposures[1].tolist()
    tallies.begin(0)
    assert [0.0, 0.0] == tallies.exposures[1].tolist()


def test_a_metric_of_infos_stands_beside_those_of_every_environment() -> None:
    """By name, with its unit and direction; a name that is taken is refused."""
    spec = InfoMetricSpec(info="cost", direction=Direction.LOWER, unit="EUR/episode")
    made = provider(EnvironmentSpec(id="gymnasium:CartPole-v1", metrics={"cost": spec})).describe("default")
    assert ("cost", "EUR/episode", Direction.LOWER) == (
        made.metrics[-1].name,
        made.metrics[-1].unit,
        made.metrics[-1].direction,
    )
    with pytest.raises(BadInputError, match="'success' already"):
        provider(EnvironmentSpec(id="gymnasium:CartPole-v1", metrics={"success": spec})).describe("default")


def test_an_info_that_is_no_number_names_its_place() -> None:
    """World, episode and decision."""
    spec = InfoMetricSpec(info="cost", direction=Direction.LOWER)
    tallies = InfoTallies({"cost": spec}, 1)
    with pytest.raises(ValueError, match="metric cost: the info 'cost' is 'much', no number"):
        tallies.add(0, {"cost": "much"})


def test_a_callable_makes_the_environment_of_a_call() -> None:
    """`townlet.anneal(environment=make)`; the id of Gymnasium needs no prefix."""
    controllers = Imports(("controllers",)).module("controllers", "test")
    for environment in (controllers.make, "CartPole-v1"):
        summary = townlet.anneal(write("balance"), environment=environment, teacher=controllers.Pid, rehearse=True)
        assert ("done", True) == (summary.state, summary.rehearsal)
