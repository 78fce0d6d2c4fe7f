"""Arguments that several commands take."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

__all__ = ["HOME", "Home", "Json", "Run", "SchedulePath", "Seed"]

Home = Annotated[Path, Parameter(help="Directory of runs, blobs and the registry.", env_var="TOWNLET_HOME")]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON document on stdout.")]
Run = Annotated[str, Parameter(help="A run directory, the beginning of a run id, or `latest`.")]
SchedulePath = Annotated[Path, Parameter(help="The schedule, a YAML file.")]
Seed = Annotated[int | None, Parameter(help="Takes the place of the schedule's seed.")]

HOME = Path(".townlet")
