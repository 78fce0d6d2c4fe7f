"""What every test may count on: torch is where its environment says it is."""

import os
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import settings
from ruamel.yaml import YAML
from ruamel.yaml.events import Event

from townlet.machine.schedule import yaml_source

# Tests share the cores with each other: one thread each, and none that spins while it waits.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# The tests sync tens of thousands of files. In memory that costs nothing, and no test takes the power away.
MEMORY = Path("/dev/shm")
if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 2**31:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

# A busy machine is no failure: no test of this house depends on time.
settings.register_profile("house", deadline=None)
settings.load_profile("house")

TORCH = os.environ.get("TOWNLET_TORCH", "")
"""``absent``, ``required`` or nothing, as tox sets it."""


def pytest_configure() -> None:
    """Refuse to begin in an environment that cannot keep its promise."""
    if TORCH not in {"", "absent", "required"}:
        raise pytest.UsageError(f"TOWNLET_TORCH is {TORCH!r}; expected absent, required or nothing")
    if TORCH == "required" and find_spec("torch") is None:
        raise pytest.UsageError("TOWNLET_TORCH=required, but torch is not installed; install the extra `torch`")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked `torch` where torch is not installed; nothing is imported to find out."""
    if find_spec("torch") is not None:
        return
    for item in items:
        if item.get_closest_marker("torch"):
            item.add_marker(pytest.mark.skip(reason="torch is not installed"))


class ParsedOnce:
    """The YAML parser of the process, which keeps what it found in a text: tests walk few schedules many times."""

    MOST = 200
    """Texts that are kept, and kilobytes of the longest."""
    events: ClassVar[dict[str, tuple[Event, ...]]] = {}

    def __init__(self, *, typ: str, pure: bool) -> None:
        self.yaml = YAML(typ=typ, pure=pure)

    def parse(self, text: str) -> Iterator[Event]:
        """Yield the events of a text; one that is wrong is parsed each time, so that it fails where it did before."""
        known = self.events.get(text)
        if known is not None:
            yield from known
            return
        found = []
        for event in self.yaml.parse(text):
            found.append(event)
            yield event
        if len(text) < 1000 * self.MOST and len(self.events) < self.MOST:
            self.events[text] = tuple(found)


@pytest.fixture(autouse=True, scope="session")
def _texts_are_parsed_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml_source, "YAML", ParsedOnce)
        yield


@pytest.fixture(autouse=True)
def _torch_stays_out() -> Iterator[None]:
    """Where torch is promised to be absent, fail the first test after which it is imported."""
    yield
    if TORCH == "absent" and "torch" in sys.modules:
        pytest.fail("torch was imported; only the school's named files may, inside a function", pytrace=False)
