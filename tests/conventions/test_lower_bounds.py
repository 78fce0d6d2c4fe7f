"""The oldest versions that are promised are the ones that `tox -e floors` installs."""

import tomllib

from packaging.requirements import Requirement
from packaging.version import Version
from places import ROOT


def test_every_lower_bound_is_installed_and_tested() -> None:
    """Each requirement of the core and of the extras has its lower bound in floors.txt, and nothing else is pinned.

    sb3-contrib is no requirement of Townlet; it follows Stable-Baselines3.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    requirements = [Requirement(line) for line in [*project["dependencies"], *extras]]
    promised = {
        each.name: min(Version(bound.version) for bound in each.specifier)
        for each in requirements
        if each.name != project["name"]
    }
    lines = (ROOT / "tests" / "floors.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))

    assert {**promised, "sb3-contrib": promised["stable-baselines3"]} == {
        name: Version(version) for name, version in pinned.items()
    }
