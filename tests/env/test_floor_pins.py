"""The floors that are promised are the versions that `tox -e floors` installs."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_promised_floors_are_the_tested_ones() -> None:
    """Each pin of tests/floors.txt begins with the floor that pyproject.toml states."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stated = [*project["dependencies"], *project["optional-dependencies"]["env"]]
    floors = dict(item.split(">=") for item in stated if ">=" in item)
    pins = (ROOT / "tests" / "floors.txt").read_text(encoding="utf-8").splitlines()
    for name, version in (pin.split("==") for pin in pins if not pin.startswith("#")):
        assert version.startswith(f"{floors[name]}."), name
