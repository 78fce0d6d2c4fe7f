"""The cache of compiled kernels: which folder it is in, what is read from it, and how it is kept small.

Compiling takes about a quarter of a minute; what was compiled is 5 MB for each version of the sources, and all
installations of one user share it. A cache is no part of any result: one that is damaged, full or cannot be written is
named once and done without.
"""

import logging
import os
import pickle
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile, UserProvidedCacheLocator

__all__ = ["CheckedCache", "bytes_of", "folder_for", "old_folders", "remove_old"]

_LOG = logging.getLogger("townlet.kernels")
_DIGEST_BYTES = 32
_MOST_BYTES = 256 * 2**20
"""Size of all folders together above which those of other versions are removed."""
_PREFIX = "kernels-"


@cache
def _name_once(sentence: str) -> None:
    _LOG.warning("%s", sentence)


def folder_for(name: str) -> Path | None:
    """Return the folder of the cache with this name: the first that can be used of the user's and the system's.

    Where none can, there is no cache, which is said once.
    """
    home = os.environ.get("XDG_CACHE_HOME")
    try:
        first = Path(home) if home else Path("~").expanduser() / ".cache"
    except RuntimeError:  # neither HOME nor an entry of this user
        first = Path()
    roots = [] if first == Path() else [first / "townlet"]
    with suppress(OSError):  # no directory for temporary files
        roots.append(Path(tempfile.gettempdir()) / f"townlet-{os.geteuid()}")
    for root in roots:
        folder = root / f"{_PREFIX}{name}"
        try:
            root.mkdir(0o700, parents=True, exist_ok=True)
            is_new = not folder.exists()
            folder.mkdir(0o700, exist_ok=True)
            if _is_own(root) and _is_own(folder) and os.access(folder, os.W_OK):
                os.utime(folder)
                if is_new:
                    remove_old(folder, _MOST_BYTES)
                return folder
        except OSError:  # the next one
            continue
    _name_once(
        f"compiled kernels cannot be kept (tried {' and '.join(map(str, roots))}), so that every process compiles "
        "anew, about a quarter of a minute; set XDG_CACHE_HOME to a directory that you may write"
    )
    return None


def _is_own(folder: Path) -> bool:
    """Tell whether only this user may write in a folder, after taking that right from others where it is the user's.

    The compiled kernels are code: whoever may write them may run anything in this process.
    """
    status = folder.lstat()
    if status.st_uid != os.geteuid() or not stat.S_ISDIR(status.st_mode):
        return False
    if status.st_mode & 0o022:
        folder.chmod(0o700)
    return True


def bytes_of(folder: Path) -> int:
    """Return the size of all files in a folder."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size
    return total


def old_folders(current: Path) -> Iterator[Path]:
    """Yield the folders of other versions beside the current one, the longest unused first."""
    used: list[tuple[float, Path]] = []
    for folder in current.parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if folder != current:
                used.append((folder.stat().st_mtime, folder))
    yield from (folder for _, folder in sorted(used))


def remove_old(current: Path, most: int) -> None:
    """Remove folders of other versions, the longest unused first, until `most` bytes are left in all."""
    folders = list(old_folders(current))
    sizes = {folder: bytes_of(folder) for folder in (*folders, current)}
    for folder in folders:
        if sum(sizes.values()) <= most:
            return
        shutil.rmtree(folder, ignore_errors=True)
        del sizes[folder]


class _CheckedFiles(IndexDataCacheFile):
    """Files that carry the digest of their content: what does not fit it is not unpickled, but compiled again."""

    def save(self, key: Any, data: Any) -> None:
        """Store a kernel under a name of its own.

        numba counts the names, so that two processes that compile two signatures at once would write the same file.
        """
        name = f"{self._index_name.removesuffix('.nbi')}.{sha256(repr(key).encode()).hexdigest()[:16]}.nbc"
        self._save_data(name, data)
        overloads = self._load_index()
        if overloads.get(key) != name:
            self._save_index(overloads | {key: name})

    def _load_index(self) -> dict[Any, str]:
        content = self._read(self._index_path)
        if content is None or content[:2] != (self._version, self._source_stamp):
            return {}
        overloads: dict[Any, str] = content[2]
        return overloads

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._write(self._index_path, (self._version, self._source_stamp, overloads))

    def _load_data(self, name: str) -> Any:
        return self._read(self._data_path(name))

    def _save_data(self, name: str, data: Any) -> None:
        self._write(self._data_path(name), data)

    @staticmethod
    def _read(path: str) -> Any:
        try:
            # Opening a pipe would wait for its other end, and a device may have none.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                data = file.read() if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
        except FileNotFoundError:
            return None
        except OSError as error:
            _name_once(f"{path}: cannot be read ({error.strerror}); its kernels are compiled again")
            return None
        if sha256(data[_DIGEST_BYTES:]).digest() != data[:_DIGEST_BYTES]:
            _name_once(f"{Path(path).parent}: damaged; its kernels are compiled again")
            return None
        return pickle.loads(data[_DIGEST_BYTES:])  # noqa: S301 - see the import

    def _write(self, path: str, content: Any) -> None:
        data = self._dump(content)
        with self._open_for_write(path) as file:
            file.write(sha256(data).digest() + data)


class _SharedLocator(UserProvidedCacheLocator):
    """A folder named by a kernel's module and the content of its file, whichever installation the file belongs to.

    numba names it by the path, so that a second environment with the same sources would compile again.
    """

    def __init__(self, function: Any, file: str) -> None:
        super().__init__(function, file)
        content = self.get_source_stamp().hex()[:16]
        folder = Path(self._cache_path).parent
        self._cache_path = str(folder / f"{function.__module__}-{content}")


class _SharedResults(CompileResultCacheImpl):
    _locator_classes = [_SharedLocator]  # noqa: RUF012 - the base class declares a list


class CheckedCache(FunctionCache):
    """Cache of one kernel, without which the kernel is compiled."""

    _impl_class = _SharedResults

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        files = self._cache_file
        self._cache_file = _CheckedFiles(
            cache_path=self._cache_path,
            filename_base=files._index_name.removesuffix(".nbi"),
            source_stamp=files._source_stamp,
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled kernel, None where it must be compiled."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a cache, the kernel can be compiled
            _name_once(f"{self._cache_path}: cannot be used ({type(error).__name__}); its kernels are compiled again")
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Store a compiled kernel where that is possible."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _name_once(f"{self._cache_path}: cannot be written ({error.strerror}); the next process compiles again")
