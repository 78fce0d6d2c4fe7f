"""Every scenario plays to the bit what it played when its hashes were recorded."""

import json
from pathlib import Path

import pytest
from record_golden import GOLDEN, digest, played

from townlet.dto.scenarios import SCENARIOS


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_scenario_plays_as_recorded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """States and observations of two days have the recorded digests, on two threads as on one."""
    monkeypatch.setattr("townlet.world.batch._LEAST_SHARE", 1)
    assert json.loads((GOLDEN / f"{name}.json").read_text()) == played(name, threads=2)


def test_every_scenario_has_its_hashes() -> None:
    """One file for each preset and no other."""
    assert sorted(SCENARIOS) == sorted(file.stem for file in GOLDEN.glob("*.json"))


def test_hashes_change_only_with_a_line_in_the_changelog() -> None:
    """CHANGELOG.md names the digest of the golden files as they are."""
    changelog = (Path(__file__).parents[2] / "CHANGELOG.md").read_text()
    assert f"golden hashes {digest()}" in changelog
