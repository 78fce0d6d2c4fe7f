"""A stage for disasters: the real façade, engine, journal, registry and blobs, with strategies that take no time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from attrs import define, evolve, field
from corridor import CorridorProvider, Keeping
from fakes import FakeSchool
from plans import METRICS, SCHEDULE

from townlet.dto.codec import structure
from townlet.dto.policy import AnnealSummary, TrainingResult
from townlet.dto.schedule import ScheduleSpec
from townlet.policy.training.contexts import TrainingContext
from townlet.policy.training.launch import schedule_text
from townlet.policy.training.orchestrator import PolicyTrainingOrchestrator
from townlet.policy.training.strategies.base import catalogue
from townlet.ports import EnvironmentDescription, Tallies, Teacher
from townlet.store.blobs import BlobStore
from townlet.store.files import DISK, Disk


class KilledError(BaseException):
    """The process is gone; nothing may catch it."""


@define
class FakeStrategy:
    """Lets the fake school answer."""

    name: str
    school: FakeSchool
    requires_torch: bool = False

    def prepare(self, context: TrainingContext) -> None:
        """Refuse nothing."""

    def run(self, context: TrainingContext) -> TrainingResult:
        """Answer as the school does."""
        return self.school(context.visit)


class ManyKPIs(Keeping):
    """Corridors that report every metric of the plan; those that corridors do not know stay 0."""

    def tallies(self) -> Tallies:
        """Return sums and exposures [M, W]."""
        tallies = super().tallies()
        more = ((0, len(METRICS) - len(tallies.sums)), (0, 0))
        return Tallies(sums=np.pad(tallies.sums, more), exposures=np.pad(tallies.exposures, more))


class FakeProvider(CorridorProvider):
    """Corridors under the town's name and with the plan's metrics; fake strategies never step one."""

    def __init__(self) -> None:
        super().__init__(ManyKPIs)

    def describe(self, scenario: str) -> EnvironmentDescription:
        """Return what the checker must know."""
        return evolve(super().describe("plain"), id="town", scenario=scenario, metrics=METRICS, teachers=("scripted",))

    def teacher(self, scenario: str, name: str) -> Teacher:
        """Fail: fake strategies ask no teacher."""
        raise AssertionError(f"a fake strategy asked for the teacher {name!r} of {scenario!r}")


TEXT = schedule_text(structure(SCHEDULE, ScheduleSpec))


def facade(home: Path) -> PolicyTrainingOrchestrator:
    """Return what walks the fake town in a home; each call stands for a new process."""
    schedule = home.parent / f"{home.name}.yaml"
    schedule.parent.mkdir(exist_ok=True)
    schedule.write_bytes(TEXT)
    school = FakeSchool(BlobStore(home / "blobs"), skill={"ppo 1": 5.0})
    return PolicyTrainingOrchestrator(
        schedule,
        home=home,
        strategies={name: FakeStrategy(name, school) for name in catalogue().entries},
        environments=FakeProvider(),
    )


def finish(home: Path) -> AnnealSummary:
    """Go on with the run of a home, or begin it where none exists."""
    walker = facade(home)
    runs = home / "runs"
    exists = runs.is_dir() and any(not run.name.startswith(".") for run in runs.iterdir())
    return walker.resume("latest") if exists else walker.run()


@define
class DyingDisk(Disk):
    """Counts every call and dies at one of them: before it, or halfway through a write. The dead change nothing."""

    dies_at: int = 0
    halfway: bool = False
    calls: list[str] = field(factory=list)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Write, or write the first half and die."""
        if self._is_over("write") and self.halfway and len(self.calls) == self.dies_at:
            super().write(descriptor, data[: len(data) // 2])
        self._die()
        return super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Count; the machine itself does not go down in these tests."""
        self._is_over("sync")
        self._die()

    def rename(self, source: Path, target: Path) -> None:
        """Rename, or die before."""
        self._is_over("rename")
        self._die()
        super().rename(source, target)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut, or die before."""
        self._is_over("truncate")
        self._die()
        super().truncate(descriptor, size)

    def remove(self, path: Path) -> None:
        """Remove, or die before."""
        self._is_over("remove")
        self._die()
        super().remove(path)

    def _is_over(self, call: str) -> bool:
        self.calls.append(call)
        return 0 < self.dies_at <= len(self.calls)

    def _die(self) -> None:
        if 0 < self.dies_at <= len(self.calls):
            raise KilledError


@contextmanager
def on(disk: Disk) -> Iterator[None]:
    """Let everything durable go through a disk."""
    token = DISK.set(disk)
    try:
        yield
    finally:
        DISK.reset(token)
