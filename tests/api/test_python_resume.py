"""`townlet.resume` continues what `townlet.anneal` began, with the same objects passed again."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from corridor import CorridorProvider, Keeping, Walker
from programs import program, write_learns, write_plays

import townlet
from townlet.cli import run_command
from townlet.policy.training.strategies.base import catalogue
from townlet.store.rundir import RunDirectory


class OtherRules(CorridorProvider):
    """Corridors under other rules."""

    def describe(self, scenario: str) -> townlet.EnvironmentDescription:
        """Return another signature."""
        return evolve(super().describe(scenario), signature="other rules")


def stopped(folder: Path, **objects: Any) -> RunDirectory:
    """Begin a run that is stopped before its first visit, and return it."""
    with pytest.raises(townlet.StoppedError) as caught:
        townlet.anneal(write_plays(folder), home=folder / "home", stopping=lambda: True, **objects)
    run = RunDirectory.find(folder / "home", "latest")
    home = str(folder / "home")
    assert [f"nothing is lost, go on with: townlet.resume({run.id!r}, home={home!r})"] == caught.value.__notes__
    return run


def every_byte(home: Path) -> dict[str, bytes]:
    """Return every file of a home with its bytes."""
    return {str(path): path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file() and path.name != "lock"}


def test_a_stopped_run_ends_as_one_that_was_not_stopped(tmp_path: Path) -> None:
    """The same record comes back, and a run that has ended is only summarised."""
    (tmp_path / "whole").mkdir()
    whole = townlet.anneal(
        write_plays(tmp_path / "whole"), environment=CorridorProvider(), home=tmp_path / "whole" / "home"
    )
    run = stopped(tmp_path, environment=CorridorProvider())
    summary = townlet.resume(run.id[:20], environment=CorridorProvider(), home=tmp_path / "home")
    assert isinstance(summary, townlet.AnnealSummary)
    assert (whole.semantic_hash, "done") == (summary.semantic_hash, summary.state)
    before = every_byte(tmp_path / "home")
    again = townlet.resume(environment=CorridorProvider(), home=tmp_path / "home")
    assert summary.head == again.head
    assert before == every_byte(tmp_path / "home")


def test_a_run_given_as_a_directory_brings_its_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From any working directory, which a notebook may have changed meanwhile."""
    monkeypatch.chdir(tmp_path)
    run = stopped(tmp_path, environment=CorridorProvider())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert "done" == townlet.resume(run.path.absolute(), environment=CorridorProvider()).state
    assert [] == list((tmp_path / "elsewhere").iterdir())
    with pytest.raises(townlet.BadInputError, match="belongs to the home"):
        townlet.resume(run.path.absolute(), environment=CorridorProvider(), home=tmp_path / "elsewhere")


