"""Folders that are read and written as a whole: a few regular files, none of them a link."""

import os
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from errno import EEXIST, ENOTEMPTY
from pathlib import Path, PurePosixPath
from typing import NoReturn

from townlet.errors import BadInputError
from townlet.store.files import contained, move, resource_errors
from townlet.store.untrusted import read_regular

__all__ = ["LARGEST", "read_folder", "write_folder", "write_new"]

LARGEST = 256 * 2**20
"""Largest file that is read, bytes."""
_MOST_FILES = 100
_FULL = (ENOTEMPTY, EEXIST)
"""What a rename to a folder with files raises."""


def read_folder(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder by its path in it, sorted.

    BadInputError for a link, a device or a pipe, for more than 100 files, and for what cannot be read.
    """
    return {name: read_regular(folder / name, LARGEST) for name in sorted(_names(folder))}


def write_folder(
    target: Path, files: Mapping[str, bytes], *, known: Collection[str], mark: str, force: bool = False
) -> bool:
    """Write files into a new folder, which appears with all of them or not at all; return whether anything changed.

    A folder that exists is left as it is where it holds the same. It is replaced where it is empty, and with `force`
    where it holds a file called `mark` and nothing whose name is not one of `files` or `known`. BadInputError, before
    anything is written, for any other folder, and for a target that is no folder.
    """
    if target.name in ("", ".."):
        raise BadInputError(f"{target}: is no folder that can be replaced; name one inside it")
    is_old = os.path.lexists(target)
    if is_old and not _may_take_place(target, files, known, mark, force=force):
        return False
    staging, aside = (target.with_name(f".{target.name}.{kind}-{secrets.token_hex(4)}") for kind in ("new", "old"))
    with resource_errors("write this folder", target):
        try:
            for name, data in files.items():
                write_new(contained(staging, name), data)
            if is_old:
                move(target, aside)
            move(staging, target)
        except BaseException as error:  # nothing of it may stay, and what was there comes back
            shutil.rmtree(staging, ignore_errors=True)
            if os.path.lexists(target):
                shutil.rmtree(aside, ignore_errors=True)
            else:
                with suppress(OSError):
                    move(aside, target)
            if not isinstance(error, OSError) or error.errno not in _FULL:
                raise
        else:
            shutil.rmtree(aside, ignore_errors=True)
            return True
    # another process wrote the folder meanwhile: what it wrote is looked at as if it had been there
    return write_folder(target, files, known=known, mark=mark, force=force)


def write_new(path: Path, data: bytes) -> None:
    """Write one file durably, readable for whom the umask allows: what is copied here is meant for others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _unreadable(error: OSError) -> NoReturn:
    raise BadInputError(f"{error.filename}: cannot be read: {error.strerror}") from error


def _names(folder: Path, *, empty: bool = False) -> Iterator[str]:
    """Yield the path of every file below a folder, in it; and, with a slash, of every folder there that is `empty`."""
    count = 0
    for directory, folders, names in os.walk(folder, onerror=_unreadable):
        if empty and not folders and not names and Path(directory) != folder:
            yield f"{Path(directory).relative_to(folder).as_posix()}/"
        for name in (*folders, *names):
            path = Path(directory, name)
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise BadInputError(f"{path}: expected a regular file, found a link, a device or a pipe")
        for name in names:
            count += 1
            if count > _MOST_FILES:
                raise BadInputError(f"{folder}: holds more than {_MOST_FILES} files; expected a bundle")
            yield PurePosixPath(Path(directory, name).relative_to(folder)).as_posix()


def _may_take_place(
    target: Path, files: Mapping[str, bytes], known: Collection[str], mark: str, *, force: bool
) -> bool:
    """Return whether a path that exists is to be replaced; False where it holds the same already."""
    if target.is_symlink() or not target.is_dir():
        raise BadInputError(f"{target}: exists and is no folder; name another")
    names = sorted(_names(target, empty=True))
    if names == sorted(files) and files == read_folder(target):
        return False
    foreign = [name for name in names if name not in files and name not in known]
    if foreign:
        raise BadInputError(
            f"{target}: exists and holds {foreign[0]}, which is no part of a bundle; name another folder"
        )
    if names and mark not in names:
        raise BadInputError(
            f"{target}: exists, holds {names[0]}, and is no bundle: it lacks {mark}; name another folder"
        )
    if names and not force:
        raise BadInputError(f"{target}: exists and holds another bundle; name another folder, or add --force")
    return True
