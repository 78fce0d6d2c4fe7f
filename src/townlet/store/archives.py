"""Write an archive of a folder's files in the place of an older one, and of nothing else."""

import io
import os
import secrets
import zipfile
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from townlet.errors import BadInputError
from townlet.store.files import move, resource_errors
from townlet.store.folders import LARGEST, write_new
from townlet.store.untrusted import read_regular

__all__ = ["write_archive"]


def write_archive(target: Path, data: bytes, *, known: Collection[str], mark: str, force: bool = False) -> bool:
    """Write an archive, whole or not at all; return whether anything changed.

    A file that exists is left as it is where it holds the same. With `force` it is replaced where it is an archive that
    holds `mark` and nothing whose name is not one of `known`. BadInputError, before anything is written, for any other
    file, for a link, and for a folder.
    """
    if os.path.lexists(target):
        if target.is_symlink() or not target.is_file():
            raise BadInputError(f"{target}: exists and is no file; name another")
        before = read_regular(target, LARGEST)
        if before == data:
            return False
        names = _names(before)
        if mark not in names or names - set(known):
            raise BadInputError(f"{target}: exists and is no archive of a bundle; name another")
        if not force:
            raise BadInputError(f"{target}: exists and holds another bundle; name another, or add --force")
    staging = target.with_name(f".{target.name}.new-{secrets.token_hex(4)}")
    with resource_errors("write this file", target):
        try:
            write_new(staging, data)
            move(staging, target)
        except BaseException:  # nothing of it may stay; the error is raised again
            with suppress(OSError):
                staging.unlink()
            raise
    return True


def _names(data: bytes) -> set[str]:
    """Return the names of the files of an archive; none for what is no archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return set()
