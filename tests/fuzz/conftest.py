"""What hostile input may cost: memory is watched over the whole folder."""

import resource
from collections.abc import Iterator

import pytest

MOST = 400 * 2**20
"""Bytes the process may grow by while it reads what it is given; a header or an alias may ask for any number."""


@pytest.fixture(autouse=True, scope="module")
def _memory_stays_bounded() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < MOST
