"""Compiled kernels are code: they are loaded from a folder that only this user may write."""

import os
from pathlib import Path

import pytest

from townlet.compiled import cache_folder


def test_the_cache_is_its_owners_whatever_the_umask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that was open to others is closed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "townlet").mkdir()
    (tmp_path / "townlet").chmod(0o777)
    folder = cache_folder.__wrapped__()

    assert folder.is_relative_to(tmp_path)
    assert [0o700, 0o700] == [path.stat().st_mode & 0o777 for path in (folder, folder.parent)]


def test_a_cache_of_another_user_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next place is taken."""
    if os.geteuid() != 0:
        pytest.skip("only root can make files of other users")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "townlet").mkdir()
    os.chown(tmp_path / "townlet", 65534, 65534)

    assert not cache_folder.__wrapped__().is_relative_to(tmp_path)
