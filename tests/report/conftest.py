"""The golden home of an earlier version, in which one run promoted, and what a report says of that run."""

import shutil
from pathlib import Path

import pytest
from golden_runs import GOLDEN, facts_of

from townlet.machine.audit.report_facts import ReportFacts


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A copy of the golden home."""
    return shutil.copytree(GOLDEN, tmp_path / "home")


@pytest.fixture
def facts(home: Path) -> ReportFacts:
    """What a report says of its run."""
    return facts_of(home)
