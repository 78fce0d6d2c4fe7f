"""Files are whole or absent, and names stay inside their directory."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from townlet.errors import BadInputError, EnvironmentFaultError
from townlet.store.files import append_durable, contained, make_directory, write_atomic


def _refuse(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_write_atomic_replaces_the_whole_content(tmp_path: Path) -> None:
    """A second write leaves exactly the new bytes and no neighbour."""
    write_atomic(tmp_path / "a", b"a longer first content")
    write_atomic(tmp_path / "a", b"second")

    assert b"second" == (tmp_path / "a").read_bytes()
    assert ["a"] == [path.name for path in tmp_path.iterdir()]


def test_a_write_that_fails_keeps_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is told in one sentence; the file is as before and nothing half-written lies beside it."""
    write_atomic(tmp_path / "a", b"old")
    monkeypatch.setattr(os, "fsync", _refuse)

    with pytest.raises(EnvironmentFaultError, match="cannot write this file \\(No space left on device\\)"):
        write_atomic(tmp_path / "a", b"new")

    assert b"old" == (tmp_path / "a").read_bytes()
    assert ["a"] == [path.name for path in tmp_path.iterdir()]


def test_write_atomic_into_a_missing_directory_is_told(tmp_path: Path) -> None:
    """A directory that is not there is an environment fault that names the path."""
    with pytest.raises(EnvironmentFaultError, match="nowhere/a"):
        write_atomic(tmp_path / "nowhere" / "a", b"data")


def test_appends_follow_each_other(tmp_path: Path) -> None:
    """Each append goes to the end; the first creates the file."""
    append_durable(tmp_path / "log", b"one\n")
    append_durable(tmp_path / "log", b"two\n")

    assert b"one\ntwo\n" == (tmp_path / "log").read_bytes()


def test_an_append_cut_short_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk takes only half of a line, the file is as before and the error says so."""
    append_durable(tmp_path / "log", b"one\n")
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:2]))

    with pytest.raises(EnvironmentFaultError, match="only 2 of 4 bytes"):
        append_durable(tmp_path / "log", b"two\n")

    assert b"one\n" == (tmp_path / "log").read_bytes()


def test_make_directory_creates_parents_and_accepts_what_exists(tmp_path: Path) -> None:
    """Missing parents are created; asking twice is fine; a file in the way is told."""
    make_directory(tmp_path / "a" / "b")
    make_directory(tmp_path / "a" / "b")
    (tmp_path / "file").touch()

    assert (tmp_path / "a" / "b").is_dir()
    with pytest.raises(EnvironmentFaultError, match="cannot create this directory"):
        make_directory(tmp_path / "file" / "c")


@pytest.mark.parametrize("name", ["../up", "a/../../up", "/etc/passwd", "", "a\0b", "..\\up"])
def test_names_that_leave_the_directory_are_refused(tmp_path: Path, name: str) -> None:
    """Traversal, absolute names and what is no file name are bad input."""
    with pytest.raises(BadInputError):
        contained(tmp_path, name)


def test_a_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    """A symbolic link is followed, and refused where it leaves the directory."""
    root = tmp_path / "root"
    (root / "inside").mkdir(parents=True)
    (root / "out").symlink_to(tmp_path)
    (root / "near").symlink_to(root / "inside")

    assert root / "near" / "x" == contained(root, "near/x")
    with pytest.raises(BadInputError, match="leads outside"):
        contained(root, "out/x")


@given(st.text(max_size=20))
def test_what_is_contained_is_inside(name: str) -> None:
    """Whatever the name, the answer is inside the directory or the name is refused."""
    root = Path("/nowhere/root")
    try:
        path = contained(root, name)
    except BadInputError:
        return
    assert Path(os.path.normpath(path)).is_relative_to(root)
