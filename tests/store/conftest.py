"""What tests of the cellar begin with."""

from pathlib import Path

import pytest

from townlet.store.registry.registry import Registry


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """An empty registry."""
    return Registry(tmp_path / "home" / "registry.sqlite")
