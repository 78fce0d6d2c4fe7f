"""Arguments that several commands take."""

import getpass
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter, Token

from townlet.imports import FLAG

if TYPE_CHECKING:
    from townlet.store.registry.registry import Registry
    from townlet.store.rundir import RunDirectory

__all__ = [
    "HOME",
    "Actor",
    "AllowImport",
    "Home",
    "Json",
    "License",
    "OptionalSchedulePath",
    "Overrides",
    "PolicyWord",
    "Quiet",
    "Run",
    "SchedulePath",
    "Seed",
    "Track",
    "Wide",
    "current_user",
    "find_registry",
    "find_run",
    "import_words",
]


def _schedule_path(_: type[Path], tokens: Sequence[Token]) -> Path:
    from townlet.machine.schedule.shipped import find_schedule

    return find_schedule(tokens[0].value)


HOME = Path(".townlet")
"""Where runs, blobs and the registry are when neither the flag nor the environment variable says otherwise."""

Actor = Annotated[str | None, Parameter(help="Who gives the command; by default the user of this process.")]
AllowImport = Annotated[
    tuple[str, ...],
    Parameter(
        name=FLAG,
        negative="",
        consume_multiple=False,
        help="Module, with all below it, that the schedule may import for an environment or a teacher; repeatable.",
    ),
]
Home = Annotated[Path, Parameter(help="Directory of runs, blobs and the registry.", env_var="TOWNLET_HOME")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document on stdout.")]
License = Annotated[str, Parameter(help="License of the weights, as the Hub names it: mit, apache-2.0, ….")]
PolicyWord = Annotated[
    str,
    Parameter(
        help="teacher:NAME, NAME@ALIAS of a registry, a run or `latest`, a weights file, or the beginning of a digest."
    ),
]
Quiet = Annotated[
    bool, Parameter(name="--quiet", negative="", help="Show no progress; results, warnings and errors stay.")
]
Overrides = Annotated[
    tuple[str, ...],
    Parameter(
        name="--set",
        negative="",
        consume_multiple=False,
        help="PATH=VALUE in place of what the schedule says, such as states.ppo.with.learning_rate=3e-4; repeatable.",
    ),
]
Track = Annotated[
    tuple[str, ...],
    Parameter(
        name="--track",
        negative="",
        consume_multiple=False,
        help="Trackers that get the numbers: tensorboard, mlflow, wandb, trackio, or one of a package, with commas "
        "between; repeatable. `none` leaves out those of the schedule.",
    ),
]
Wide = Annotated[bool, Parameter(negative="", help="Print all columns, however narrow the terminal is.")]
Run = Annotated[str, Parameter(help="A run directory, the beginning of a run id, `latest`, or `latest-rehearsal`.")]
_SCHEDULE = Parameter(
    help="A schedule: a YAML file, or a name that `townlet schedules` lists.",
    converter=_schedule_path,
    n_tokens=1,
    accepts_keys=False,
)
SchedulePath = Annotated[Path, _SCHEDULE]
OptionalSchedulePath = Annotated[Path | None, _SCHEDULE]
Seed = Annotated[int | None, Parameter(help="Replaces the schedule's seed.")]


def import_words(allowed: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a command line that allow imports."""
    return tuple(word for name in allowed for word in (FLAG, name))


def current_user() -> str:
    """Return the name of the user of this process; ``unknown`` where the system has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def find_run(home: Path, which: str) -> "tuple[Path, RunDirectory]":
    """Return the home and the directory of a run.

    A run given as a path brings its home, in place of the default one. BadInputError where `--home` names another. A
    run that is a copy of another is announced.
    """
    from townlet.errors import BadInputError
    from townlet.report import terminal
    from townlet.store.rundir import RunDirectory

    run = RunDirectory.find(home, which)
    own = run.home(home)
    is_default = str(home) in (str(HOME), os.environ.get("TOWNLET_HOME"))
    if own != home and not is_default:
        raise BadInputError(
            f"{run.path}: run {run.id} belongs to the home {own}, not to {home}; leave --home out, or name that home"
        )
    original = run.original(own)
    if original != run.path:
        terminal.warn(f"{run.path} is a copy of run {run.id}; the run itself is at {original}")
    return own, run


def find_registry(home: Path, run: str | None) -> "Registry":
    """Return the registry that a run promotes in, its own or the home's; every move verifies the weights."""
    from townlet.machine.audit.gc import stored_schedule
    from townlet.policy.model.weights import verifier
    from townlet.store.blobs import BlobStore
    from townlet.store.links import linked_registry

    path = home / "registry.sqlite"
    if run is not None:
        home, directory = find_run(home, run)
        own = stored_schedule(directory).registry.scope == "run"
        path = directory.registry if own else home / "registry.sqlite"
    return linked_registry(home, path, verifier(BlobStore(home / "blobs").get))
