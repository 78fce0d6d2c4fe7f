"""A process may die at every single write, sync and rename; the next one ends the run as if nothing had happened."""

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from attrs import define
from stage import DyingDisk, FakeProvider, KilledError, facade, finish, on

from townlet.dto.policy import AnnealSummary
from townlet.errors import BadInputError, ResourceFaultError
from townlet.machine.audit.verify import verify
from townlet.policy.training import launch
from townlet.policy.training.environment_source import EnvironmentSource
from townlet.policy.training.rederive import replay_run
from townlet.policy.training.strategies.base import catalogue
from townlet.store.blobs import BlobStore
from townlet.store.files import Disk
from townlet.store.registry.registry import Registry
from townlet.store.rundir import RunDirectory

SHARES = 8
"""The points are shared out over this many tests."""


@pytest.fixture(scope="module", autouse=True)
def _unchecked() -> Iterator[None]:
    """The environment's promises are not the question, and checking them in each process took a third of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "check_promises", lambda *_: ())
        yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[AnnealSummary, list[str]]:
    """The run nobody disturbed, and every call it made on the disk."""
    disk = DyingDisk()
    with on(disk):
        summary = facade(tmp_path_factory.mktemp("undisturbed")).run()
    return summary, disk.calls


def assert_as_if_nothing_had_happened(home: Path, summary: AnnealSummary, undisturbed: AnnealSummary) -> None:
    """Same bits, one promotion, a clean audit."""
    assert (undisturbed.semantic_hash, undisturbed.weights) == (summary.semantic_hash, summary.weights)
    assert ("done", True) == (summary.state, summary.champion_moved)
    assert 1 == len(Registry(home / "registry.sqlite").history())
    run = RunDirectory.find(home, "latest")
    assert () == verify(run, BlobStore(home / "blobs"), catalogue()).problems


def test_the_undisturbed_run_is_eventful(undisturbed: tuple[AnnealSummary, list[str]]) -> None:
    """A rollback, a promotion, and hundreds of points to die at."""
    summary, calls = undisturbed
    assert ["capture", "bc", "ppo", "evaluate", "rollback", "ppo", "evaluate", "promote"] == [
        stage.state for stage in summary.stages
    ]
    assert {"write", "sync", "rename"} == set(calls)
    assert len(calls) > 300


@pytest.mark.parametrize(
    "share", [pytest.param(share, marks=[pytest.mark.long] if share % 2 else []) for share in range(SHARES)]
)
def test_a_run_killed_at_any_point_ends_the_same(
    tmp_path: Path, undisturbed: tuple[AnnealSummary, list[str]], share: int
) -> None:
    """Before each call, and halfway through each write; stray files and torn lines are left as a dead process would."""
    summary, calls = undisturbed
    points = [(at, halfway) for at, call in enumerate(calls, 1) for halfway in (False, True)[: 1 + (call == "write")]]
    for at, halfway in points[share::SHARES]:
        home = tmp_path / f"{at}-{halfway}"
        with on(DyingDisk(dies_at=at, halfway=halfway)), suppress(KilledError):
            facade(home).run()
        with on(DyingDisk()):
            assert_as_if_nothing_had_happened(home, finish(home), summary)
    assert (
        ()
        == replay_run(
            RunDirectory.find(home, "latest"), home, source=EnvironmentSource(passed=FakeProvider())
        ).differences
    )


def test_a_run_whose_every_process_dies_a_little_later_ends_the_same(
    tmp_path: Path, undisturbed: tuple[AnnealSummary, list[str]]
) -> None:
    """Recovery itself is interrupted too: each process gets fourteen calls further than the one before."""
    summary, calls = undisturbed
    for reach in range(14, 2 * len(calls), 14):
        with on(DyingDisk(dies_at=reach)), suppress(KilledError):
            finish(tmp_path)
            break
    with on(DyingDisk()):
        assert_as_if_nothing_had_happened(tmp_path, finish(tmp_path), summary)


@define
class FullDisk(DyingDisk):
    """Takes nothing from one call on."""

    code: int = errno.ENOSPC

    def _die(self) -> None:
        if 0 < self.dies_at <= len(self.calls) and self.calls[-1] != "remove":
            raise OSError(self.code, os.strerror(self.code))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_refuses_changes_nothing_and_is_told(
    tmp_path: Path, undisturbed: tuple[AnnealSummary, list[str]], code: int
) -> None:
    """Full, read-only or forbidden, from any of forty points on: one sentence, and the run goes on later."""
    summary, calls = undisturbed
    for at in range(5, len(calls), len(calls) // 40):
        home = tmp_path / str(at)
        with on(FullDisk(dies_at=at, code=code)), pytest.raises(ResourceFaultError, match=os.strerror(code)):
            facade(home).run()
        with on(DyingDisk()):
            assert_as_if_nothing_had_happened(home, finish(home), summary)


def test_a_run_that_was_never_created_never_existed(tmp_path: Path) -> None:
    """A staging directory is no run, and the next creation removes it once it is too old to be at work."""
    staging = tmp_path / "runs" / ".staging-20260101T000000-fake-town-abcdef"
    (staging / "inbox").mkdir(parents=True)
    (staging / "run.json").write_text('{"id": "20260101T000000-fake-town-abcdef"}')
    with pytest.raises(BadInputError, match="there is no run yet"):
        facade(tmp_path).resume("latest")
    young = staging.with_name(".staging-young")
    young.mkdir()
    os.utime(staging, (0, 0))
    facade(tmp_path).run()
    assert (False, True) == (staging.exists(), young.exists())


def test_the_disk_in_use_is_the_real_one() -> None:
    """Nobody but a test puts another one there."""
    from townlet.store.files import DISK

    assert type(DISK.get()) is Disk