OBJECTS: dict[str, tuple[dict[str, Any], Callable[[], dict[str, Any]], str]] = {
    "no environment": ({}, dict, "no installed package registers; pass the object again: townlet.resume"),
    "other rules": (
        {},
        lambda: {"environment": OtherRules()},
        "has the signature other rules; expected [0-9a-f]{12}, of",
    ),
    "another environment": (
        {},
        lambda: {"environment": townlet.ports.provider("town")},  # type: ignore[attr-defined]
        r"begun in the environment corridor/plain, which the one that was passed does not know",
    ),
    "another name": (
        {},
        lambda: {"environment": CorridorProvider(), "teacher": "straight"},
        "begun with the environment's teacher 'lazy', and 'straight' was passed; leave teacher out",
    ),
    "an object": (
        {},
        lambda: {"environment": CorridorProvider(), "teacher": Walker("lazy")},
        "begun with the environment's teacher 'lazy', and an object of Walker was passed",
    ),
    "no teacher": (
        {"teacher": Walker("lazy")},
        lambda: {"environment": CorridorProvider()},
        "a teacher that was passed as an object, and none was passed; pass the object again: townlet.resume",
    ),
    "none for a name": (
        {},
        lambda: {"environment": CorridorProvider(), "teacher": "none"},
        "begun with the environment's teacher 'lazy', and 'none', which stands for no teacher, was passed; leave",
    ),
    "none for an object": (
        {"teacher": Walker("lazy")},
        lambda: {"environment": CorridorProvider(), "teacher": "none"},
        "passed as an object, and 'none' stands for no teacher; pass the object again: townlet.resume",
    ),
    "a name for an object": (
        {"teacher": Walker("lazy")},
        lambda: {"environment": CorridorProvider(), "teacher": "lazy"},
        "passed as an object, and 'lazy' is a name",
    ),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_other_objects_are_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    """Not one byte changes, and the right objects go on afterwards."""
    began, wrong, complaint = OBJECTS[name]
    stopped(tmp_path, environment=CorridorProvider(), **began)
    before = every_byte(tmp_path / "home")
    with pytest.raises(townlet.BadInputError, match=f"(?s){complaint}"):
        townlet.resume(home=tmp_path / "home", **wrong())
    assert before == every_byte(tmp_path / "home")
    assert "done" == townlet.resume(home=tmp_path / "home", environment=CorridorProvider(), **began).state


WITHOUT_TEACHER = """\
schedule: townlet/v1
name: reads
seed: 3
environment: {id: corridor, scenario: plain, worlds: 4}
teacher: none
registry: {name: reads}
initial: replay
states:
  replay: {strategy: replay, with: {data: {sample: play.npz, sha256: abc}}, next: [{to: done}]}
"""
PASSED: dict[str, tuple[Any, str]] = {
    "an object": (Walker("lazy"), "an object of Walker was passed"),
    "a function": (lambda observation: 0, "a lambda was passed"),
    "a name": ("lazy", "'lazy' was passed"),
}


@pytest.mark.parametrize("name", PASSED)
def test_a_run_without_a_teacher_goes_on_without_one(tmp_path: Path, name: str) -> None:
    """The sentence says that it has none; `none` is its name."""
    teacher, found = PASSED[name]
    call: dict[str, Any] = {"environment": CorridorProvider(), "home": tmp_path / "home", "stopping": lambda: True}
    (tmp_path / "reads.yaml").write_text(WITHOUT_TEACHER)
    with pytest.raises(townlet.StoppedError):
        townlet.anneal(tmp_path / "reads.yaml", **call)
    before = every_byte(tmp_path / "home")
    run = RunDirectory.find(tmp_path / "home", "latest").id
    sentence = f"run {run} was begun without a teacher (teacher: none), and {found}; leave teacher out"
    with pytest.raises(townlet.BadInputError, match=f"^{re.escape(sentence)}, or begin another run$"):
        townlet.resume(teacher=teacher, **call)
    assert before == every_byte(tmp_path / "home")
    for same in (None, "none"):
        with pytest.raises(townlet.StoppedError):
            townlet.resume(teacher=same, **call)


def test_a_teacher_by_its_name_may_be_named_again(tmp_path: Path) -> None:
    """It is the schedule's then."""
    stopped(tmp_path, environment=CorridorProvider(), teacher="straight")
    objects = {"environment": CorridorProvider(), "teacher": "straight"}
    assert "done" == townlet.resume(home=tmp_path / "home", **objects).state  # type: ignore[arg-type]


def test_another_environment_takes_no_edited_schedule_over(tmp_path: Path) -> None:
    """The edit would be journalled before the environment is found to be another."""
    run = stopped(tmp_path, environment=CorridorProvider())
    (tmp_path / "plays.yaml").write_text((tmp_path / "plays.yaml").read_text().replace("episodes: 8", "episodes: 9"))
    journal = run.journal.read_bytes()
    with pytest.raises(townlet.BadInputError, match="signature"):
        townlet.resume(home=tmp_path / "home", environment=OtherRules(), accept_schedule=True)
    assert journal == run.journal.read_bytes()
    with pytest.raises(townlet.BadInputError, match="was edited since the run began"):
        townlet.resume(home=tmp_path / "home", environment=CorridorProvider())
    summary = townlet.resume(home=tmp_path / "home", environment=CorridorProvider(), accept_schedule=True)
    assert ("done", 9) == (summary.state, summary.stages[0].result.episodes)  # type: ignore[attr-defined]


INTERRUPT = """
import os, signal
from pathlib import Path

class Pressing(Keeping):
    pressed = False

    def step(self, actions):
        streams = Path("home").glob("runs/*/metrics.jsonl")
        if not Pressing.pressed and any("ppo" in path.read_text() for path in streams):
            Pressing.pressed = True
            os.kill(os.getpid(), signal.SIGINT)
        return super().step(actions)

def raise_at_once(number, frame):
    raise KeyboardInterrupt

environment = CorridorProvider(Pressing)
# Whoever runs the tests may have told its children to ignore the signal, as shells do with what runs beside them.
signal.signal(signal.SIGINT, raise_at_once if OWN_HANDLER else signal.default_int_handler)
before = signal.getsignal(signal.SIGINT)
try:
    townlet.anneal("schedule.yaml", environment=environment, home="home")
except KeyboardInterrupt as error:
    call = [str(error), *getattr(error, "__notes__", ())][-1].partition("go on with: ")[2]
else:
    sys.exit("was not interrupted")
assert signal.getsignal(signal.SIGINT) is before
stops = Path(next(Path("home").glob("runs/*/journal.jsonl"))).read_text().count('"command":"stop"')
print(stops, eval(call.replace(", home", ", environment=environment, home")).semantic_hash)
"""


@pytest.mark.slow
@pytest.mark.parametrize("own_handler", [False, True], ids=["Ctrl-C", "a handler of the caller's that raises at once"])
def test_an_interrupted_run_goes_on_with_the_same_bits(tmp_path: Path, own_handler: bool) -> None:
    """A real process, interrupted while ppo trains; the call that it was told to make ends as an undisturbed run.

    Townlet's own handler waits for a safe point and journals the stop, which counts as no crash.
    """
    (tmp_path / "whole").mkdir()
    whole = townlet.anneal(
        write_learns(tmp_path / "whole"), environment=CorridorProvider(Keeping), home=tmp_path / "whole" / "home"
    )
    write_learns(tmp_path)
    done = program(tmp_path, INTERRUPT.replace("OWN_HANDLER", str(own_handler)))
    assert 0 == done.returncode, done.stderr
    stops, semantic_hash = done.stdout.split()
    assert whole.semantic_hash == semantic_hash
    assert ("0" if own_handler else "1") == stops
    assert ("SIGINT: stopping at the next safe point" in done.stderr) is not own_handler


def test_the_command_line_says_which_call_continues_such_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has no objects; what it says can be typed with them."""
    run = stopped(tmp_path, environment=CorridorProvider())
    assert 2 == run_command(["resume", "latest", "--home", str(tmp_path / "home")])
    assert f"continue with: townlet.resume({str(run.path)!r}, environment=…, teacher=…)" in capsys.readouterr().err


@pytest.mark.parametrize("strategies", [None, {}])
def test_a_strategy_that_is_not_passed_again_is_refused(tmp_path: Path, strategies: Any) -> None:
    """The journal names it, and nothing is written."""
    entry = evolve(catalogue().entry("capture"), name="record")
    schedule = write_plays(tmp_path)
    schedule.write_text(schedule.read_text().replace("strategy: capture", "strategy: record"))
    with pytest.raises(townlet.StoppedError):
        townlet.anneal(
            schedule,
            environment=CorridorProvider(),
            strategies={"record": entry},
            home=tmp_path / "home",
            stopping=lambda: True,
        )
    before = every_byte(tmp_path / "home")
    with pytest.raises(townlet.BadInputError, match="unknown strategy 'record'"):
        townlet.resume(environment=CorridorProvider(), strategies=strategies, home=tmp_path / "home")
    assert before == every_byte(tmp_path / "home")
    summary = townlet.resume(environment=CorridorProvider(), strategies={"record": entry}, home=tmp_path / "home")
    assert "done" == summary.state
