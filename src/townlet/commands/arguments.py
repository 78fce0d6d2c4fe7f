"""Arguments that several commands take."""

import getpass
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, Token

__all__ = ["HOME", "Actor", "Home", "Json", "Run", "SchedulePath", "Seed", "current_user"]


def _schedule_path(_: type[Path], tokens: Sequence[Token]) -> Path:
    from townlet.machine.schedule.shipped import find_schedule

    return find_schedule(tokens[0].value)


HOME = Path(".townlet")
"""Where runs, blobs and the registry are when neither the flag nor the environment variable says otherwise."""

Actor = Annotated[str | None, Parameter(help="Who gives the command; by default the user of this process.")]
Home = Annotated[Path, Parameter(help="Directory of runs, blobs and the registry.", env_var="TOWNLET_HOME")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document on stdout.")]
Run = Annotated[str, Parameter(help="A run directory, the beginning of a run id, or `latest`.")]
SchedulePath = Annotated[
    Path,
    Parameter(
        help="A schedule: a YAML file, or a name that `townlet schedules` lists.",
        converter=_schedule_path,
        n_tokens=1,
        accepts_keys=False,
    ),
]
Seed = Annotated[int | None, Parameter(help="Replaces the schedule's seed.")]


def current_user() -> str:
    """Return the name of the user of this process; ``unknown`` where the system has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
