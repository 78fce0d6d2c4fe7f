"""One home with two promotions for all tests of this folder; each gets its own copy."""

import shutil
from pathlib import Path

import pytest
from homes import Town, twice_promoted


@pytest.fixture(scope="session")
def _town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return twice_promoted(tmp_path_factory.mktemp("town"))


@pytest.fixture
def town(_town: Town, tmp_path: Path) -> Town:
    """A home with two promotions, the test's own."""
    shutil.copytree(_town.home.parent, tmp_path / "town")
    return Town(tmp_path / "town" / "home")
