"""Wrong objects are named, with what to pass instead, before anything is written."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import corridor
import numpy as np
import pytest
from corridor import Corridor, CorridorProvider, Walker
from programs import write_plays

import townlet


class OldMake(CorridorProvider):
    """A whole provider but for the arguments of `make`."""

    def make(self, scenario: str, worlds: int, seed: int) -> None:  # type: ignore[override]
        """Take too few arguments."""


class NoDescription(CorridorProvider):
    """A provider that describes nothing."""

    def describe(self, scenario: str) -> None:  # type: ignore[override]
        """Return nothing."""


class OwnCustom(CorridorProvider):
    """A provider with a teacher of the reserved name."""

    def describe(self, scenario: str) -> townlet.EnvironmentDescription:
        """Return one more teacher."""
        from attrs import evolve

        description = super().describe(scenario)
        return evolve(description, teachers=(*description.teachers, "custom"))


def teacher(answer: Callable[..., Any]) -> object:
    """Return a teacher whose act is a function."""
    return type("Answers", (), {"act": staticmethod(answer)})()


async def acts_later(observations: object) -> None:
    """Be awaited."""


class Learner:
    """Has predict, as learners of other libraries do."""

    def predict(self, observations: object) -> None:
        """Return nothing."""


PROVIDER = "pass an object with the methods describe, make and teacher"
ENVIRONMENTS: Mapping[str, tuple[Any, str]] = {
    "a provider's class": (CorridorProvider, r"environment is the class CorridorProvider; pass an instance of it"),
    "another class": (Corridor, f"environment is the class Corridor; {PROVIDER}"),
    "an unknown id": ("Corridor-v9", r"the text 'Corridor-v9', which names no environment .*'gymnasium:CartPole-v1'"),
    "a registered id": ("town", r"leave it out: the schedule names .*environment: \{id: town\}"),
    "bytes": (b"town", r"environment is the bytes b'town', without describe, make, teacher"),
    "a path": (Path("nowhere/at all"), r"environment is the path 'nowhere/at all'"),
    "a lambda": (lambda: None, r"<lambda> returned an object of NoneType; expected a new environment of Gymnasium"),
    "a function": (write_plays, r"environment python:\w+:write_plays: TypeError: .*missing"),
    "a coroutine function": (acts_later, "environment is the function acts_later"),
    "a module": (corridor, r"environment is the module corridor.*such as corridor\.CorridorProvider\(\)"),
    "a number": (3, "environment is an object of int"),
    "an environment": (
        Corridor(CorridorProvider().describe("plain"), 1, 0, 1, 0),
        "pass a function that makes it: environment=lambda",
    ),
    "other parameters": (OldMake(), r"environment: make\(scenario.*cannot be called as make\(scenario, worlds=…, seed"),
    "no description": (NoDescription(), "describes 'plain' by None; expected an EnvironmentDescription"),
}
TEACHERS: Mapping[str, tuple[Any, str]] = {
    "a class": (Walker, "teacher is the class Walker; pass an instance of it"),
    "an unknown name": ("lasy", "unknown teacher 'lasy'.*lazy"),
    "a lambda": (lambda observations: observations, "teacher is a lambda, without act;.*as the method act of a class"),
    "a learner": (Learner(), "without act;.*an object with predict becomes one in a class whose act calls it"),
    "no parameter": (teacher(lambda: 1), r"cannot be called as .*\(observations\)"),
    "a coroutine function": (teacher(acts_later), "is a coroutine function; expected a plain method"),
    "floats": (
        teacher(lambda o: o.alive.astype(float)),
        "returned float64 of shape .2, 2.; expected actions as",
    ),
    "a list": (teacher(lambda o: o.alive.tolist()), "returned an object of list; expected actions"),
    "None": (teacher(lambda _: None), "returned an object of NoneType; expected actions"),
    "one world": (teacher(lambda o: np.zeros(2, np.int64)), "returned int64 of shape"),
    "illegal": (teacher(lambda o: o.alive * np.int64(7)), "chose an action that the mask forbids"),
    "an error": (teacher(lambda o: o.nothing), "raised AttributeError: .*at the first observations of plain"),
}
ARGUMENTS: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "no schedule": ({"schedule": None}, "schedule is None; pass one, or an environment and a teacher"),
    "a dict": ({"schedule": {}}, "schedule is an object of dict"),
    "the text itself": ({"schedule": "schedule: townlet/v1\nname: x\n"}, "text of several lines; write it to a file"),
    "a file that is not there": ({"schedule": Path("not/there.yaml")}, "cannot read schedule 'not/there.yaml'"),
    "no home": ({"home": None}, "home is None; pass the path of a directory"),
    "a seed as text": ({"seed": "3"}, "expected a whole number, found '3'"),
    "an event": ({"stopping": threading.Event()}, r"stopping is an object of Event; pass a function without arguments"),
    "a coroutine to stop": ({"stopping": acts_later}, "stopping is the function acts_later"),
    "a list of strategies": ({"strategies": []}, "strategies is an object of list; pass a mapping"),
    "a strategy that is none": ({"strategies": {"bc": 3}}, "strategies: 'bc' is int; expected a StrategyEntry"),
}


def refused(folder: Path, complaint: str, **arguments: Any) -> None:
    """Assert that a call is refused in words and writes nothing."""
    schedule = write_plays(folder)
    call = {"schedule": schedule, "home": folder / "home", "environment": CorridorProvider(), **arguments}
    before = sorted(folder.iterdir())
    with pytest.raises(townlet.BadInputError, match=f"(?s){complaint}"):
        townlet.anneal(call.pop("schedule"), **call)
    assert before == sorted(folder.iterdir())


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_object_that_is_no_environment_is_named(tmp_path: Path, name: str) -> None:
    """What it is, and what to pass."""
    environment, complaint = ENVIRONMENTS[name]
    refused(tmp_path, complaint, environment=environment)


@pytest.mark.parametrize("name", TEACHERS)
def test_an_object_that_is_no_teacher_is_named(tmp_path: Path, name: str) -> None:
    """A teacher that was passed in is asked once before the run begins."""
    wrong, complaint = TEACHERS[name]
    refused(tmp_path, complaint, teacher=wrong)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_other_arguments_are_named_too(tmp_path: Path, name: str) -> None:
    """Each with its own name."""
    arguments, complaint = ARGUMENTS[name]
    refused(tmp_path, complaint, **arguments)


def test_a_coroutine_is_named(tmp_path: Path) -> None:
    """Nobody awaited it."""
    coroutine = acts_later(None)
    refused(tmp_path, r"environment is the coroutine acts_later\(…\)", environment=coroutine)
    coroutine.close()


def test_environments_of_other_libraries_are_named(tmp_path: Path) -> None:
    """A Gymnasium environment, a vector of them, and a PettingZoo environment."""
    gymnasium = pytest.importorskip("gymnasium")
    pytest.importorskip("pettingzoo")
    from townlet.env import parallel_env

    for environment, words, function in (
        (gymnasium.make("CartPole-v1"), "a Gymnasium environment", "lambda: …"),
        (gymnasium.make_vec("CartPole-v1", 2), "a Gymnasium environment", "lambda num_envs: …"),
        (parallel_env(), "a PettingZoo environment", "lambda: …"),
    ):
        complaint = f"environment is {words}.*without describe, make, teacher.*function that makes it.*{function}"
        refused(tmp_path, complaint, environment=environment)


def test_the_reserved_name_of_a_teacher_is_refused(tmp_path: Path) -> None:
    """Which of the two were meant could not be told when the run is resumed."""
    refused(
        tmp_path, "has a teacher of its own with the name 'custom'", environment=OwnCustom(), teacher=Walker("lazy")
    )


@pytest.mark.parametrize("run", [None, 3, b"latest"])
def test_resume_names_what_is_no_run(tmp_path: Path, run: Any) -> None:
    """Before it looks for one."""
    with pytest.raises(townlet.BadInputError, match=r"run is .*; pass a run's directory, the beginning of its id"):
        townlet.resume(run, home=tmp_path)
