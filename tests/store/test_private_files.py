"""What is created belongs to its owner alone, and nothing waits for a pipe."""

import os
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from promoting import promote
from training_logs import write as write_log

from townlet.errors import BadInputError, EnvironmentFaultError, TownletError
from townlet.machine.journal.chain import read
from townlet.policy.training.strategies.base import catalogue
from townlet.store.blobs import BlobStore
from townlet.store.files import append_durable, cut, make_directory, open_append, read_bytes, write_atomic
from townlet.store.registry.registry import Registry
from townlet.store.rundir import RunDirectory
from townlet.store.training_log import log_files, read_log


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Set the umask for the body."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(root: Path) -> dict[str, int]:
    """Return the permission bits of everything below a directory, the directory too."""
    return {str(path.relative_to(root.parent)): stat.S_IMODE(path.stat().st_mode) for path in (root, *root.rglob("*"))}


def a_home(home: Path) -> RunDirectory:
    """Create a run, a blob and a promotion in a home."""
    run = RunDirectory.create(
        home, "small", b"schedule", {}, begin=lambda staged: append_durable(staged.journal, b"{}")
    )
    with run.lock():
        write_atomic(run.inbox / "order", b"{}")
    BlobStore(home / "blobs").put(b"blob")
    BlobStore(home / "blobs").mark()
    promote(Registry(home / "registry.sqlite"), "w1", None)
    return run


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_a_home_is_its_owners_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    """Home, runs, journal, inbox, lock, blobs, registry and ledger: 0700 and 0600."""
    with umask(mask):
        a_home(tmp_path / "home")

    assert {0o700, 0o600} == set(modes(tmp_path / "home").values())


def test_a_home_with_the_group_bit_is_shared_with_its_group(tmp_path: Path) -> None:
    """`mkdir -m 2770 HOME` is the option: its group may write, others may not, whatever the umask."""
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o2770)
    with umask(0o077):
        a_home(home)

    found = modes(home)
    assert {0o2770, 0o660} == set(found.values()), found


def test_a_group_bit_on_a_directory_open_to_all_shares_nothing(tmp_path: Path) -> None:
    """A directory that everybody may write in is no group's."""
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o2777)
    with umask(0):
        a_home(home)

    assert {0o700 | stat.S_ISGID, 0o600} == {mode for name, mode in modes(home).items() if name != "home"}


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the name of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@contextmanager
def at_once() -> Iterator[None]:
    """Fail where the body waits."""

    def alarm(*_: object) -> None:
        raise AssertionError("it waits for a pipe")

    before = signal.signal(signal.SIGALRM, alarm)
    signal.alarm(5)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


READERS: dict[str, Callable[[Path], object]] = {
    "read": read_bytes,
    "cut": lambda path: cut(path, 0),
    "append": lambda path: append_durable(path, b"x"),
    "stream": open_append,
}


@pytest.mark.parametrize("make", [_pipe, _socket, _device], ids=["pipe", "socket", "device"])
@pytest.mark.parametrize("name", READERS)
def test_nothing_opens_what_is_no_file(tmp_path: Path, name: str, make: Callable[[Path], None]) -> None:
    """One sentence at once, and nothing waits."""
    path = tmp_path / "file"
    make(path)
    with at_once(), pytest.raises((BadInputError, EnvironmentFaultError)):
        READERS[name](path)


@pytest.mark.parametrize(
    "name",
    ["registry.sqlite", "registry.jsonl", "registry.sqlite-journal", "registry.sqlite-wal"],
)
def test_a_pipe_in_place_of_a_registry_file_is_refused(registry: Registry, name: str) -> None:
    """Reading, promoting, rolling back: each ends at once, with the name of the file."""
    promote(registry, "w1", None)
    path = registry.path.with_name(name)
    path.unlink(missing_ok=True)
    os.mkfifo(path)

    for ask in (
        registry.versions,
        lambda: promote(registry, "w2", "w1"),
        lambda: registry.champion("town", "champion"),
    ):
        with at_once(), pytest.raises(BadInputError, match=f"{name}: not a regular file"):
            ask()


@pytest.mark.parametrize("name", ["journal.jsonl", "head.json", "lock", "run.json"])
def test_a_pipe_in_place_of_a_run_file_is_refused(tmp_path: Path, name: str) -> None:
    """Journal, head, lock, metadata."""
    run = a_home(tmp_path / "home")
    (run.path / name).unlink(missing_ok=True)
    os.mkfifo(run.path / name)

    def work() -> None:
        found = RunDirectory.at(run.path)
        with found.lock():
            read(found.journal, found.head, catalogue())

    with at_once(), pytest.raises(TownletError):
        work()


def test_a_pipe_in_place_of_a_blob_is_refused(tmp_path: Path) -> None:
    """It counts as missing."""
    blobs = BlobStore(tmp_path)
    digest = blobs.put(b"blob")
    blobs.path(digest).unlink()
    os.mkfifo(blobs.path(digest))

    with at_once(), pytest.raises(BadInputError, match="missing"):
        blobs.get(digest)


def test_a_directory_is_made_for_its_owner_all_the_way_down(tmp_path: Path) -> None:
    """The parents that were missing too."""
    with umask(0):
        make_directory(tmp_path / "a" / "b" / "c")

    assert {0o700} == set(modes(tmp_path / "a").values())


@pytest.mark.parametrize(("folder", "mask", "mode"), [(0o700, 0, 0o600), (0o2770, 0o077, 0o660)])
def test_a_training_log_belongs_to_its_owner_or_to_the_group_that_shares_its_directory(
    folder: int, mask: int, mode: int, tmp_path: Path
) -> None:
    """Whatever the umask; a file that exists keeps its mode."""
    tmp_path.chmod(folder)
    (tmp_path / "x.jsonl.1").touch()
    (tmp_path / "x.jsonl.1").chmod(0o640)
    with umask(mask):
        write_log(tmp_path / "x.jsonl", 2, max_entries=2)
    assert [mode, 0o640] == [stat.S_IMODE(path.stat().st_mode) for path in log_files(tmp_path / "x.jsonl")]


@pytest.mark.parametrize("make", [_pipe, _socket, _device, Path.mkdir], ids=["pipe", "socket", "device", "directory"])
def test_what_stands_in_place_of_the_next_file_of_a_training_log_is_refused(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    """No writer waits for it, and no reader leaves out the lines that belong there."""
    log = tmp_path / "x.jsonl"
    write_log(log, 1)
    make(tmp_path / "x.jsonl.1")
    for action in (lambda: write_log(log, 1, max_entries=2), lambda: read_log(log)):
        with at_once(), pytest.raises(BadInputError, match=r"x\.jsonl\.1: not a regular file"):
            action()
