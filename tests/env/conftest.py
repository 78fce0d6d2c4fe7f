"""Fixtures of the tests of environments."""

import gc
from collections.abc import Iterator

import pytest
from worker_views import children, shared_memory


@pytest.fixture
def _leaves_nothing() -> Iterator[None]:
    """Fail where a test leaves a worker or a block of shared memory behind."""
    yield
    gc.collect()
    assert not children()
    assert not shared_memory()
